"""Lists of entities: what they lack, in which order, and paged by the last row that was seen. Tallies tell what a gallery has."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from portal import database
from portal.entities.kinds import KINDS, EntityRef
from portal.entities.queries import COLUMNS, prefix_query
from portal.errors import FormError
from portal.imaging.presets import PRESETS
from portal.paging import DEFAULT_LIMIT, EXACT_UP_TO, Page, decode_cursor, encode_cursor

Missing = Literal["image", "primary", "alt", "low_resolution"]
Box = tuple[int, int]
MISSING: Final[tuple[Missing, ...]] = ("image", "primary", "alt", "low_resolution")
SORTS: Final = ("name", "updated", "most", "fewest")
PRINT_BOX: Final[Box] = (PRESETS["print"].width, PRESETS["print"].height)

_TALLY: Final = "t.images, t.unsaid, t.primary_width, t.primary_height"
_DESCENDING: Final = ("updated", "most")
WALKED: Final = 3000  # entities, from the first of a list on
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """Which entities: of a type or all, that match words, that lack something. `box`: what fills it is fit for print."""

    type: str | None = None
    q: str = ""
    missing: str = ""
    box: Box = PRINT_BOX


@dataclass(frozen=True, slots=True)
class _Chosen:
    """`where` is about entities, `tally` and `lacking` about their tallies; `total` is None where nothing narrows the list."""

    where: str
    arguments: list[Any]
    tally: str = "true"
    lacking: str = ""
    total: int | None = None

    @property
    def tables(self) -> str:
        return f"entity e JOIN entity_tally t ON t.entity = e.pk AND {self.tally} AND {self.lacking or 'true'}"

    def beginning(self, behind: str, order: str) -> str:
        """The first entities of the list, and of these who lacks it, asked one by one: mostly they fill a page. The planner
        takes two of a tally's figures for independent, and would look up all that lack it."""
        return f"""(SELECT * FROM entity e WHERE {self.where} AND {behind} ORDER BY {order} LIMIT {WALKED}) AS e
            CROSS JOIN LATERAL (SELECT * FROM entity_tally t WHERE t.entity = e.pk AND {self.lacking} OFFSET 0) AS t"""  # noqa: S608 - constant clauses


def gap(missing: str, box: Box = PRINT_BOX) -> str:
    """A condition on the tally `t`; the trash never counts, what lies there is on its way out."""
    width, height = int(box[0]), int(box[1])
    return {
        "image": "t.images = 0",
        "primary": "t.primary_width IS NULL",
        "alt": "t.unsaid > 0",
        # the first part is that of the index
        "low_resolution": f"greatest(t.primary_width, t.primary_height) < {max(width, height)}"
        f" AND t.primary_width < {width} AND t.primary_height < {height}",
    }[missing]


def is_low(row: Mapping[str, Any], box: Box) -> bool:
    """Of a listed row: is there a primary picture, and does it leave the print's box unfilled?"""
    width, height = row["primary_width"], row["primary_height"]
    return width is not None and width < box[0] and height < box[1]


async def list_entities(
    *,
    type: str | None = None,
    q: str = "",
    missing: str = "",
    sort: str = "name",
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
    box: Box = PRINT_BOX,
) -> Page[Mapping[str, Any]]:
    """Rows of the entity table with their tallies: by name (all types: type by type), last changed first, or by how many
    pictures there are. Raises FormError."""
    return await list_wished(Wish(type, q, missing, box), sort=sort, cursor=cursor, limit=limit)


