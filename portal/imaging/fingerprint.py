"""What a picture looks like, in 64 bits: a difference hash (dHash). Pictures that look alike differ in few of them.

https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html
"""

from __future__ import annotations

from PIL import Image

from portal.imaging.colour import to_srgb
from portal.imaging.decode import on_white, turn_upright

ALIKE_BITS = 6  # so many of 64 may differ between pictures that look alike
_COLUMNS, _ROWS = 9, 8
_LEAST_CONTRAST = 8  # of 255, between the brightest and the darkest part


def fingerprint(picture: Image.Image, orientation: int) -> int | None:
    """The hash as a signed number; `picture` is a small one of 8 bits, not yet upright.

    None for what has no shape: one tone, one even gradient. All such pictures would look alike.
    """
    parts = _grey_parts(picture, orientation)
    if max(parts) - min(parts) < _LEAST_CONTRAST:
        return None
    bits = 0
    for row in range(_ROWS):
        for left in range(row * _COLUMNS, (row + 1) * _COLUMNS - 1):
            bits = bits << 1 | (parts[left] < parts[left + 1])
    if min(bits.bit_count(), 64 - bits.bit_count()) <= ALIKE_BITS:
        return None  # as near to a plain picture as to a likeness
    return bits - (1 << 64) if bits >> 63 else bits


def _grey_parts(picture: Image.Image, orientation: int) -> list[float]:
    """The brightness of 9 x 8 parts, row by row; as fractions, because on a white ground whole numbers differ by chance."""
    colours = on_white(to_srgb(picture, picture.info.get("icc_profile")))
    grey = turn_upright(colours, orientation).convert("L").convert("F")
    parts = grey.resize((_COLUMNS, _ROWS), Image.Resampling.BOX)  # pyright: ignore[reportUnknownMemberType]  # so typed in Pillow
    return [float(parts.getpixel((x, y))) for y in range(_ROWS) for x in range(_COLUMNS)]  # type: ignore[arg-type]  # one band
