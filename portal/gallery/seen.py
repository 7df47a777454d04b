"""A picture as its page shows it: what its edits leave to be seen, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from portal.gallery.views import ImageView
from portal.imaging.edits import Edits, edits_of
from portal.imaging.geometry import CENTRE, Size

_TURNED: Final[Mapping[int, str]] = {90: "turned right", 180: "turned upside down", 270: "turned left"}
_FLIPPED: Final[Mapping[str | None, str]] = {"horizontal": "mirrored", "vertical": "flipped"}


@dataclass(frozen=True, slots=True)
class Seen:
    """`width` and `height` in pixels of the original, the focal point in 0..1 of what is seen; `said` is empty without edits.

    While new renditions are made, `made_with` are the edits of those still shown; None where they are of other bytes.
    """

    width: int
    height: int
    x: float
    y: float
    said: str
    is_rendering: bool
    made_with: dict[str, Any] | None


def seen_of(image: ImageView, *, is_rendering: bool, made_with: dict[str, Any] | None) -> Seen:
    edits, size = edits_of(image.edits), (image.width, image.height)
    focal = image.focal_point
    x, y = edits.point_of((focal.x, focal.y)) if focal else CENTRE
    return Seen(*edits.size_of(size), x, y, words_of(edits, size), is_rendering, made_with)


def words_of(edits: Edits, size: Size | None = None) -> str:
    """ "Mirrored, turned left, cropped to 1200 × 900"; the numbers only for an original whose upright size is given."""
    words = [each for each in (_FLIPPED.get(edits.flip), _TURNED.get(edits.rotate)) if each]
    if edits.crop:
        words.append("cropped" + (" to {} × {}".format(*edits.size_of(size)) if size else ""))
    return ", ".join(words).capitalize()


def said_of(changes: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a step of the history did and to what effect, where it was about the edits alone."""
    if set(changes) != {"edits"}:
        return None
    words = words_of(edits_of(changes["edits"]))
    return ("edited the picture", words.lower()) if words else ("went back to the original", "")
