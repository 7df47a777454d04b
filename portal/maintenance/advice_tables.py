"""The lists of advice as tables to download: whole, row by row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from portal.gallery.views import ImageView
from portal.maintenance.advice import heavy_originals, silent_galleries, small_prints
from portal.maintenance.advice_twins import Kind, TwinFinder, twins
from portal.paging import Page
from portal.storage.links import Links

T = TypeVar("T")
AT_ONCE: Final = 200
_IMAGE: Final = ("image", "file", "type", "id", "gallery", "width", "height")
HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "originals": (*_IMAGE, "media_type", "bytes", "bytes_enough", "saved", "why"),
    "print": (*_IMAGE, "width_mm", "height_mm"),
    "duplicates": ("group", "image", "file", "type", "id", "gallery", "bytes", "sha256"),
    "lookalikes": ("group", "image", "file", "type", "id", "gallery", "bytes", "sha256"),
    "alt-text": ("type", "id", "gallery", "missing"),
}


def rows_of(name: str, finder: TwinFinder, links: Links) -> AsyncIterator[Sequence[Any]]:
    """Of the list by this name, one of HEADERS."""
    if name == "originals":
        return _heavy(links)
    if name == "print":
        return _small(links)
    if name == "alt-text":
        return _silent()
    return _twins(finder, "same" if name == "duplicates" else "alike", links)


async def _all(read: Callable[..., Awaitable[Page[T]]]) -> AsyncIterator[T]:
    cursor: str | None = None
    while True:
        page = await read(cursor=cursor, limit=AT_ONCE)
        for each in page.items:
            yield each
        cursor = page.next
        if cursor is None:
            return


async def _heavy(links: Links) -> AsyncIterator[Sequence[Any]]:
    async for each in _all(partial(heavy_originals, links, is_counted=False)):
        about = _about(each.image, each.entity_name)
        yield (*about, each.image.media_type, each.bytes, each.bytes_enough, each.saved, each.why)


async def _small(links: Links) -> AsyncIterator[Sequence[Any]]:
    async for each in _all(partial(small_prints, links, is_counted=False)):
        yield (*_about(each.image, each.entity_name), each.width_mm, each.height_mm)


async def _silent() -> AsyncIterator[Sequence[Any]]:
    async for each in _all(silent_galleries):
        yield each.entity.type, each.entity.id, each.name, each.missing


async def _twins(finder: TwinFinder, kind: Kind, links: Links) -> AsyncIterator[Sequence[Any]]:
    async def read(cursor: str | None, limit: int) -> Page[Any]:
        return (await twins(finder, kind, links, cursor=cursor, limit=limit)).page

    number = 0
    async for each in _all(read):
        number += 1
        for image, name in zip(each.images, each.galleries, strict=True):
            about = (image.id, image.filename, image.entity.type, image.entity.id, name)
            yield (number, *about, image.bytes, image.sha256)


def _about(image: ImageView, entity_name: str) -> tuple[Any, ...]:
    return image.id, image.filename, image.entity.type, image.entity.id, entity_name, image.width, image.height
