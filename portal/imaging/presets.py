"""The one table of everything that is made from an original, and what may be changed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal


@dataclass(frozen=True)
class Preset:
    name: str
    width: int
    height: int
    fit: Literal["fit", "fill"]  # whole picture in the box, never enlarged · box filled, cropped around the focal point
    quality: int = 82
    progressive: bool = False  # doubles the encoding of a small picture for nothing
    subsampling: Literal[0, 2] = 2  # 0: colours as fine as brightness; among few pixels it is seen when they are not

    @property
    def measure(self) -> Measure:
        return self.width, self.height, self.quality

    @property
    def has_own_box(self) -> bool:
        """Not the one of the code."""
        return (self.width, self.height) != (PRESETS[self.name].width, PRESETS[self.name].height)

    @property
    def takes_decoder_scale(self) -> bool:
        """`optimized`, unless somebody gave it a box: see below."""
        return self.name == OPTIMIZED.name and not self.has_own_box

    def may_be(self, size: tuple[int, int]) -> bool:
        """Is this a size that its renditions have?"""
        box = (OPTIMIZED_MOST, OPTIMIZED_MOST) if self.takes_decoder_scale else (self.width, self.height)
        return size == box if self.fit == "fill" else size[0] <= box[0] and size[1] <= box[1]


Measure = tuple[int, int, int]  # width, height, quality
Changes = Mapping[str, Measure]  # by a preset's name, only what is otherwise than below
UNCHANGED: Final[Changes] = {}
LEAST_SIDE, MOST_SIDE = 16, 4096  # of a box that somebody chooses
LEAST_QUALITY, MOST_QUALITY = 30, 95


# `optimized` takes what the JPEG decoder's own scale gives between 1600 and 2400, else 2048 on its long side.
OPTIMIZED = Preset("optimized", 2048, 2048, "fit", quality=85, progressive=True)
OPTIMIZED_LEAST = 1600
OPTIMIZED_MOST = 2400
OPTIMIZED_LOWEST_QUALITY = 65

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("icon", 64, 64, "fill", subsampling=0),
        Preset("small", 150, 150, "fit", subsampling=0),
        Preset("medium", 300, 300, "fit"),
        Preset("large", 600, 600, "fit"),
        Preset("card", 400, 300, "fill"),
        Preset("gallery", 800, 600, "fit"),
        OPTIMIZED,
        Preset("print", 1063, 803, "fit", quality=85),  # 90 x 68 mm at 300 dpi; made on demand
    )
}

# An image is ready when all of these are there.
READY: tuple[str, ...] = ("icon", "small", "medium", "large", "card", "gallery", "optimized")


def presets_with(changes: Changes) -> dict[str, Preset]:
    """The table as it is with these changes. Names that it does not have (any more) are nobody's."""
    changed = {
        name: replace(PRESETS[name], width=width, height=height, quality=quality)
        for name, (width, height, quality) in changes.items()
        if name in PRESETS
    }
    return PRESETS | changed
