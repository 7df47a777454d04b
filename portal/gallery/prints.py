"""What an invoice on paper needs to know of pictures: the print rendition's URL, its pixels, and its millimetres."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from portal import database
from portal.errors import FormError
from portal.gallery.views import EntityView, ImageView, decoded, presets_of, recipe_of, rendition_of
from portal.imaging.edits import edits_of
from portal.imaging.geometry import fit_within
from portal.imaging.presets import PRESETS, Preset, presets_with
from portal.storage.links import Links

DPI: Final = 300
PRINT: Final = PRESETS["print"]
_MM_PER_INCH: Final = 25.4
# A version before the present one is shown until the present one is rendered: of that one the size counts.
_QUERY: Final = """
    SELECT i.id, i.renditions, i.version, i.rendering, i.extension, i.edits, i.focal_x, i.focal_y,
           coalesce(v.width, i.width) AS width, coalesce(v.height, i.height) AS height
    FROM image i LEFT JOIN image_version v
         ON v.image = i.id AND v.version::text = split_part(i.renditions ->> 'of', '.', 1) AND v.version <> i.version
    WHERE i.id = ANY($1::uuid[]) AND i.renditions ->> 'of' IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class PrintBox:
    """The room that a picture has on paper."""

    width_mm: float
    height_mm: float


@dataclass(frozen=True, slots=True)
class PrintView:
    """The whole picture, fitted into the box and never enlarged. Pixels as they are in what `url` gives, millimetres at `dpi`."""

    url: str
    width: int
    height: int
    width_mm: float
    height_mm: float
    box: PrintBox
    dpi: int


@dataclass(frozen=True, slots=True)
class ImageForPrint(ImageView):
    """`print` is null until the picture was ready once."""

    print: PrintView | None


async def for_print(images: Iterable[ImageView], links: Links) -> list[ImageForPrint]:
    """The same pictures, each with what is printed of it."""
    shown = list(images)
    rows = await database.fetch(_QUERY, [image.id for image in shown])
    by_id, now = {str(row["id"]): row for row in rows}, time.time()
    return [_with_print(image, by_id.get(image.id), links, now) for image in shown]


async def lines_for_print(entity: EntityView, links: Links) -> EntityView:
    """The pictures of its lines too; those that are pinned say already what is printed of them."""
    pictures = [line.picture for line in entity.lines if line.picture and not isinstance(line.picture, ImageForPrint)]
    by_id = {image.id: image for image in await for_print(pictures, links)}
    lines = [
        replace(line, picture=by_id[line.picture.id])
        if line.picture and not isinstance(line.picture, ImageForPrint)
        else line
        for line in entity.lines
    ]
    return replace(entity, lines=lines)


def printed(image: ImageView, stored: Mapping[str, Any], links: Links, now: float) -> ImageForPrint:
    """A picture whose `edits` and size are those of the very set that is printed."""
    whole = edits_of(image.edits).size_of((image.width, image.height))
    return _for_print(image, _print_view(image, stored, whole, links, now))


def read_for(text: str | None) -> bool:
    """Is it for print? Raises FormError for any other purpose."""
    if text not in (None, "", "print"):
        raise FormError({"for": "Use print, or leave it out."})
    return text == "print"


def _with_print(image: ImageView, row: Mapping[str, Any] | None, links: Links, now: float) -> ImageForPrint:
    return _for_print(image, None if row is None else _print_of(image, row, links, now))


def _for_print(image: ImageView, said: PrintView | None) -> ImageForPrint:
    return ImageForPrint(**{field.name: getattr(image, field.name) for field in fields(ImageView)}, print=said)


def _print_of(image: ImageView, row: Mapping[str, Any], links: Links, now: float) -> PrintView | None:
    """None where it is not known any more what the renditions were made of: nothing can be printed of it then."""
    stored = decoded(row["renditions"])
    recipe = recipe_of(stored, row)
    if recipe is None:
        return None
    whole = recipe.edits.size_of((row["width"], row["height"]))
    return _print_view(image, stored, whole, links, now)


def _print_view(
    image: ImageView, stored: Mapping[str, Any], whole: tuple[int, int], links: Links, now: float
) -> PrintView:
    """By the presets that the set was made by: those in force may be others by now."""
    preset = presets_with(presets_of(stored))[PRINT.name]
    width, height = fit_within(whole, (preset.width, preset.height))
    url = links.rendition(image.id, image.entity.type, PRINT.name, *rendition_of(stored), now)
    return PrintView(url, width, height, mm(width), mm(height), box_of(preset), DPI)


def box_of(preset: Preset) -> PrintBox:
    return PrintBox(round(mm(preset.width)), round(mm(preset.height)))


def mm(pixels: int) -> float:
    """At the dots an inch that a print needs to look sharp."""
    return round(pixels / DPI * _MM_PER_INCH, 1)
