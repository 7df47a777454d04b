"""What is printed of a gallery: of an invoice that is pinned the pictures that it was issued with, else those of now."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from portal.entities.kinds import EntityRef
from portal.gallery.pins import as_pinned, find_pin
from portal.gallery.prints import for_print, lines_for_print
from portal.gallery.queries import gallery_of, get_entity
from portal.gallery.views import EntityView, ImageView
from portal.paging import Page, decode_cursor, encode_cursor
from portal.storage.links import Links


@dataclass(frozen=True, slots=True)
class Printed:
    """`own`: the pinned pictures of the gallery itself, None where it is not pinned."""

    entity: EntityView
    pinned_at: dt.datetime | None
    own: list[ImageView] | None


async def entity_for_print(ref: EntityRef, links: Links) -> Printed:
    """Raises NoSuchEntity."""
    entity = await get_entity(ref, links)
    pin = await find_pin(ref, links, is_for_print=True)
    if pin is None:
        return Printed(await lines_for_print(entity, links), None, None)
    return Printed(await lines_for_print(as_pinned(entity, pin), links), pin.pinned_at, pin.own)


async def gallery_for_print(
    printed: Printed, *, links: Links, public: bool, cursor: str | None, limit: int
) -> Page[ImageView]:
    """The gallery's pictures, each with what is printed of it. Raises as `gallery_of` does."""
    if printed.own is None:
        page = await gallery_of(printed.entity.ref, links=links, public=public, cursor=cursor, limit=limit)
        return Page(list(await for_print(page.items, links)), page.total, page.next)
    after = decode_cursor(cursor, [int])
    rest = [image for image in printed.own if after is None or image.sort_order > after[0]]
    following = encode_cursor([rest[limit - 1].sort_order]) if len(rest) > limit else None
    return Page(rest[:limit], len(printed.own), following)
