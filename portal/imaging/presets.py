"""The one table of everything that is made from an original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Preset:
    name: str
    width: int
    height: int
    fit: Literal["fit", "fill"]  # whole picture in the box, never enlarged · box filled, cropped around the focal point
    quality: int = 82
    progressive: bool = False  # doubles the encoding of a small picture for nothing
    subsampling: Literal[0, 2] = 2  # 0: colours as fine as brightness; among few pixels it is seen when they are not


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
