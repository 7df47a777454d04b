"""The galleries that a search means: what was named exactly first, then names that begin so; of very many the newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from portal import database
from portal.entities.kinds import KINDS
from portal.entities.queries import COLUMNS, prefix_query
from portal.overview.asked import Asked
from portal.overview.conditions import is_common
from portal.paging import EXACT_UP_TO, decode_cursor, encode_cursor

_LACKING: Final = {"image": "t.images = 0", "primary": "t.primary_width IS NULL", "alt": "t.unsaid > 0"}
_FIRST: Final = 2**63 - 1
WALKED: Final = (4000, 40_000)  # galleries, from the newest back
WALKED_LACKING: Final = (2000,)  # of each type
# 0: its very id, reference or number; 1: its name begins so
_GRADE: Final = """CASE WHEN lower($1) IN (lower(e.id), lower(e.reference), lower(e.number)) THEN 0
                        WHEN starts_with(lower(e.name), lower($1)) THEN 1 ELSE 2 END"""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the entity table, and the cursor of those that follow."""

    items: Sequence[Mapping[str, Any]]
    next: str | None


async def galleries_found(asked: Asked, *, cursor: str | None, limit: int) -> Rows:
    """Raises FormError for a foreign cursor."""
    order, after = _place_behind(cursor)
    if asked.is_empty or asked.tells_of_pictures or asked.picture:
        return Rows([], None)
    words = prefix_query(asked.words)
    if words and order != "n" and (order == "r" or not await is_common(words)):
        # The planner cannot guess how rare a word is: first who holds it at all, then who of these is wanted.
        hits = await _hits(words)
        if len(hits) <= EXACT_UP_TO:
            return await _best(asked, hits, after, limit)
    return await _newest(asked, words, after if order == "n" else None, limit)


def _place_behind(cursor: str | None) -> tuple[str, list[Any] | None]:
    """Which order it is of (`n`ewest or by g`r`ade), and where in it; a stranger is one of none. Raises FormError."""
    kinds = {"n": [int], "r": [int, str, int]}.get((cursor or " ")[0], [])
    return (cursor[0], decode_cursor(cursor[1:], kinds)) if cursor and kinds else ("", decode_cursor(cursor, [object]))


async def _hits(words: str) -> list[int]:
    """1001 of them where there are more than 1000."""
    rows = await database.fetch(f"SELECT e.pk FROM entity e WHERE {_matches('$1')} LIMIT {EXACT_UP_TO + 1}", words)  # noqa: S608 - constants
    return [row["pk"] for row in rows]


async def _best(asked: Asked, hits: list[int], after: list[Any] | None, limit: int) -> Rows:
    grade, name, key = after or (-1, "", 0)
    rows = await database.fetch(
        f"""SELECT * FROM (SELECT {COLUMNS}, {_GRADE} AS grade FROM entity e{_tally(asked)}
                           WHERE e.pk = ANY($2::bigint[]) AND e.type = ANY($3::text[]) AND {_lacking(asked)}) AS e
            WHERE (grade, name, pk) > ($4::int, $5::text, $6::bigint) ORDER BY grade, name, pk LIMIT {int(limit) + 1}""",  # noqa: S608 - constant clauses
        asked.words,
        hits,
        list(asked.types or KINDS),
        max(-1, min(grade, 9)),
        name,
        _key(key),
    )
    items = [dict(row) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    return Rows(items, "r" + encode_cursor([last["grade"], last["name"], last["pk"]]) if last else None)


async def _newest(asked: Asked, words: str | None, after: list[Any] | None, limit: int) -> Rows:
    """On the first page what is named exactly stands before them."""
    before, named = _key(after[0]) if after else _FIRST, await _named(asked) if words else []
    if words:
        found = await _with_words(asked, words, before, [row["pk"] for row in named], limit + 1)
    else:
        found = await _of_each(asked.types or KINDS, _of_type(asked, limit + 1), limit + 1, before)
    following = "n" + encode_cursor([found[limit - 1]["pk"]]) if len(found) > limit else None
    return Rows([dict(row) for row in [*([] if after else named), *found[:limit]]], following)


async def _with_words(asked: Asked, words: str, before: int, known: list[int], most: int) -> Sequence[database.Row]:
    """What is common is there at once by walking back from the newest ones, what is not by its index: the planner cannot tell
    how common it is."""
    wanted = f"{_matches('$3')} AND e.pk <> ALL($4::bigint[])"
    kinds = asked.types or (KINDS if asked.missing else [""])
    for far in WALKED_LACKING if asked.missing else WALKED:
        walked = f"SELECT * FROM ({_of_type(asked, far)}) AS e WHERE {wanted} ORDER BY e.pk DESC LIMIT {int(most)}"  # noqa: S608 - constant clauses
        found = await _of_each(kinds, walked, most, before, words, known)
        if len(found) >= most:
            return found
    fence = "OFFSET 0" if asked.missing else ""  # first the words, then what of these lacks it
    return await database.fetch(
        f"""SELECT {COLUMNS} FROM (SELECT * FROM entity e WHERE {wanted} AND e.pk < $2 {fence}) AS e{_tally(asked)}
            WHERE e.type = ANY($1::text[]) AND {_lacking(asked)} ORDER BY e.pk DESC LIMIT {int(most)}""",  # noqa: S608 - constant clauses
        list(asked.types or KINDS),
        before,
        words,
        known,
    )


def _of_type(asked: Asked, most: int) -> str:
    """The newest of one `kind.type`, from $2 back; of any, where the question names none."""
    if asked.missing:  # they are looked up one by one
        return f"""SELECT e.* FROM (SELECT t.entity FROM entity_tally t WHERE t.type = kind.type AND t.entity < $2
                       AND {_lacking(asked)} ORDER BY t.entity DESC LIMIT {int(most)}) AS t
                   CROSS JOIN LATERAL (SELECT * FROM entity WHERE pk = t.entity OFFSET 0) AS e"""  # noqa: S608 - constant clauses
    return f"""SELECT * FROM entity WHERE {"type = kind.type" if asked.types or not asked.words else "true"} AND pk < $2
               ORDER BY pk DESC LIMIT {int(most)}"""  # noqa: S608 - constant clauses


async def _of_each(kinds: Iterable[str], found: str, most: int, before: int, *more: Any) -> Sequence[database.Row]:
    """`found` of each type; the newest of all of them."""
    return await database.fetch(
        f"""SELECT {COLUMNS} FROM unnest($1::text[]) AS kind (type) CROSS JOIN LATERAL ({found}) AS e
            ORDER BY e.pk DESC LIMIT {int(most)}""",  # noqa: S608 - constant clauses
        list(kinds),
        before,
        *more,
    )


async def _named(asked: Asked) -> list[database.Row]:
    """By its very id: the one that a common word must not hide."""
    return await database.fetch(
        f"""SELECT {COLUMNS} FROM entity e{_tally(asked)}
            WHERE e.type = ANY($1::text[]) AND e.id = $2 AND {_lacking(asked)} ORDER BY e.type""",  # noqa: S608 - constant clauses
        list(asked.types or KINDS),
        asked.words,
    )


def _matches(place: str) -> str:
    return f"e.search @@ lower({place}::text)::tsquery"


def _tally(asked: Asked) -> str:
    return " JOIN entity_tally t ON t.entity = e.pk" if asked.missing else ""


def _lacking(asked: Asked) -> str:
    return " AND ".join(_LACKING[each] for each in asked.missing) or "true"


def _key(value: int) -> int:
    """A bigint, whatever the cursor says."""
    return max(-(2**63), min(value, _FIRST))
