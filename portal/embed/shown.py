"""What a frame or a card shows of an entity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from portal.entities.kinds import EntityRef
from portal.gallery.pins import as_pinned, find_pin
from portal.gallery.queries import gallery_of, get_entity
from portal.gallery.views import EntityView, ImageView
from portal.storage.links import Links

ALL = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """The entity, and of its gallery what is ready, in its order. An invoice that is pinned shows both, its own pictures and
    those of its lines, as they were at `pinned_at`."""

    entity: EntityView
    images: list[ImageView]
    pinned_at: datetime | None = None


async def shown_of(ref: EntityRef, *, links: Links, limit: int = ALL) -> Shown:
    """Raises NoSuchEntity."""
    entity = await get_entity(ref, links)
    pin = await find_pin(ref, links)
    if pin is not None:
        return Shown(as_pinned(entity, pin), pin.own[:limit], pin.pinned_at)
    images = await gallery_of(ref, links=links, public=True, limit=limit)
    return Shown(entity, images.items)
