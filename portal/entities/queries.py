"""Lists, searches and counts of entities: rows out; views are built upstairs."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from portal import database
from portal.entities.kinds import KINDS
from portal.entities.lasting import QUICK, Lasting
from portal.errors import FormError
from portal.paging import DEFAULT_LIMIT, EXACT_UP_TO, Page, decode_cursor, encode_cursor

Missing = Literal["image", "primary", "alt"]
MISSING: Final[tuple[Missing, ...]] = ("image", "primary", "alt")
SORTS: Final = ("name", "updated")
LONGEST_QUERY: Final = 200
MOST_WORDS: Final = 8
COUNTS_SECONDS: Final = 5.0
COUNTED_AT_ONCE: Final = 0.01  # else a page shows the last counts, and does not wait for the new ones

COLUMNS: Final = (
    "e.pk, e.type, e.id, e.name, e.reference, e.parent_type, e.parent_id, e.attributes, e.number, e.date, e.currency,"
    " e.total, e.created_at, e.updated_at"
)
# The trash never counts: what lies there is on its way out.
_MISSING_SQL: Final[dict[str, str]] = {
    # not to be turned into a join, which would read all pictures
    "image": "(SELECT 1 FROM image i WHERE i.entity = e.pk AND i.sort_order IS NOT NULL LIMIT 1) IS NULL",
    "primary": "NOT EXISTS (SELECT FROM image i WHERE i.entity = e.pk AND i.is_primary)",
    "alt": (
        "EXISTS (SELECT FROM image i WHERE i.entity = e.pk AND i.alt_text IS NULL AND NOT i.decorative"
        " AND i.trashed_at IS NULL)"
    ),
}
_PART: Final = re.compile(r"[^\W_]+")
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many entities of one type there are, and how many of them have at least one picture."""

    type: str
    total: int
    with_pictures: int

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all."""
        return 100 * self.with_pictures // self.total if self.total else 0


async def list_entities(
    *,
    type: str | None = None,
    q: str = "",
    missing: str = "",
    sort: str = "name",
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[Mapping[str, Any]]:
    """Rows of the entity table by name (all types: type by type) or last changed first. Raises FormError."""
    _check_choices(type, missing, sort)
    where, arguments = _conditions(type, q, missing)
    order, after = _position(type, sort, cursor)
    total: int | None = None
    if prefix_query(q) or missing:
        # The planner cannot guess how rare a word is, and would walk the whole index in order to find nothing.
        is_plain = type is not None and missing == "image" and not prefix_query(q)
        hits = await (_without_picture[type or ""].get() if is_plain else _hits(where, arguments, missing))
        total = len(hits)
        if total <= EXACT_UP_TO:
            still = f" AND {_MISSING_SQL['image']}" if is_plain else ""  # who has one by now is not shown
            where, arguments = f"e.pk = ANY($1::bigint[]){still}", [hits]
    wanted = where
    if after is not None:
        names = ", ".join(f"${len(arguments) + place + 1}" for place in range(len(after)))
        columns = ", ".join(f"e.{column}" for column in order)
        wanted = f"{where} AND ({columns}) {'<' if sort == 'updated' else '>'} ({names})"
    direction = " DESC" if sort == "updated" else ""
    rows = await database.fetch(
        f"SELECT {COLUMNS} FROM entity e WHERE {wanted}"  # noqa: S608 - joined from constants and placeholders
        f" ORDER BY {', '.join(f'e.{column}{direction}' for column in order)} LIMIT {int(limit) + 1}",
        *arguments,
        *(after or ()),
    )
    if total is None:
        total = len(rows) if after is None and len(rows) <= limit else await _count(where, arguments)
    items: list[Mapping[str, Any]] = [dict(row) for row in rows[:limit]]
    return Page(items, total, _cursor_of(items[-1], order) if len(rows) > limit else None)


async def count_entities(*, type: str | None = None, q: str = "", missing: str = "") -> int:
    """Exact up to 1000, then 1001. Raises FormError."""
    _check_choices(type, missing, "name")
    where, arguments = _conditions(type, q, missing)
    return await _count(where, arguments, missing)


async def _find_without_picture(type: str) -> list[int]:
    return await _hits(*_conditions(type, "", "image"), "image")


_without_picture: Final = {name: Lasting(partial(_find_without_picture, name)) for name in KINDS}


async def filter_counts(type: str) -> dict[str, int] | None:
    """How many of a type lack what, as `missing` names it ("": how many there are), exact up to 1000, then 1001; where there are
    very many, some seconds old. None where it takes a while and nobody knows yet. Raises FormError."""
    _check_choices(type, "", "name")
    return await _filter_counts[type].find_within(QUICK)


async def _count_filters(type: str) -> dict[str, int]:
    return {missing: await count_entities(type=type, missing=missing) for missing in ("", *MISSING)}


_filter_counts: Final = {name: Lasting(partial(_count_filters, name)) for name in KINDS}


async def find_entities(q: str, limit: int) -> list[Mapping[str, Any]]:
    """Rows that a search means: its very id, reference or number first, then the best of the newest 1000 that match."""
    words = prefix_query(q)
    if words is None:
        return []
    matches = "e.search @@ lower($1::text)::tsquery"
    hits = await _hits(matches, [words])
    if len(hits) > EXACT_UP_TO:
        hits = await _hits(matches, [words], order="ORDER BY e.pk DESC")
    rows = await database.fetch(
        f"""SELECT {COLUMNS} FROM entity e WHERE e.pk = ANY($4::bigint[])
            ORDER BY lower($2) IN (lower(e.id), lower(e.reference), lower(e.number)) IS NOT TRUE,
                     ts_rank(e.search, lower($1::text)::tsquery) DESC, e.name, e.pk LIMIT $3""",  # noqa: S608 - constant columns and clauses
        words,
        plain_query(q),
        limit,
        hits,
    )
    return [dict(row) for row in rows]


def _check_choices(type: str | None, missing: str, sort: str) -> None:
    errors: dict[str, str] = {}
    if type is not None and type not in KINDS:
        errors["type"] = f"Use one of {', '.join(sorted(KINDS))}."
    if missing and missing not in _MISSING_SQL:
        errors["missing"] = f"Use one of {', '.join(MISSING)}."
    if sort not in SORTS:
        errors["sort"] = f"Use one of {', '.join(SORTS)}."
    if errors:
        raise FormError(errors)


def _conditions(type: str | None, q: str, missing: str) -> tuple[str, list[Any]]:
    conditions, arguments = ["true"], []
    if type is not None:
        arguments.append(type)
        conditions.append(f"e.type = ${len(arguments)}")
    words = prefix_query(q)
    if words:
        arguments.append(words)
        conditions.append(f"e.search @@ lower(${len(arguments)}::text)::tsquery")
    if missing:
        conditions.append(_MISSING_SQL[missing])
    return " AND ".join(conditions), arguments


def _position(type: str | None, sort: str, cursor: str | None) -> tuple[list[str], list[Any] | None]:
    """The columns that order the list, and their values in the last row of the page before."""
    if sort == "updated":
        values = decode_cursor(cursor, [int, int])
        return ["updated_at", "pk"], None if values is None else [_moment(values[0]), _key(values[1])]
    order = ["name", "pk"] if type is not None else ["type", "name", "pk"]
    values = decode_cursor(cursor, [*(str for _ in order[1:]), int])
    return order, None if values is None else [*values[:-1], _key(values[-1])]


def _cursor_of(row: Mapping[str, Any], order: list[str]) -> str:
    return encode_cursor([_microseconds(row[name]) if name == "updated_at" else row[name] for name in order])


def _microseconds(moment: datetime.datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime.datetime:
    try:
        return _EPOCH + microseconds * _MICROSECOND
    except OverflowError as error:
        raise FormError({"cursor": "This cursor is not one of ours; start again from the first page."}) from error


def _key(value: int) -> int:
    """A bigint, whatever the cursor says."""
    return max(-(2**63), min(value, 2**63 - 1))


async def _hits(where: str, arguments: list[Any], missing: str = "", *, order: str = "") -> list[int]:
    """Keys, in no order unless told; 1001 of them where there are more than 1000."""
    rows = await database.fetch(
        f"SELECT e.pk FROM {_source(where, missing)} {order} LIMIT {EXACT_UP_TO + 1}",  # noqa: S608 - constant columns and clauses
        *arguments,
    )
    return [row["pk"] for row in rows]


async def _count(where: str, arguments: list[Any], missing: str = "") -> int:
    """Exact up to 1000, then 1001."""
    return await database.fetch_value(
        f"SELECT count(*) FROM (SELECT FROM {_source(where, missing)} LIMIT {EXACT_UP_TO + 1}) AS matches",  # noqa: S608 - constant columns and clauses
        *arguments,
    )


def _source(where: str, missing: str) -> str:
    """Who has no primary picture is told by one pass over two small indexes; only these few are asked for any picture."""
    if missing != "image":
        return f"entity e WHERE {where}"
    without = where.replace(_MISSING_SQL["image"], _MISSING_SQL["primary"])
    return f"(SELECT e.pk FROM entity e WHERE {without} OFFSET 0) AS e WHERE {_MISSING_SQL['image']}"  # noqa: S608 - constant clauses


def prefix_query(text: str) -> str | None:
    """`Mug bl` → `'Mug':* & 'bl':*`, to be cast to tsquery after lower(); None when nothing is asked.

    Quoted here and cast without the parser of to_tsquery, so that no sign of the user's is an operator. A word with signs inside
    (`fjord-bl`) is looked for as it stands and in its parts, as PostgreSQL indexes hyphenated words both ways.
    """
    words = plain_query(text).split()
    telling = [word for word in words if _PART.search(word)] or words  # the & of "mug & bowl" is not asked for
    return " & ".join(_word_query(word) for word in telling[:MOST_WORDS]) or None


def plain_query(text: str) -> str:
    """What somebody searches for, in NFC, without what no text in the database can hold; at most 200 characters."""
    usable = unicodedata.normalize("NFC", text[:LONGEST_QUERY].encode("utf-8", "ignore").decode())
    return "".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in usable).strip()


def _word_query(word: str) -> str:
    parts = _PART.findall(word)
    if len(parts) < 2:
        return f"{_quoted(parts[0] if parts else word)}:*"
    together = " & ".join(_part_query(part) for part in parts)
    return f"({_quoted(word)}:* | ({together}))"


def _part_query(part: str) -> str:
    """The parser reads the `-2026` of `INV-2026` as a number below zero."""
    return f"({_quoted(part)}:* | {_quoted('-' + part)}:*)" if part.isdigit() else f"{_quoted(part)}:*"


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


async def count_invoices_listing(item: str) -> int:
    """On how many invoices this inventory item stands."""
    return await database.fetch_value("SELECT count(DISTINCT invoice) FROM invoice_line WHERE item = $1", item)


async def invoices_listing(item: str, limit: int) -> list[tuple[str, str]]:
    """Id and name of invoices that this inventory item stands on, newest first."""
    rows = await database.fetch(
        """SELECT e.id, e.name FROM entity e WHERE e.pk IN (SELECT invoice FROM invoice_line WHERE item = $1)
           ORDER BY e.date DESC NULLS LAST, e.pk DESC LIMIT $2""",
        item,
        limit,
    )
    return [(row["id"], row["name"]) for row in rows]


async def coverage() -> list[Coverage]:
    """All five types in the order of the menu; where there are very many, some seconds old."""
    return await _coverage.get()


async def _count_coverage() -> list[Coverage]:
    rows = await database.fetch(
        f"""SELECT e.type, count(*) AS total,
                   count(*) FILTER (WHERE shown.entity IS NOT NULL OR NOT ({_MISSING_SQL["image"]})) AS with_pictures
            FROM entity e LEFT JOIN image shown ON shown.entity = e.pk AND shown.is_primary GROUP BY e.type"""  # noqa: S608 - constant clauses
    )
    found = {row["type"]: Coverage(row["type"], row["total"], row["with_pictures"]) for row in rows}
    return [found.get(name, Coverage(name, 0, 0)) for name in KINDS]


_coverage: Final = Lasting(_count_coverage)


async def counts_by_type() -> dict[str, int]:
    """How many entities of each type; some seconds old, as every page's menu shows them."""
    return dict(await _counts.get())


async def _count_types() -> dict[str, int]:
    rows = await database.fetch("SELECT type, count(*) AS total FROM entity GROUP BY type")
    found = {row["type"]: int(row["total"]) for row in rows}
    return {name: found.get(name, 0) for name in KINDS}


_counts: Final = Lasting(_count_types, quick=COUNTED_AT_ONCE, least=COUNTS_SECONDS)


def forget_counts() -> None:
    """After this process changed the number of entities: its next page counts anew."""
    _counts.forget()
    for each in _without_picture.values():
        each.forget()
