"""Writing the audit: one row for each thing done, in the transaction that does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from portal import database
from portal.audit.actors import Actor

_Values = dict[str, Any] | None

# Set by the outermost middleware, so that a line of the audit leads to the lines of the log.
request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)

_INSERT_ROW = """
    INSERT INTO audit (actor, action, subject_type, subject_id, request_id)
    VALUES ($1, $2, $3, $4, $5)
"""
_INSERT_ROW_AND_CHANGE = f"""
    WITH line AS ({_INSERT_ROW} RETURNING pk)
    INSERT INTO audit_change (audit, before, after) SELECT pk, $6::jsonb, $7::jsonb FROM line
"""  # noqa: S608 - joined from constants

_INSERT_MANY = """
    WITH line AS (
        INSERT INTO audit (actor, action, subject_type, subject_id, request_id)
        SELECT $1, $2, $3, id, $4 FROM unnest($5::text[]) WITH ORDINALITY AS subject (id, n) ORDER BY n RETURNING pk, subject_id)
    INSERT INTO audit_change (audit, before, after) SELECT line.pk, change.before::jsonb, change.after::jsonb
    FROM line JOIN unnest($5::text[], $6::text[], $7::text[]) AS change (id, before, after) ON change.id = line.subject_id
    WHERE change.before IS NOT NULL OR change.after IS NOT NULL
"""


async def record(
    actor: Actor,
    action: str,
    subject_type: str,
    subject_id: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add one line, `action` as `image.add`. Raises RuntimeError outside a transaction: a deed and its line are one.

    `before` and `after` hold what changed, and what is alike in both is left out; what JSON does not know (times, ids,
    decimals) is kept as text.
    """
    database.connection_of_transaction()
    before, after = _without_alike(before, after)
    line = (actor.name[:200], action, subject_type, subject_id[:100], request_id.get())
    if before is None and after is None:
        await database.execute(_INSERT_ROW, *line)
    else:
        await database.execute(_INSERT_ROW_AND_CHANGE, *line, _json(before), _json(after))


async def record_many(
    actor: Actor, action: str, subject_type: str, changes: Mapping[str, tuple[_Values, _Values]]
) -> None:
    """A line for each subject by its id, with what it was before and is after, as `record` would write them one by one."""
    database.connection_of_transaction()
    if not changes:
        return
    told = [_without_alike(*each) for each in changes.values()]
    await database.execute(
        _INSERT_MANY,
        actor.name[:200],
        action,
        subject_type,
        request_id.get(),
        [subject[:100] for subject in changes],
        [_json(before) for before, _ in told],
        [_json(after) for _, after in told],
    )


def _without_alike(before: _Values, after: _Values) -> tuple[_Values, _Values]:
    if before is None or after is None:
        return before, after
    alike = {name for name in before if name in after and before[name] == after[name]}
    return _without(before, alike), _without(after, alike)


def _without(values: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _json(values: dict[str, Any] | None) -> str | None:
    return None if values is None else json.dumps(values, default=str)
