"""What is asked of an original without changing it: cut, flipped, turned, in this order. Pure.

A crop is in 0..1 of the upright original, as the focal point is; both stay what they are however the picture is turned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

from portal.imaging.geometry import Point, Size, turn_point, upright

Rotation = Literal[0, 90, 180, 270]
Flip = Literal["horizontal", "vertical"]
Side = Literal["left", "right"]

LEAST_SIDE: Final = 16  # pixels that a crop leaves, where the original has as many

# As EXIF numbers the ways in which a picture may lie: each word here is the turn that such a picture needs.
_TURNS: Final[Mapping[Rotation, int]] = {90: 6, 180: 3, 270: 8}
_FLIPS: Final[Mapping[Flip, int]] = {"horizontal": 2, "vertical": 4}
_OTHER: Final[Mapping[Flip, Flip]] = {"horizontal": "vertical", "vertical": "horizontal"}
_ROTATIONS: Final[tuple[Rotation, ...]] = (0, 90, 180, 270)


@dataclass(frozen=True, slots=True)
class Crop:
    """The part that stays: its left top corner and its size, in 0..1 of the upright original."""

    x: float
    y: float
    width: float
    height: float

    def pixels(self, size: Size) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in an upright original of this size; never empty."""
        left, right = _span(self.x, self.width, size[0])
        top, bottom = _span(self.y, self.height, size[1])
        return left, top, right, bottom


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    first = min(round(start * pixels), pixels - 1)
    return first, max(first + 1, min(round((start + length) * pixels), pixels))


@dataclass(frozen=True, slots=True)
class Edits:
    """`rotate` is clockwise. Cropped first, then flipped, then rotated."""

    rotate: Rotation = 0
    flip: Flip | None = None
    crop: Crop | None = None

    @property
    def turns(self) -> tuple[int, ...]:
        """What is done to the cropped picture, each step as an EXIF orientation that `decode.turn_upright` undoes."""
        flips = (_FLIPS[self.flip],) if self.flip else ()
        return (*flips, _TURNS[self.rotate]) if self.rotate else flips

    def cropped(self, size: Size) -> Size:
        """Of the part that stays of an upright original; not turned yet."""
        if self.crop is None:
            return size
        left, top, right, bottom = self.crop.pixels(size)
        return right - left, bottom - top

    def size_of(self, size: Size) -> Size:
        """What people see of an upright original of this size."""
        return upright(self.cropped(size), _TURNS.get(self.rotate, 1))

    def point_of(self, point: Point) -> Point:
        """Where a point of the upright original lies in what people see; one that was cut off lies at the edge."""
        x, y = point
        if self.crop is not None:
            x = _clamp((x - self.crop.x) / self.crop.width)
            y = _clamp((y - self.crop.y) / self.crop.height)
        for turn in self.turns:
            x, y = turn_point((x, y), turn)
        return x, y

    def turned(self, side: Side) -> Edits:
        """A quarter turn of what people see."""
        return self._plainly((self.rotate + (90 if side == "right" else 270)) % 360, self.flip)

    def mirrored(self, flip: Flip) -> Edits:
        """What people see, mirrored: a flip before a rotation undoes itself only when the rotation is turned back."""
        turned = -self.rotate % 360
        if self.flip is None:
            return self._plainly(turned, flip)
        return self._plainly(turned if self.flip == flip else (turned + 180) % 360, None)

    def _plainly(self, rotate: int, flip: Flip | None) -> Edits:
        """The shorter of the two ways to say the same: half a turn after a flip is the other flip."""
        if flip is not None and rotate >= 180:
            rotate, flip = rotate - 180, _OTHER[flip]
        return replace(self, rotate=_ROTATIONS[rotate // 90], flip=flip)

    def stored(self) -> dict[str, Any]:
        """As the image object shows them: only what differs from the original."""
        said: dict[str, Any] = {}
        if self.rotate:
            said["rotate"] = self.rotate
        if self.flip:
            said["flip"] = self.flip
        if self.crop:
            crop = self.crop
            said["crop"] = {"x": crop.x, "y": crop.y, "width": crop.width, "height": crop.height}
        return said


NONE: Final = Edits()


def edits_of(stored: Mapping[str, Any] | None) -> Edits:
    """What `stored` wrote."""
    said = stored or {}
    crop = said.get("crop")
    return Edits(said.get("rotate", 0), said.get("flip"), Crop(**crop) if crop else None)


def parse_edits(sent: Any) -> Edits:
    """What a script or form asks for. Raises ValueError, with the sentence for people."""
    if sent is None:
        return NONE
    if not isinstance(sent, Mapping):
        raise ValueError("Use {rotate, flip, crop}, or null for the picture as it came.")
    said = cast("Mapping[Any, Any]", sent)
    for name in said:
        if name not in ("rotate", "flip", "crop"):
            raise ValueError(f"There is no edit “{str(name)[:60]}”. Use rotate, flip and crop.")
    return Edits(_rotation(said.get("rotate")), _flip(said.get("flip")), _crop(said.get("crop")))


def check_size(edits: Edits, size: Size) -> None:
    """Raises ValueError when too little would be left of an upright original of this size."""
    left = edits.cropped(size)
    least = min(LEAST_SIDE, size[0]), min(LEAST_SIDE, size[1])
    if left[0] < least[0] or left[1] < least[1]:
        raise ValueError(f"The crop leaves {left[0]} × {left[1]} pixels. Leave at least {least[0]} × {least[1]}.")


def _rotation(value: Any) -> Rotation:
    for rotation in _ROTATIONS:
        if value == rotation and isinstance(value, int) and not isinstance(value, bool):
            return rotation
    if value is None:
        return 0
    raise ValueError("rotate is 0, 90, 180 or 270, clockwise.")


def _flip(value: Any) -> Flip | None:
    if value is None or value in ("horizontal", "vertical"):
        return value
    raise ValueError("flip is horizontal, vertical or null.")


def _crop(value: Any) -> Crop | None:
    """None also for the whole picture."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) != {"x", "y", "width", "height"}:  # pyright: ignore[reportUnknownArgumentType] - any JSON
        raise ValueError("crop is {x, y, width, height}, each from 0 to 1, or null.")
    x, y, width, height = (_share(value[name]) for name in ("x", "y", "width", "height"))
    slack = 1e-6  # a script's thirds may add up to a hair more than one
    crop = Crop(x, y, min(width, 1 - x), min(height, 1 - y))
    if not crop.width or not crop.height or x + width > 1 + slack or y + height > 1 + slack:
        raise ValueError("The crop lies inside the picture: x + width and y + height are at most 1, neither side is 0.")
    return None if crop == Crop(0, 0, 1, 1) else crop


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:  # also NaN
        raise ValueError("x, y, width and height of a crop are numbers from 0 to 1.")
    return float(value)


def _clamp(value: float) -> float:
    return max(0.0, min(value, 1.0))
