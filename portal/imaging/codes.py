"""QR codes, as drawing and as pixels."""

from __future__ import annotations

import io

import segno


def qr_svg(text: str) -> str:
    """Scales to any size; no style in it, so that a strict Content-Security-Policy lets it be inlined."""
    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(out, kind="svg", xmldecl=False, svgclass=None, lineclass=None, omitsize=False, border=4, light="#fff")
    return out.getvalue().decode()


def qr_png(text: str, scale: int = 8) -> bytes:
    """`scale` is pixels for each module."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="png", scale=scale, border=4)
    return out.getvalue()
