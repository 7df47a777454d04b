"""Searches and counts of entities: rows out; views are built upstairs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from portal import database
from portal.entities.kinds import KINDS
from portal.entities.lasting import Lasting
from portal.paging import EXACT_UP_TO

LONGEST_QUERY: Final = 200
MOST_WORDS: Final = 8
COUNTS_SECONDS: Final = 5.0
MANY: Final = 20_000

COLUMNS: Final = (
    "e.pk, e.type, e.id, e.name, e.reference, e.parent_type, e.parent_id, e.attributes, e.number, e.date, e.currency,"
    " e.total, e.created_at, e.updated_at"
)
_PART: Final = re.compile(r"[^\W_]+")


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


async def _hits(where: str, arguments: list[Any], *, order: str = "") -> list[int]:
    """Keys, in no order unless told; 1001 of them where there are more than 1000."""
    rows = await database.fetch(
        f"SELECT e.pk FROM entity e WHERE {where} {order} LIMIT {EXACT_UP_TO + 1}",  # noqa: S608 - constant columns and clauses
        *arguments,
    )
    return [row["pk"] for row in rows]


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
    *whole, begun = parts  # what a sign follows is written to its end
    together = " & ".join([*(_part_query(part, "") for part in whole), _part_query(begun, ":*")])
    return f"({_quoted(word)}:* | ({together}))"


def _part_query(part: str, more: str) -> str:
    """The parser reads the `-2026` of `INV-2026` as a number below zero."""
    number = f"({_quoted(part)}{more} | {_quoted('-' + part)}{more})"
    return number if part.isdigit() else f"{_quoted(part)}{more}"


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


async def count_invoices_listing(item: str) -> int:
    """On how many invoices this inventory item stands."""
    return await database.fetch_value("SELECT count(DISTINCT invoice) FROM invoice_line WHERE item = $1", item)


async def counts_by_type() -> dict[str, int]:
    """How many entities of each type; some seconds old, as every page's menu shows them."""
    return dict(await _counts.get())


async def _count_types() -> dict[str, int]:
    rows = await database.fetch("SELECT type, count(*) AS total FROM entity_tally GROUP BY type")  # narrower rows
    found = {row["type"]: int(row["total"]) for row in rows}
    return {name: found.get(name, 0) for name in KINDS}


def are_many(entities: int) -> bool:
    """To count them takes longer than a page may."""
    return entities > MANY


_counts: Final = Lasting(
    _count_types,
    least=COUNTS_SECONDS,
    is_large=lambda counts: are_many(sum(counts.values())),
)


def forget_counts() -> None:
    """After this process changed the number of entities: its next page counts anew."""
    _counts.forget()
