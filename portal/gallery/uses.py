"""Where pictures are shown: said before they go to the trash or for good, and on their own page.

A place is an invoice (pinned to a picture, or listing the item whose primary picture it is), an embed key of the gallery or of
its whole type, or the card of what the picture stands for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from portal import database
from portal.entities.kinds import KINDS, EntityRef
from portal.paging import EXACT_UP_TO

MOST_NAMED: Final = 5  # places of each kind that are named; the others are counted
WITH_CARD: Final = ("invoices", "inventory_items", "customers")
_IN_FORCE: Final = "k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())"
_NAME: Final = "coalesce(e.number, e.reference, e.id)"
_PINNED: Final = """
    SELECT invoice AS pk FROM invoice_pin JOIN pinned_picture ON pin = invoice_pin.pk WHERE image = ANY({images})
"""
_INVOICES: Final = f"""
    WITH pinned AS MATERIALIZED ({{pinned}}),
         found AS (SELECT pk FROM pinned UNION
                   SELECT invoice FROM invoice_line WHERE item = ANY($2::text[]) LIMIT {EXACT_UP_TO + 1})
    SELECT e.id, {_NAME} AS name, e.pk IN (SELECT pk FROM pinned) AS is_pinned, (SELECT count(*) FROM found) AS total
    FROM entity e WHERE e.pk IN (SELECT pk FROM found)
    ORDER BY is_pinned DESC, e.date DESC NULLS LAST, e.pk DESC LIMIT {MOST_NAMED}
"""  # noqa: S608 - joined from constants
_OF_IMAGES: Final = _INVOICES.format(pinned=_PINNED.format(images="$1::uuid[]"))
_OF_ENTITY: Final = _INVOICES.format(
    pinned=_PINNED.format(images="ARRAY(SELECT id FROM image WHERE entity = $1::bigint)")
)
_KEYS: Final = f"""
    SELECT k.scope_type, k.scope_id, k.parents, e.name, count(*) OVER () AS total
    FROM unnest($1::text[], $2::text[]) AS gallery (type, id)
    JOIN embed_key k ON k.scope_type = gallery.type AND k.scope_id = gallery.id AND {_IN_FORCE}
    JOIN entity e ON e.type = gallery.type AND e.id = gallery.id ORDER BY k.id DESC LIMIT {MOST_NAMED}
"""  # noqa: S608 - joined from constants
_TYPE_KEYS: Final = f"""
    SELECT k.scope_type, k.scope_id, k.parents, NULL AS name, count(*) OVER () AS total
    FROM embed_key k WHERE k.scope_type = ANY($1::text[]) AND k.scope_id IS NULL AND {_IN_FORCE}
    ORDER BY k.id DESC LIMIT {MOST_NAMED}
"""  # noqa: S608 - joined from constants


@dataclass(frozen=True, slots=True)
class Place:
    """`pin`: an invoice that keeps showing the picture as it was. `about` is the invoice, or what a key or card shows; a key of a
    whole type has none."""

    kind: Literal["pin", "invoice", "key", "card"]
    name: str
    about: EntityRef | None


@dataclass(frozen=True, slots=True)
class Uses:
    """`total` counts what is not named, too: exact up to 1000 of each kind."""

    places: Sequence[Place]
    total: int

    @property
    def unnamed(self) -> int:
        return self.total - len(self.places)


async def uses_of_images(image_ids: Collection[UUID]) -> Uses:
    """What shows any of these; a picture in the trash is shown by pins alone."""
    rows = await database.fetch(
        """SELECT DISTINCT e.type, e.id, e.name, bool_or(i.is_primary) OVER (PARTITION BY e.pk) AS leads
           FROM image i JOIN entity e ON e.pk = i.entity WHERE i.id = ANY($1::uuid[]) AND i.trashed_at IS NULL
           ORDER BY e.type, e.id""",
        list(image_ids),
    )
    items = [row["id"] for row in rows if row["leads"] and row["type"] == "inventory_items"]
    invoices = await database.fetch(_OF_IMAGES, list(image_ids), items)
    types, ids = [row["type"] for row in rows], [row["id"] for row in rows]
    keys = await database.fetch(_KEYS, types, ids)
    of_types = await database.fetch(_TYPE_KEYS, types)
    cards = [Place("card", row["name"], EntityRef(row["type"], row["id"])) for row in rows if _has_card(row)]
    named = [*_invoices(invoices), *_keys(keys), *_keys(of_types), *cards[:MOST_NAMED]]
    return Uses(named, sum(map(_total, (invoices, keys, of_types))) + len(cards))


async def uses_of_entity(ref: EntityRef) -> Uses:
    """What shows the entity or a picture of it, and will not any more when it is deleted."""
    pk = await database.fetch_value("SELECT pk FROM entity WHERE type = $1 AND id = $2", ref.type, ref.id)
    if pk is None:
        return Uses((), 0)
    invoices = await database.fetch(_OF_ENTITY, pk, [ref.id] if ref.type == "inventory_items" else [])
    others = [row for row in invoices if ref.type != "invoices" or row["id"] != ref.id]
    keys = await database.fetch(_KEYS, [ref.type], [ref.id])
    total = _total(invoices) - (len(invoices) - len(others))
    return Uses([*_invoices(others), *_keys(keys)], total + _total(keys))


def _has_card(row: Any) -> bool:
    """Other cards show the primary picture alone; an invoice's shows all its own."""
    return row["type"] in WITH_CARD and (row["leads"] or row["type"] == "invoices")


def _total(rows: Sequence[Any]) -> int:
    return rows[0]["total"] if rows else 0


def _invoices(rows: Sequence[Any]) -> list[Place]:
    return [
        Place("pin" if row["is_pinned"] else "invoice", row["name"], EntityRef("invoices", row["id"])) for row in rows
    ]


def _keys(rows: Sequence[Any]) -> list[Place]:
    places: list[Place] = []
    for row in rows:
        sites = [parent.partition("://")[2] or "any site" for parent in row["parents"]]
        where = ", ".join(sites[:2]) + (f" and {len(sites) - 2} more" if len(sites) > 2 else "")
        shown = row["name"] if row["scope_id"] else f"all {KINDS[row['scope_type']].label.lower()}"
        about = EntityRef(row["scope_type"], row["scope_id"]) if row["scope_id"] else None
        places.append(Place("key", f"{shown} on {where}" if where else shown, about))
    return places
