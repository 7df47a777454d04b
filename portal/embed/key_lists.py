"""Embed keys as their page shows them: with the entity's name and picture, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal import database
from portal.embed.keys import EmbedView, Scope, list_keys
from portal.entities.kinds import KINDS, EntityRef, EntityType
from portal.entities.listing import list_entities
from portal.entities.queries import COLUMNS
from portal.expiry import State, expiry_in_words, state_of
from portal.gallery.queries import entity_views
from portal.gallery.views import EntityView
from portal.paging import Page
from portal.storage.links import Links


@dataclass(frozen=True, slots=True)
class KeyRow:
    """`entity` is None for a whole type, and for what is deleted."""

    embed: EmbedView
    kind: EntityType
    entity: EntityView | None
    state: State
    expiry: str
    made_by: str

    @property
    def title(self) -> str:
        if self.embed.scope.id is None:
            return f"All {self.kind.label.lower()}"
        return self.entity.name if self.entity else f"{self.kind.singular.capitalize()} {self.embed.scope.id}, deleted"


@dataclass(frozen=True, slots=True)
class EntityOption:
    id: str
    name: str


async def key_rows(cursor: str | None, links: Links, now: datetime, limit: int = 50) -> Page[KeyRow]:
    """Raises FormError for a foreign cursor."""
    keys = await list_keys(cursor=cursor, limit=limit)
    named = [EntityRef(each.scope.type, each.scope.id) for each in keys.items if each.scope.id is not None]
    entities = {entity.ref: entity for entity in await entity_views(await _rows_of(named), links)}
    return keys.map(lambda embed: _row(embed, entities, now))


def _row(embed: EmbedView, entities: Mapping[EntityRef, EntityView], now: datetime) -> KeyRow:
    ref = EntityRef(embed.scope.type, embed.scope.id or "")
    return KeyRow(
        embed,
        KINDS[embed.scope.type],
        entities.get(ref),
        state_of(embed.expires_at, now),
        expiry_in_words(embed.expires_at, now),
        _who(embed.created_by),
    )


async def _rows_of(refs: Sequence[EntityRef]) -> list[Mapping[str, Any]]:
    if not refs:
        return []
    rows = await database.fetch(
        f"""SELECT {COLUMNS} FROM entity e JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[])) AS wanted (type, id)
            ON e.type = wanted.type AND e.id = wanted.id""",  # noqa: S608 - a constant
        [ref.type for ref in refs],
        [ref.id for ref in refs],
    )
    return [dict(row) for row in rows]


def _who(actor: str) -> str:
    """An actor's stored name (`user:ana@example.com`) as people say it."""
    kind, _, name = actor.partition(":")
    return {"user": name, "token": f"the script {name}", "script": f"{name} by a script"}.get(kind, "a command")


async def entity_options(type: str, q: str) -> list[EntityOption]:
    """What somebody who has typed this may mean. Raises FormError for a type that is none."""
    found = await list_entities(type=type, q=q, limit=20)
    return [EntityOption(row["id"], row["name"]) for row in found.items]


async def example_of(scope: Scope) -> str | None:
    """The id of an entity to show what a key for this scope shows: of a whole type, the last changed one with pictures."""
    if scope.id is not None:
        return scope.id
    return await database.fetch_value(
        """SELECT e.id FROM entity e WHERE e.type = $1
             AND EXISTS (SELECT FROM image i WHERE i.entity = e.pk AND i.status = 'ready' AND i.trashed_at IS NULL)
           ORDER BY e.updated_at DESC, e.pk DESC LIMIT 1""",
        scope.type,
    )
