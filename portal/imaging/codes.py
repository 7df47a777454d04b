"""QR codes, as drawing and as pixels."""

from __future__ import annotations

import io

import segno

_QUIET_ZONE = 4  # modules of white around, as the standard asks


def qr_svg(text: str) -> str:
    """Scales to any size; no style in it, so that a strict Content-Security-Policy lets it be inlined."""
    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(
        out, kind="svg", border=_QUIET_ZONE, light="#fff", xmldecl=False, svgclass=None, lineclass=None, omitsize=True
    )
    width, height = code.symbol_size(border=_QUIET_ZONE)  # segno writes either a size or a viewBox
    return out.getvalue().decode().replace("<svg ", f'<svg width="{width}" height="{height}" ', 1)


def qr_png(text: str, scale: int = 8) -> bytes:
    """`scale` is pixels for each module."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="png", scale=scale, border=_QUIET_ZONE)
    return out.getvalue()
