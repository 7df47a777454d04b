"""The pictures that a search means, newest first, without the trash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final
from uuid import UUID

from portal import database
from portal.gallery.hits import ImageHit, hits_of
from portal.overview.asked import Asked
from portal.overview.conditions import Condition, conditions_of
from portal.paging import encode_cursor, id_behind
from portal.storage.links import Links

WALKED: Final = 4000  # pictures, from the newest back: what is common is found among them at once
FARTHEST: Final = 40_000  # walked where those first ones say that it is worth it
_HOPEFUL: Final = 3  # found among the first ones
_RARE: Final = 0.02  # of the newest pictures: what an index alone may look for


@dataclass(frozen=True, slots=True)
class Hits:
    items: list[ImageHit]
    next: str | None


async def pictures_found(asked: Asked, links: Links, *, cursor: str | None, limit: int) -> Hits:
    """Raises FormError for a foreign cursor."""
    before = id_behind(cursor)
    if asked.is_empty or asked.tells_of_galleries:
        return Hits([], None)
    if asked.picture:
        return Hits(await hits_of([asked.picture], links), None)
    wanted = await conditions_of(asked)
    ids = await _ids(wanted, before, limit + 1) if wanted else []
    hits = await hits_of(ids[:limit], links)
    return Hits(hits, encode_cursor([str(ids[limit - 1])]) if len(ids) > limit else None)


async def _ids(wanted: Sequence[Condition], before: UUID, limit: int) -> list[UUID]:
    """What is common is found by walking back from the newest, what is rare by an index: the planner cannot tell them apart. Of
    words that are common each but rare together an index would read all their long lists: the walk goes on as far as it may."""
    found = await _walk(wanted, before, limit, WALKED)
    if len(found) >= limit:
        return found
    by_index, share = await _rarest(wanted)
    needed = 2 * WALKED * limit // len(found) if len(found) >= _HOPEFUL else FARTHEST + 1
    if needed <= FARTHEST or share >= _RARE:
        found = await _walk(wanted, before, limit, min(needed, FARTHEST))
    return found if len(found) >= limit else await _look_up(wanted, by_index, before, limit)


async def _walk(wanted: Sequence[Condition], before: UUID, limit: int, far: int) -> list[UUID]:
    newest = f"(SELECT * FROM image WHERE trashed_at IS NULL AND id < $1 ORDER BY id DESC LIMIT {int(far)}) AS i"  # noqa: S608 - constants
    where, arguments = _joined(wanted, [before])
    return await _fetch(f"{newest}{_owner(wanted)} WHERE {where}", limit, arguments)


async def _rarest(wanted: Sequence[Condition]) -> tuple[list[Condition], float]:
    """What an index is asked for, the rarest alone where it is rare: a common word's takes longer than looking at each row. And
    its share."""
    by_index = [each for each in wanted if each.has_index]
    shares = await _shares(by_index) if len(by_index) > 1 else [0.0]
    if by_index and min(shares) < _RARE:
        by_index = [by_index[shares.index(min(shares))]]
    return by_index, min(shares)


async def _look_up(wanted: Sequence[Condition], by_index: Sequence[Condition], before: UUID, limit: int) -> list[UUID]:
    """Each way to meet the rarest has an index of its own, and is looked up alone, with what is quick beside it."""
    others = [each for each in wanted if each not in by_index]
    quick = [each for each in others if each.is_quick and by_index]
    after = [each for each in others if each not in quick]
    if len(by_index) != 1:
        return await _look_up_one([*by_index, *quick], after, before, limit)
    ways = by_index[0].ways or by_index
    found = [await _look_up_one([_beside(way, quick), *quick], after, before, limit) for way in ways]
    return sorted(set(chain(*found)), reverse=True)[:limit]


def _beside(way: Condition, quick: Sequence[Condition]) -> Condition:
    return replace(way, clause=way.beside) if way.beside and quick else way


async def _look_up_one(
    by_index: Sequence[Condition], after: Sequence[Condition], before: UUID, limit: int
) -> list[UUID]:
    """`before` stands outside: a plan made for any would read all ids for it."""
    inner, arguments = _joined(by_index, [before])
    outer, arguments = _joined(after, arguments)
    fence = " OFFSET 0" if by_index else ""
    rows = f"(SELECT i.* FROM image i{_owner(by_index)} WHERE i.trashed_at IS NULL AND {inner}{fence}) AS i"  # noqa: S608 - constant clauses
    return await _fetch(f"{rows}{_owner(after)} WHERE i.id < $1 AND {outer}", limit, arguments)


async def _shares(of: Sequence[Condition]) -> list[float]:
    """How many of the newest pictures meet each of these; what does not say is one of all."""
    arguments: list[object] = []
    counts: list[str] = []
    for each in of:
        counts.append(f"count(*) FILTER (WHERE {each.sql(len(arguments))})")
        arguments += each.values
    newest = f"(SELECT * FROM image WHERE trashed_at IS NULL ORDER BY id DESC LIMIT {WALKED}) AS i"  # noqa: S608 - constants
    row = await database.fetch_row(f"SELECT {', '.join(counts)} FROM {newest}{_owner(of)}", *arguments)  # noqa: S608 - constant clauses
    return [found / WALKED for found in (row or {}).values()]


def _joined(wanted: Sequence[Condition], arguments: Sequence[object]) -> tuple[str, list[object]]:
    """All of these, their values behind those that there are."""
    values = list(arguments)
    clauses: list[str] = []
    for each in wanted:
        clauses.append(each.sql(len(values)))
        values += each.values
    return " AND ".join(clauses) or "true", values


def _owner(of: Sequence[Condition]) -> str:
    return " JOIN entity e ON e.pk = i.entity" if any(each.asks_owner for each in of) else ""


async def _fetch(source: str, limit: int, arguments: Sequence[object]) -> list[UUID]:
    rows = await database.fetch(f"SELECT i.id FROM {source} ORDER BY i.id DESC LIMIT {int(limit)}", *arguments)  # noqa: S608 - constant clauses
    return [row["id"] for row in rows]
