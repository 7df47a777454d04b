"""Writing entities: the whole of one at a time, with its lines and its line in the audit, in one transaction."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any, Literal

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.entities.forms import EntityInput, LineInput, entity_as_json
from portal.entities.kinds import EntityRef
from portal.entities.queries import forget_counts
from portal.errors import Conflict, Stale

Found = tuple[Mapping[str, Any], EntityInput]
Outcome = Literal["created", "changed", "unchanged"]

_COLUMNS = "name, reference, parent_type, parent_id, attributes, number, date, currency, total"
_INSERT = f"""
    INSERT INTO entity (type, id, {_COLUMNS}, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11, clock_timestamp(), clock_timestamp())
    ON CONFLICT (type, id) DO NOTHING RETURNING pk
"""  # noqa: S608 - joined from constants
_UPDATE = f"""
    UPDATE entity SET ({_COLUMNS}, updated_at)
    = ($2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10, greatest(clock_timestamp(), updated_at + interval '1 microsecond'))
    WHERE pk = $1
"""  # noqa: S608 - joined from constants
_SELECT = f"SELECT pk, updated_at, {_COLUMNS} FROM entity WHERE type = $1 AND id = $2 FOR UPDATE"  # noqa: S608 - constant columns and clauses


async def put_entity(
    ref: EntityRef, entity: EntityInput, actor: Actor, *, unless_changed_since: datetime.datetime | None = None
) -> bool:
    """Make `ref` exactly this; True when it was not there before. An equal entity is left alone, without a trace.

    Raises Stale when it is not there or was changed after `unless_changed_since` (its updated_at).
    """
    async with database.transaction():
        outcome = await store_entity(ref, entity, actor, unless_changed_since=unless_changed_since)
    forget_counts()
    return outcome == "created"


async def create_entity(ref: EntityRef, entity: EntityInput, actor: Actor) -> None:
    """Raises Conflict when there is one already, which then stays as it is."""
    async with database.transaction():
        if await store_entity(ref, entity, actor) != "created":
            raise Conflict(f"There is {ref} already.")
    forget_counts()


async def store_entity(
    ref: EntityRef, entity: EntityInput, actor: Actor, *, unless_changed_since: datetime.datetime | None = None
) -> Outcome:
    """What put_entity does, inside the open transaction."""
    found = await find_entity(ref)
    if unless_changed_since is not None and (found is None or found[0]["updated_at"] != unless_changed_since):
        raise Stale(f"{ref} was changed by somebody else. Read it again, then save.")
    return await store_over(found, ref, entity, actor)


async def store_over(found: Found | None, ref: EntityRef, entity: EntityInput, actor: Actor) -> Outcome:
    """In the open transaction, in which `find_entity` has just given `found`."""
    if found is None:
        pk = await database.fetch_value(_INSERT, ref.type, ref.id, *_values(entity))
        if pk is None:  # somebody else made it since we looked: now it is there to be changed
            return await store_entity(ref, entity, actor)
        await _insert_lines(pk, entity)
        await record(actor, "entity.add", "entity", str(ref), after=_said(entity_as_json(entity)))
        return "created"
    row, before = found
    changed = _changes(entity_as_json(before), entity_as_json(entity))
    if not changed:
        return "unchanged"
    await database.execute(_UPDATE, row["pk"], *_values(entity))
    if "lines" in changed:
        await database.execute("DELETE FROM invoice_line WHERE invoice = $1", row["pk"])
        await _insert_lines(row["pk"], entity)
    await record(
        actor,
        "entity.change",
        "entity",
        str(ref),
        before={name: old for name, (old, _) in changed.items()},
        after={name: new for name, (_, new) in changed.items()},
    )
    return "changed"


async def find_entity(ref: EntityRef) -> Found | None:
    """The row (pk, updated_at, …), locked for the rest of the transaction, and what it says; None when there is none."""
    row = await database.fetch_row(_SELECT, ref.type, ref.id)
    if row is None:
        return None
    lines: list[Any] = []
    if ref.type == "invoices":
        lines = await database.fetch(
            "SELECT item, description, quantity, unit_price FROM invoice_line WHERE invoice = $1 ORDER BY position",
            row["pk"],
        )
    return dict(row), EntityInput(
        name=row["name"],
        reference=row["reference"],
        parent=EntityRef(row["parent_type"], row["parent_id"]) if row["parent_type"] else None,
        attributes=json.loads(row["attributes"]),
        number=row["number"],
        date=row["date"],
        currency=row["currency"],
        total=row["total"],
        lines=tuple(LineInput(**line) for line in lines),
    )


def _values(entity: EntityInput) -> tuple[Any, ...]:
    """In the order of _COLUMNS."""
    parent = entity.parent
    return (
        entity.name,
        entity.reference,
        parent.type if parent else None,
        parent.id if parent else None,
        json.dumps(entity.attributes),
        entity.number,
        entity.date,
        entity.currency,
        entity.total,
    )


async def _insert_lines(invoice: int, entity: EntityInput) -> None:
    lines = entity.lines
    if not lines:
        return
    await database.execute(
        """INSERT INTO invoice_line (invoice, position, item, description, quantity, unit_price)
           SELECT $1, line.place - 1, line.item, line.description, line.quantity, line.unit_price
           FROM unnest($2::text[], $3::text[], $4::numeric[], $5::numeric[])
                WITH ORDINALITY AS line (item, description, quantity, unit_price, place)""",
        invoice,
        [line.item for line in lines],
        [line.description for line in lines],
        [line.quantity for line in lines],
        [line.unit_price for line in lines],
    )


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Field → (old, new) where they differ as JSON: there `true` is not `1`, which Python would have equal."""
    return {
        name: (before[name], after[name])
        for name in after
        if json.dumps(before[name], sort_keys=True) != json.dumps(after[name], sort_keys=True)
    }


def _said(values: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that were left out."""
    return {name: value for name, value in values.items() if value not in (None, {}, [])}
