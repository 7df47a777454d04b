"""What a frame or a card shows of an entity."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.entities.kinds import EntityRef
from portal.gallery.pins import PinView, find_pin
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
    pin = await find_pin(ref, links) if ref.type == "invoices" else None
    if pin is not None:
        return _as_pinned(entity, pin, limit)
    images = await gallery_of(ref, links=links, public=True, limit=limit)
    return Shown(entity, images.items)


def _as_pinned(entity: EntityView, pin: PinView, limit: int) -> Shown:
    own = [each.image for each in pin.pictures if each.item is None]
    of_items = {each.item: each.image for each in pin.pictures}
    lines = [
        dataclasses.replace(line, picture=of_items.get(line.item)) if line.item in pin.items else line
        for line in entity.lines
    ]
    changed: dict[str, Any] = {"primary": own[0] if own else None, "image_count": len(own), "lines": lines}
    return Shown(dataclasses.replace(entity, **changed), own[:limit], pin.pinned_at)
