"""QR codes, as drawing and as pixels."""

from __future__ import annotations

import io

import segno
from PIL import Image

_QUIET_ZONE = 4  # modules of white around, as the standard asks
_SCALE = 8  # pixels for each module, unless a size is asked for


def qr_svg(text: str) -> str:
    """Scales to any size; no style in it, so that a strict Content-Security-Policy lets it be inlined."""
    out = io.BytesIO()
    code = _code(text)
    code.save(
        out, kind="svg", border=_QUIET_ZONE, light="#fff", xmldecl=False, svgclass=None, lineclass=None, omitsize=True
    )
    width, height = code.symbol_size(border=_QUIET_ZONE)  # segno writes either a size or a viewBox
    return out.getvalue().decode().replace("<svg ", f'<svg width="{width}" height="{height}" ', 1)


def qr_png(text: str, size: int | None = None) -> bytes:
    """A square of `size` pixels: whole pixels for each module, and white for the rest. Larger only where the code needs it."""
    code, out = _code(text), io.BytesIO()
    side, _ = code.symbol_size(border=_QUIET_ZONE)
    scale = _SCALE if size is None else max(1, size // side)
    code.save(out, kind="png", scale=scale, border=_QUIET_ZONE)
    if size is None or side * scale >= size:
        return out.getvalue()
    with Image.open(out) as drawn:
        canvas = Image.new("1", (size, size), 1)
        canvas.paste(drawn.convert("1"), ((size - drawn.width) // 2, (size - drawn.height) // 2))
    out = io.BytesIO()
    canvas.save(out, "PNG", optimize=True)
    return out.getvalue()


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="m")
