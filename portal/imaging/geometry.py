"""Where pixels go: pure sums on sizes. A size is (width, height), a box is (left, top, right, bottom)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Size = tuple[int, int]
Box = tuple[float, float, float, float]
Point = tuple[float, float]

CENTRE = (0.5, 0.5)

# Where a point (0..1) of a picture that lies as EXIF says is in the upright one.
_TURNED: Mapping[int, Callable[[float, float], Point]] = {
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}
_BACK: Mapping[int, int] = {6: 8, 8: 6}  # the others undo themselves
JPEG_SCALES = (8, 4, 2)  # what a JPEG decoder can divide by, for less work than decoding whole


def fit_within(size: Size, box: Size) -> Size:
    """The size of the whole picture inside the box: aspect kept, never enlarged, never under one pixel."""
    scale = min(box[0] / size[0], box[1] / size[1], 1)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def crop_to_fill(size: Size, box: Size, focal_point: tuple[float, float] = CENTRE) -> Box:
    """The largest part with the box's aspect, its middle as near the focal point as the edges allow."""
    scale = min(size[0] / box[0], size[1] / box[1])
    width, height = box[0] * scale, box[1] * scale
    left = _clamp(focal_point[0] * size[0] - width / 2, size[0] - width)
    top = _clamp(focal_point[1] * size[1] - height / 2, size[1] - height)
    return left, top, min(left + width, size[0]), min(top + height, size[1])


def _clamp(value: float, most: float) -> float:
    return max(0.0, min(value, most))


def covers(size: Size, box: Size) -> bool:
    return size[0] >= box[0] and size[1] >= box[1]


def jpeg_scale(size: Size, least: int) -> int:
    """The largest divisor of a JPEG decoder that keeps the long side at `least` or more; 1 when none does."""
    return next((scale for scale in JPEG_SCALES if max(size) // scale >= least), 1)


def upright(size: Size, orientation: int) -> Size:
    """EXIF orientations 5 to 8 lie on their side."""
    return (size[1], size[0]) if orientation >= 5 else size


def turn_point(point: Point, orientation: int) -> Point:
    """From a picture as it lies to the upright one, both in 0..1."""
    turned = _TURNED.get(orientation)
    return point if turned is None else turned(*point)


def lay_down(box: Box, size: Size, orientation: int) -> Box:
    """A box of the upright picture of this size, in 0..1 of the picture as it lies."""
    back = _BACK.get(orientation, orientation)
    corners = [turn_point((box[at] / size[0], box[at + 1] / size[1]), back) for at in (0, 2)]
    (left, right), (top, bottom) = (sorted(side) for side in zip(*corners, strict=True))
    return left, top, right, bottom
