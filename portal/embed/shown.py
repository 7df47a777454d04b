"""What a frame or a card shows of an entity."""

from __future__ import annotations

from dataclasses import dataclass

from portal.entities.kinds import EntityRef
from portal.gallery.queries import gallery_of, get_entity
from portal.gallery.views import EntityView, ImageView
from portal.storage.links import Links

ALL = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """The entity, and of its gallery what is ready, in its order."""

    entity: EntityView
    images: list[ImageView]


async def shown_of(ref: EntityRef, *, links: Links, limit: int = ALL) -> Shown:
    """Raises NoSuchEntity."""
    entity = await get_entity(ref, links)
    images = await gallery_of(ref, links=links, public=True, limit=limit)
    return Shown(entity, images.items)
