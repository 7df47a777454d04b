"""Pictures out of many galleries, each with the name of what it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from portal import database
from portal.entities.kinds import EntityRef
from portal.gallery.queries import IMAGE_COLUMNS
from portal.gallery.views import ImageView, image_view
from portal.storage.links import Links

_COLUMNS: Final = ", ".join(f"i.{column._meta.db_column_name}" for column in IMAGE_COLUMNS)


@dataclass(frozen=True, slots=True)
class ImageHit:
    image: ImageView
    entity_name: str


async def hits_of(ids: Sequence[UUID], links: Links) -> list[ImageHit]:
    """In the order of `ids`; one that is gone by now is left out."""
    if not ids:
        return []
    rows = await database.fetch(
        f"""SELECT {_COLUMNS}, e.type AS entity_type, e.id AS entity_id, e.name AS entity_name
            FROM image i JOIN entity e ON e.pk = i.entity WHERE i.id = ANY($1::uuid[])""",  # noqa: S608 - constant columns
        list(ids),
    )
    found = {
        row["id"]: ImageHit(
            image_view(dict(row), EntityRef(row["entity_type"], row["entity_id"]), links), row["entity_name"]
        )
        for row in rows
    }
    return [found[id] for id in ids if id in found]
