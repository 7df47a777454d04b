"""Where pixels go: pure sums on sizes. A size is (width, height), a box is (left, top, right, bottom)."""

from __future__ import annotations

Size = tuple[int, int]
Box = tuple[float, float, float, float]

CENTRE = (0.5, 0.5)
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
