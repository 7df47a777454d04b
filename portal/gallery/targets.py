"""Where pictures can go: entities to choose from while a name is typed."""

from __future__ import annotations

from typing import Final

from portal import database
from portal.entities.kinds import KINDS
from portal.entities.queries import COLUMNS, find_entities, plain_query
from portal.gallery.queries import entity_views
from portal.gallery.views import EntityView
from portal.storage.links import Links

SHOWN: Final = 8
_NEWEST: Final = f"""
    SELECT e.* FROM unnest($1::text[]) AS kind (type) CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM entity e WHERE e.type = kind.type ORDER BY e.updated_at DESC, e.pk DESC LIMIT {SHOWN}) AS e
    ORDER BY e.updated_at DESC LIMIT {SHOWN}
"""  # noqa: S608 - constant columns


async def find_targets(q: str, links: Links) -> list[EntityView]:
    """Those that a search means; those that were changed last where nothing is asked."""
    if plain_query(q):
        return await entity_views(await find_entities(q, SHOWN), links)
    return await entity_views(await database.fetch(_NEWEST, list(KINDS)), links)
