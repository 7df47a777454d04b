"""Reading the audit: the history of one thing, and pages of lines by who, what, when."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from portal import database
from portal.errors import FormError
from portal.paging import EXACT_UP_TO, Page, decode_cursor, encode_cursor

LINES_AT_ONCE: Final = 500  # of an export
MOST_NAMES: Final = 50
SLACK: Final = timedelta(days=1)  # ids follow time, but for transactions that take long
_COLUMNS: Final = "line.pk, line.at, line.actor, line.action, line.subject_type, line.subject_id, line.request_id"


# Each of two: ids and times go apart a little where a transaction takes long, and much where a clock was wrong for a while.
_FIRST_PLACE: Final = """
    SELECT least((SELECT pk FROM audit WHERE at >= $1 ORDER BY at, pk LIMIT 1),
                 (SELECT pk FROM audit WHERE at >= $2 ORDER BY at, pk LIMIT 1))
"""
_LAST_PLACE: Final = """
    SELECT greatest((SELECT pk FROM audit WHERE at < $1 ORDER BY at DESC, pk DESC LIMIT 1), after.pk)
    FROM (SELECT pk FROM audit WHERE at >= $2 ORDER BY at, pk LIMIT 1) AS after
"""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`before` and `after` are None where nothing was changed or where an erasure blanked them."""

    at: datetime
    actor: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditLine:
    id: int
    at: datetime
    actor: str
    action: str
    subject_type: str
    subject_id: str
    request_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines. `who`: part of a person's address or name, or of a token's name. `subject_type` None: of any type."""

    who: str = ""
    action: str = ""
    subject_type: str | None = None
    subject_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    request: str = ""


async def history_of(subject_type: str, subject_id: str, limit: int = 50) -> list[AuditEntry]:
    """What was done to one thing, newest first."""
    rows = await database.fetch(
        """SELECT audit.at, audit.actor, audit.action, change.before, change.after
           FROM audit LEFT JOIN audit_change AS change ON change.audit = audit.pk
           WHERE audit.subject_type = $1 AND audit.subject_id = $2
           ORDER BY audit.pk DESC LIMIT $3""",
        subject_type,
        subject_id,
        limit,
    )
    return [
        AuditEntry(row["at"], row["actor"], row["action"], _read(row["before"]), _read(row["after"])) for row in rows
    ]


async def lines_of_request(request: str, actor: str, since: timedelta, limit: int) -> list[AuditLine]:
    """What one request of this actor's did, the first of it in its order, unless that is longer ago."""
    rows = await database.fetch(
        f"""SELECT {_COLUMNS}, change.before, change.after FROM audit AS line LEFT JOIN audit_change AS change
            ON change.audit = line.pk WHERE line.request_id = $1 AND line.actor = $2 AND line.at > now() - $3::interval
            ORDER BY line.pk LIMIT $4""",  # noqa: S608 - constant columns
        request,
        actor[:200],
        since,
        limit,
    )
    return [_line(row) for row in rows]


async def done_again(lines: Sequence[AuditLine]) -> set[str]:
    """The subjects of those lines after which the same was done once more."""
    rows = await database.fetch(
        """SELECT DISTINCT subject_id FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
           AS before (line, type, id, done)
           JOIN audit ON subject_type = type AND subject_id = id AND action = done AND pk > line""",
        [line.id for line in lines],
        [line.subject_type for line in lines],
        [line.subject_id for line in lines],
        [line.action for line in lines],
    )
    return {row["subject_id"] for row in rows}


async def last_line() -> int:
    return await database.fetch_value("SELECT coalesce(max(pk), 0) FROM audit")


async def times_of_request(
    request: str | None, action: str, subject_type: str, subjects: Sequence[str], after: int
) -> dict[str, int]:
    """How often one request has done something to each of these since the line `after`."""
    rows = await database.fetch(
        """SELECT subject_id, count(*) AS times FROM audit WHERE subject_type = $1 AND subject_id = ANY($2::text[])
           AND request_id = $3 AND action = $4 AND pk > $5 GROUP BY subject_id""",
        subject_type,
        list(subjects),
        request,
        action,
        after,
    )
    return {row["subject_id"]: row["times"] for row in rows}


def _read(value: str | None) -> dict[str, Any] | None:
    return None if value is None else json.loads(value)


async def list_lines(wanted: Wanted, *, cursor: str | None, limit: int) -> Page[AuditLine]:
    """Newest first. Raises FormError for a foreign cursor, or when `who` fits too many."""
    after = decode_cursor(cursor, [int])
    where = await _where(wanted)
    if where is None:
        return Page([], 0, None)
    total = await database.fetch_value(where.counting(EXACT_UP_TO + 1), *where.values)
    lines = await _lines(where, after[0] if after else None, limit + 1)
    return Page(lines[:limit], total, encode_cursor([lines[limit - 1].id]) if len(lines) > limit else None)


async def every_line(wanted: Wanted) -> AsyncIterator[AuditLine]:
    """Newest first, a few hundred in memory. Raises FormError when `who` fits too many."""
    where = await _where(wanted)
    last = None
    while where is not None and (lines := await _lines(where, last, LINES_AT_ONCE)):
        for line in lines:
            yield line
        last = lines[-1].id


