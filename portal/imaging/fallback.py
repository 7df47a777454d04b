"""What stands in for a picture that is not there: its type's icon on a box of the picture's size, as SVG, PNG or JPEG.

Grey that lets the page through is neutral on light and dark; JPEG, which can't, is for e-mail and stands on white.
"""

from __future__ import annotations

import io
import math
from typing import Final, Literal

from PIL import Image, ImageDraw

from portal.imaging.decode import resample

Format = Literal["svg", "png", "jpeg"]
Point = tuple[float, float]
Line = tuple[Point, ...]

_GREY: Final = (128, 128, 128)
_FILL, _STROKE = 0.14, 0.55  # how much of the grey
_WIDTH: Final = 1.4  # of a line, where an icon is 24 by 24
_SHARE: Final = 0.36  # of the box's shorter side
_FINER: Final = 4  # drawn so many times larger, then shrunk: smooth edges


def _arc(x: float, y: float, radius: float, start: int = 0, stop: int = 360) -> Line:
    """Clockwise, degrees from the right."""
    turns = [math.radians(start + (stop - start) * step / 24) for step in range(25)]
    return tuple((round(x + radius * math.cos(turn), 2), round(y + radius * math.sin(turn), 2)) for turn in turns)


def _box(left: float, top: float, right: float, bottom: float) -> Line:
    return (left, top), (right, top), (right, bottom), (left, bottom), (left, top)


_ICONS: Final[dict[str, tuple[Line, ...]]] = {
    "inventory_items": (
        ((12, 2), (21, 7), (21, 17), (12, 22), (3, 17), (3, 7), (12, 2)),
        ((3, 7), (12, 12), (21, 7)),
        ((12, 12), (12, 22)),
        ((7.5, 4.5), (16.5, 9.5)),
    ),
    "categories": (
        ((3, 3), (3, 17), (9, 17)),
        ((3, 6), (9, 6)),
        ((9, 2), (13, 2), (15, 4), (21, 4), (21, 10), (9, 10), (9, 2)),
        ((9, 13), (13, 13), (15, 15), (21, 15), (21, 21), (9, 21), (9, 13)),
    ),
    "invoices": (
        ((4, 22), (4, 2), (6.7, 3.8), (9.3, 2), (12, 3.8), (14.7, 2), (17.3, 3.8), (20, 2), (20, 22)),
        ((20, 22), (17.3, 20.2), (14.7, 22), (12, 20.2), (9.3, 22), (6.7, 20.2), (4, 22)),
        ((8, 8), (14, 8)),
        ((8, 12), (16, 12)),
        ((8, 16), (13, 16)),
    ),
    "customers": (
        _arc(9, 7, 4),
        ((2, 21), *_arc(6, 19, 4, 180, 270), *_arc(12, 19, 4, 270, 360), (16, 21)),
        _arc(16, 7, 4, -75, 75),
        ((22, 21), *_arc(18, 19, 4, 360, 285)),
    ),
    "companies": (
        _box(6, 2, 18, 22),
        ((6, 10), (2, 10), (2, 22), (22, 22), (22, 7), (18, 7)),
        ((10, 6), (14, 6)),
        ((10, 10), (14, 10)),
        ((10, 14), (14, 14)),
        ((10, 22), (10, 18), (14, 18), (14, 22)),
    ),
}
TYPES: Final = frozenset(_ICONS)


def draw_fallback(type: str, width: int, height: int, format: Format) -> bytes:
    """Raises KeyError for a strange type."""
    if format == "svg":
        return _svg(_ICONS[type], width, height).encode()
    picture = _pixels(_ICONS[type], width, height)
    out = io.BytesIO()
    if format == "png":
        picture.save(out, "PNG", optimize=True)
    else:
        white = Image.new("RGBA", picture.size, "white")
        Image.alpha_composite(white, picture).convert("RGB").save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue()


def _svg(icon: tuple[Line, ...], width: int, height: int) -> str:
    """Attributes alone: a style would be refused by a strict Content-Security-Policy."""
    side = min(width, height) * _SHARE
    lines = "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in line) for line in icon)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<rect width="{width}" height="{height}" fill="#808080" fill-opacity="{_FILL}"/>'
        f'<path transform="translate({(width - side) / 2:g} {(height - side) / 2:g}) scale({side / 24:g})" d="{lines}" '
        f'fill="none" stroke="#808080" stroke-opacity="{_STROKE}" stroke-width="{_WIDTH}" stroke-linecap="round" '
        f'stroke-linejoin="round"/></svg>'
    )


def _pixels(icon: tuple[Line, ...], width: int, height: int) -> Image.Image:
    side = round(min(width, height) * _SHARE)
    mask = Image.new("L", (side * _FINER, side * _FINER), round(255 * _FILL))
    pen, scale = ImageDraw.Draw(mask), side * _FINER / 24
    ink, thick = round(255 * (_FILL + _STROKE * (1 - _FILL))), _WIDTH * scale
    for line in icon:
        points = [(x * scale, y * scale) for x, y in line]
        pen.line(points, ink, round(thick), joint="curve")
        for x, y in points:
            pen.circle((x, y), thick / 2, ink)
    alpha = Image.new("L", (width, height), round(255 * _FILL))
    alpha.paste(resample(mask, (side, side)), ((width - side) // 2, (height - side) // 2))
    picture = Image.new("RGBA", (width, height), (*_GREY, 255))
    picture.putalpha(alpha)
    return picture