async def list_wished(
    wish: Wish, *, sort: str = "name", cursor: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page[Mapping[str, Any]]:
    """The same, of a wish that is at hand. Raises FormError."""
    check_wish(wish, sort)
    order = _order(wish.type, sort)
    after = _values_behind(cursor, order)
    chosen = await _choose(wish)
    behind = "true"
    if after is not None:
        names = ", ".join(f"${len(chosen.arguments) + place + 1}{_cast(order[place])}" for place in range(len(after)))
        behind = f"({', '.join(order)}) {'<' if sort in _DESCENDING else '>'} ({names})"
    direction = " DESC" if sort in _DESCENDING else ""
    rows = await _listed(
        chosen,
        behind,
        ", ".join(column + direction for column in order),
        limit + 1,
        (*chosen.arguments, *(after or ())),
    )
    total = chosen.total
    if total is None:
        total = len(rows) if after is None and len(rows) <= limit else await _count(chosen)
    items: list[Mapping[str, Any]] = [dict(row) for row in rows[:limit]]
    return Page(items, total, _cursor_of(items[-1], order) if len(rows) > limit else None)


async def _listed(
    chosen: _Chosen, behind: str, order: str, most: int, arguments: Sequence[Any]
) -> Sequence[database.Row]:
    listed = f"SELECT {COLUMNS}, {_TALLY} FROM"
    if chosen.lacking and not order.startswith("t."):
        walked = f"{listed} {chosen.beginning(behind, order)} ORDER BY {order} LIMIT {int(most)}"
        rows = await database.fetch(walked, *arguments)
        if len(rows) >= most:
            return rows
    tables = chosen.tables
    if chosen.where == "true" and order.startswith(
        "t."
    ):  # each type has an index of this order, all together have none
        tables = f"""unnest(ARRAY{list(KINDS)}) AS kind (type) CROSS JOIN LATERAL (
            SELECT * FROM entity_tally t WHERE t.type = kind.type AND {chosen.lacking or "true"} AND {behind}
            ORDER BY {order} LIMIT {int(most)}) AS t JOIN entity e ON e.pk = t.entity"""  # noqa: S608 - constant clauses
    return await database.fetch(
        f"{listed} {tables} WHERE {chosen.where} AND {behind} ORDER BY {order} LIMIT {int(most)}", *arguments
    )


async def next_entity(wish: Wish, *, sort: str, after: EntityRef | None) -> EntityRef | None:
    """The first one of a list behind this one, from its start again after its end; None where there is no other.

    Raises FormError.
    """
    check_wish(wish, sort)
    row = None if after is None else await _row_of(after)
    cursor = None if row is None else _cursor_of(row, _order(wish.type, sort))
    found = await list_wished(wish, sort=sort, cursor=cursor, limit=1)
    if not found.items and cursor:
        found = await list_wished(wish, sort=sort, limit=1)
    refs = [EntityRef(each["type"], each["id"]) for each in found.items]
    return next((ref for ref in refs if ref != after), None)


async def count_wished(wish: Wish, sort: str) -> int:
    """Exact up to 1000, then 1001. Raises FormError."""
    check_wish(wish, sort)
    chosen = await _choose(wish)
    return await _count(chosen) if chosen.total is None else chosen.total


async def count_gaps(type: str, box: Box = PRINT_BOX) -> dict[str, int]:
    """How many of a type lack what, as `missing` names it ("": how many there are), each exact up to 1000, then 1001."""
    sources = [f"SELECT FROM entity e WHERE e.type = $1 LIMIT {EXACT_UP_TO + 1}"]
    sources += [_lacking("t.type = $1", missing, box) for missing in MISSING]
    counts = ", ".join(f"(SELECT count(*) FROM ({source}) AS these)" for source in sources)  # noqa: S608 - constant clauses
    row = await database.fetch_row(f"SELECT {counts}", type)
    return dict(zip(("", *MISSING), row.values() if row else (), strict=True))


async def lacks(ref: EntityRef, missing: str, box: Box) -> bool:
    """Does this one still want it? One that is gone wants nothing."""
    return bool(
        await database.fetch_value(
            f"""SELECT 1 FROM entity e JOIN entity_tally t ON t.entity = e.pk
                WHERE e.type = $1 AND e.id = $2 AND {gap(missing, box)}""",  # noqa: S608 - a constant clause
            ref.type,
            ref.id,
        )
    )


def check_wish(wish: Wish, sort: str) -> None:
    """Raises FormError."""
    errors: dict[str, str] = {}
    if wish.type is not None and wish.type not in KINDS:
        errors["type"] = f"Use one of {', '.join(sorted(KINDS))}."
    if wish.missing and wish.missing not in MISSING:
        errors["missing"] = f"Use one of {', '.join(MISSING)}."
    if sort not in SORTS:
        errors["sort"] = f"Use one of {', '.join(SORTS)}."
    if errors:
        raise FormError(errors)


async def _choose(wish: Wish) -> _Chosen:
    """What is rare is looked up first: the planner cannot guess how rare a word is, and would walk the whole list."""
    words = prefix_query(wish.q)
    chosen = _Chosen("true", [])
    if wish.type is not None:
        chosen = _Chosen("e.type = $1", [wish.type], "t.type = $1")
    if wish.missing:
        chosen = await _lacking_ones(wish, chosen)
    if words:
        place = len(chosen.arguments) + 1
        matching = f"{chosen.where} AND e.search @@ lower(${place}::text)::tsquery"
        chosen = replace(chosen, where=matching, arguments=[*chosen.arguments, words])
        hits = await _hits(chosen)
        chosen = _few(hits) or replace(chosen, total=len(hits))
    return chosen


async def _lacking_ones(wish: Wish, chosen: _Chosen) -> _Chosen:
    rows = await database.fetch(_lacking(chosen.tally, wish.missing, wish.box), *chosen.arguments)
    hits = [row["entity"] for row in rows]
    return _few(hits) or replace(chosen, total=len(hits), lacking=gap(wish.missing, wish.box))


def _lacking(of_type: str, missing: str, box: Box) -> str:
    where = f"{of_type} AND {gap(missing, box)}"
    return f"SELECT t.entity FROM entity_tally t WHERE {where} LIMIT {EXACT_UP_TO + 1}"  # noqa: S608 - constant clauses


def _few(hits: Sequence[int]) -> _Chosen | None:
    return _Chosen("e.pk = ANY($1::bigint[])", [list(hits)], total=len(hits)) if len(hits) <= EXACT_UP_TO else None


async def _hits(chosen: _Chosen) -> list[int]:
    """Keys, in no order; 1001 of them where there are more than 1000."""
    rows = await database.fetch(
        f"SELECT e.pk FROM {_source(chosen)} WHERE {chosen.where} LIMIT {EXACT_UP_TO + 1}",  # noqa: S608 - constant clauses
        *chosen.arguments,
    )
    return [row["pk"] for row in rows]


async def _count(chosen: _Chosen) -> int:
    """Exact up to 1000, then 1001."""
    return await database.fetch_value(
        f"SELECT count(*) FROM (SELECT FROM {_source(chosen)} WHERE {chosen.where} LIMIT {EXACT_UP_TO + 1}) AS matches",  # noqa: S608 - constant clauses
        *chosen.arguments,
    )


def _source(chosen: _Chosen) -> str:
    return chosen.tables if chosen.lacking else "entity e"


def _order(type: str | None, sort: str) -> list[str]:
    """The columns that order the list; all go the same way."""
    if sort == "updated":
        return ["e.updated_at", "e.pk"]
    if sort == "name":
        return ["e.name", "e.pk"] if type is not None else ["e.type", "e.name", "e.pk"]
    return ["t.images", "t.entity"]


def _cast(column: str) -> str:
    return "::bigint" if column == "t.images" else ""


def _values_behind(cursor: str | None, order: list[str]) -> list[Any] | None:
    """What the last row of the page before had in these columns. Raises FormError."""
    kinds = [str if column in ("e.type", "e.name") else int for column in order]
    values = decode_cursor(cursor, kinds)
    return None if values is None else [_value(column, each) for column, each in zip(order, values, strict=True)]


def _value(column: str, value: Any) -> Any:
    """A bigint and a time, whatever the cursor says."""
    if column == "e.updated_at":
        return _moment(value)
    return max(-(2**63), min(value, 2**63 - 1)) if isinstance(value, int) else value


def _cursor_of(row: Mapping[str, Any], order: list[str]) -> str:
    said = [row["pk" if column == "t.entity" else column[2:]] for column in order]
    return encode_cursor([_microseconds(each) if isinstance(each, datetime.datetime) else each for each in said])


async def _row_of(ref: EntityRef) -> Mapping[str, Any] | None:
    row = await database.fetch_row(
        """SELECT e.pk, e.type, e.name, e.updated_at, t.images FROM entity e JOIN entity_tally t ON t.entity = e.pk
           WHERE e.type = $1 AND e.id = $2""",
        ref.type,
        ref.id,
    )
    return None if row is None else dict(row)


def _microseconds(moment: datetime.datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime.datetime:
    try:
        return _EPOCH + microseconds * _MICROSECOND
    except OverflowError as error:
        raise FormError({"cursor": "This cursor is not one of ours; start again from the first page."}) from error