async def _lines(where: _Where, before: int | None, limit: int) -> list[AuditLine]:
    rows = await database.fetch(where.reading(before, limit), *where.values)
    return [_line(row) for row in rows]


def _line(row: Mapping[str, Any]) -> AuditLine:
    return AuditLine(
        row["pk"],
        row["at"],
        row["actor"],
        row["action"],
        row["subject_type"],
        row["subject_id"],
        row["request_id"],
        _read(row["before"]),
        _read(row["after"]),
    )


@dataclass(slots=True)
class _Where:
    """Conditions on `audit`, each with its index. Of several names (`legs`) each is looked up by itself, in the index's order."""

    values: list[Any] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    legs: str = ""

    def add(self, condition: str, value: Any) -> None:
        self.values.append(value)
        self.conditions.append(condition.replace("?", f"${len(self.values)}"))

    def split(self, column: str, names: list[str]) -> None:
        self.values.append(names)
        self.legs = f"unnest(${len(self.values)}::text[]) AS leg (name)"
        self.conditions.append(f"{column} = leg.name")

    def _chosen(self, columns: str, limit: int, before: int | None = None) -> str:
        conditions = self.conditions + ([] if before is None else [f"pk < {before:d}"])
        chosen = (
            f"SELECT {columns} FROM audit WHERE {' AND '.join(conditions) or 'true'} ORDER BY pk DESC LIMIT {limit:d}"  # noqa: S608 - constants and numbers
        )
        return f"SELECT line.* FROM {self.legs} CROSS JOIN LATERAL ({chosen}) AS line" if self.legs else chosen  # noqa: S608 - constants

    def reading(self, before: int | None, limit: int) -> str:
        return f"""
            SELECT {_COLUMNS}, change.before, change.after
            FROM (SELECT * FROM ({self._chosen("*", limit, before)}) AS found ORDER BY pk DESC LIMIT {limit:d}) AS line
            LEFT JOIN audit_change AS change ON change.audit = line.pk ORDER BY line.pk DESC"""  # noqa: S608 - constants and numbers

    def counting(self, most: int) -> str:
        return f"SELECT count(*) FROM (SELECT FROM ({self._chosen('pk', most)}) AS found LIMIT {most:d}) AS counted"  # noqa: S608 - constants and numbers


async def _where(wanted: Wanted) -> _Where | None:
    """None where nothing can fit. Raises FormError."""
    where = _Where()
    if wanted.subject_type is not None:
        where.add("subject_type = ?", wanted.subject_type)
    if wanted.subject_id:
        where.add("subject_id = ?", wanted.subject_id)
    if wanted.action:
        where.add("action = ?", wanted.action)
    if wanted.request:
        where.add("request_id = ?", wanted.request)
    actors = await _actors_like(wanted.who) if wanted.who else None
    if actors == []:
        return None
    if wanted.subject_id and wanted.subject_type is None:
        where.split("subject_type", await distinct("subject_type"))
        if actors:
            where.add("actor = ANY(?::text[])", actors)
    elif actors:
        where.split("actor", actors)
    await _bound(where, wanted)
    return where


async def _bound(where: _Where, wanted: Wanted) -> None:
    """A time as a place among the ids, so that a page of last year is not looked for from today on."""
    if wanted.since is not None:
        where.add("at >= ?", wanted.since)
        place = await database.fetch_value(_FIRST_PLACE, wanted.since, wanted.since - SLACK)
        if place is not None:
            where.add("pk >= ?", place)
    if wanted.until is not None:
        where.add("at < ?", wanted.until)
        place = await database.fetch_value(_LAST_PLACE, wanted.until, wanted.until + SLACK)
        if place is not None:
            where.add("pk <= ?", place)


async def distinct(column: str) -> list[str]:
    """Every value of one of audit's indexed columns, each found by one step in the index."""
    if column not in ("actor", "action", "subject_type"):
        raise ValueError(column)
    rows = await database.fetch(
        f"""WITH RECURSIVE names AS (
                (SELECT {column} AS name FROM audit ORDER BY {column} LIMIT 1)
                UNION ALL
                SELECT (SELECT {column} FROM audit WHERE {column} > names.name ORDER BY {column} LIMIT 1) FROM names
                WHERE names.name IS NOT NULL)
            SELECT name FROM names WHERE name IS NOT NULL"""  # noqa: S608 - one of three names
    )
    return [row["name"] for row in rows]


async def _actors_like(text: str) -> list[str]:
    """By a part of the stored name, or of the name of an account. Raises FormError for too many."""
    part = text.casefold().strip()
    rows = await database.fetch("SELECT email, name FROM account WHERE position($1 IN lower(name)) > 0", part)
    named = {f"user:{row['email']}" for row in rows}
    found = [name for name in await distinct("actor") if part in name.casefold() or name in named]
    exact = [name for name in found if part in (name.casefold(), name.partition(":")[2].casefold())]
    if len(exact or found) > MOST_NAMES:
        raise FormError({"who": "This fits too many names. Write more of it."})
    return exact or found
