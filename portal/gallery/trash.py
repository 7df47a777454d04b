"""The trash: what lies there, and some or all of it brought back or deleted for good.

All of it is a job over what lay there when somebody asked: what is thrown in meanwhile stays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.entities.kinds import EntityRef
from portal.entities.lasting import Lasting
from portal.errors import Conflict, FormError, NotFound
from portal.gallery.disposal import delete_image, restore_image
from portal.gallery.queries import IMAGE_COLUMNS
from portal.gallery.views import ImageView, image_view
from portal.jobs.progress import Report, followed, start_job
from portal.jobs.queue import Task
from portal.paging import decode_cursor, encode_cursor
from portal.storage.links import Links

RESTORE_TRASH: Final = "trash_restore"
EMPTY_TRASH: Final = "trash_empty"
MOST_CHOSEN: Final = 500
AT_ONCE: Final = 200
_COLUMNS: Final = ", ".join(f"i.{column._meta.db_column_name}" for column in IMAGE_COLUMNS)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
# The last thrown away comes back first: then each finds the places that it left. Of one moment, in which many went together,
# those in front come first, or where each had left its place to the next one, those behind.
_UNDOING: Final = "trashed_at DESC, last_order, id DESC"


@dataclass(frozen=True, slots=True)
class Trashed:
    image: ImageView
    entity_name: str


@dataclass(frozen=True, slots=True)
class TrashFigures:
    """`bytes` of originals and renditions, without old versions. `pinned` pictures stay where all others are deleted. `as_of`:
    what came later does not count; `oldest`: when the one that lies there longest came."""

    pictures: int
    bytes: int
    pinned: int
    oldest: dt.datetime | None
    as_of: dt.datetime

    @property
    def deletable(self) -> int:
        return max(0, self.pictures - self.pinned)


async def trashed_images(*, links: Links, cursor: str | None, limit: int) -> tuple[list[Trashed], str | None]:
    """The last thrown away first, and the cursor of the next page. Raises FormError for a foreign cursor."""
    at, image_id = _place(cursor)
    rows = await database.fetch(
        f"""SELECT {_COLUMNS}, e.type AS entity_type, e.id AS entity_id, e.name AS entity_name
            FROM image i JOIN entity e ON e.pk = i.entity WHERE i.trashed_at IS NOT NULL AND (i.trashed_at, i.id) < ($1, $2)
            ORDER BY i.trashed_at DESC, i.id DESC LIMIT $3""",  # noqa: S608 - constant columns
        *(at, image_id, limit + 1),
    )
    return _trashed(rows[:limit], links), _cursor_of(rows[limit - 1]) if len(rows) > limit else None


async def chosen_in_trash(image_ids: Collection[UUID], *, links: Links) -> list[Trashed]:
    """Those of them that (still) lie there."""
    rows = await database.fetch(
        f"""SELECT {_COLUMNS}, e.type AS entity_type, e.id AS entity_id, e.name AS entity_name
            FROM image i JOIN entity e ON e.pk = i.entity WHERE i.id = ANY($1::uuid[]) AND i.trashed_at IS NOT NULL
            ORDER BY i.trashed_at DESC, i.id DESC""",  # noqa: S608 - constant columns
        list(image_ids),
    )
    return _trashed(rows, links)


def _trashed(rows: Sequence[Mapping[str, Any]], links: Links) -> list[Trashed]:
    return [
        Trashed(image_view(row, EntityRef(row["entity_type"], row["entity_id"]), links), row["entity_name"])
        for row in rows
    ]


def _place(cursor: str | None) -> tuple[dt.datetime, UUID]:
    after = decode_cursor(cursor, [int, str])
    if after is None:
        return dt.datetime.max.replace(tzinfo=dt.UTC), UUID(int=2**128 - 1)
    try:
        return _EPOCH + after[0] * _MICROSECOND, UUID(after[1])
    except (OverflowError, ValueError) as error:
        raise FormError({"cursor": "This cursor is not one of ours; start again from the first page."}) from error


def moment_of(cursor: str | None) -> dt.datetime:
    """When the last one before it was thrown away; without a cursor beyond all. Raises FormError for a foreign one."""
    return _place(cursor)[0]


def _cursor_of(row: Mapping[str, Any]) -> str:
    return encode_cursor([(row["trashed_at"] - _EPOCH) // _MICROSECOND, str(row["id"])])


async def trash_figures() -> TrashFigures:
    """Exact and quick however much lies there; `pinned` of very many may be some seconds old."""
    stored = await database.fetch_row(
        """SELECT coalesce(sum(pieces) FILTER (WHERE part = 'original'), 0)::bigint AS pictures,
                  coalesce(sum(CASE WHEN part = 'shared' THEN -bytes ELSE bytes END)
                           FILTER (WHERE part <> 'compressible'), 0)::bigint AS bytes,
                  (SELECT min(trashed_at) FROM image WHERE trashed_at IS NOT NULL) AS oldest, clock_timestamp() AS as_of
           FROM stored_count WHERE is_trashed"""
    )
    pinned = await _pinned.get() if stored and stored["pictures"] else 0
    return TrashFigures(**dict(stored or {}), pinned=pinned)


async def _count_pinned() -> int:
    return await database.fetch_value(
        """SELECT count(DISTINCT p.image) FROM pinned_picture p JOIN image i ON i.id = p.image
           WHERE i.trashed_at IS NOT NULL"""
    )


_pinned: Final = Lasting(_count_pinned)


async def restore_images(image_ids: Collection[UUID], *, actor: Actor) -> int:
    """How many of them lay there, and are back in their places."""
    rows = await database.fetch(
        f"SELECT id FROM image WHERE id = ANY($1::uuid[]) AND trashed_at IS NOT NULL ORDER BY {_UNDOING}",  # noqa: S608 - a constant
        list(image_ids),
    )
    return sum([await _restored(row["id"], actor) for row in rows])


async def _restored(image_id: UUID, actor: Actor) -> bool:
    try:
        await restore_image(image_id, actor=actor)
    except NotFound:  # somebody was first
        return False
    return True


async def _deleted(image_id: UUID, actor: Actor) -> bool:
    try:
        await delete_image(image_id, actor=actor, deletes_per_hour=0, only_from_trash=True)
    except (NotFound, Conflict):  # somebody was first, or has just restored it; or it is pinned
        return False
    return True


async def start_restoring(as_of: dt.datetime, *, actor: Actor) -> UUID:
    """A job that brings all back that lies there since then."""
    return await start_job(RESTORE_TRASH, {"as_of": await _no_later(as_of)}, actor=actor)


async def start_deleting(ids: Collection[UUID] | None, as_of: dt.datetime, *, actor: Actor) -> UUID:
    """A job that deletes these (None: all that lie there since then) for good. What is pinned stays."""
    chosen = {} if ids is None else {"ids": [str(each) for each in ids]}
    return await start_job(EMPTY_TRASH, {"as_of": await _no_later(as_of), **chosen}, actor=actor)


async def _no_later(as_of: dt.datetime) -> str:
    """By the clock that says when pictures are thrown away: nobody asks for what is yet to come."""
    moment: dt.datetime = await database.fetch_value("SELECT least($1::timestamptz, clock_timestamp())", as_of)
    return moment.isoformat()


def trash_tasks() -> Mapping[str, Task]:
    return {RESTORE_TRASH: followed(_restore), EMPTY_TRASH: followed(_empty)}


async def _restore(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
    total, restored = await _count(arguments), 0
    while rows := await database.fetch(f"{_LYING} ORDER BY {_UNDOING} LIMIT {AT_ONCE}", *_asked(arguments)):
        for row in rows:
            restored += await _restored(row["id"], actor)
            await report(restored, total)
    return {"restored": restored}


async def _empty(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
    total, deleted, kept = await _count(arguments), 0, 0
    last: tuple[dt.datetime, UUID] = _EPOCH, UUID(int=0)
    following = f"{_LYING} AND (trashed_at, id) > ($3, $4) ORDER BY trashed_at, id LIMIT {AT_ONCE}"
    while rows := await database.fetch(following, *_asked(arguments), *last):
        for row in rows:
            gone = await _deleted(row["id"], actor)
            deleted, kept = deleted + gone, kept + (not gone)
            await report(deleted + kept, total)
        last = rows[-1]["trashed_at"], rows[-1]["id"]
    return {"deleted": deleted, "kept": kept}


_LYING: Final = """
    SELECT id, trashed_at FROM image WHERE trashed_at <= $1::timestamptz AND ($2::uuid[] IS NULL OR id = ANY($2::uuid[]))
"""


def _asked(arguments: dict[str, Any]) -> tuple[dt.datetime, list[UUID] | None]:
    ids = arguments.get("ids")
    return dt.datetime.fromisoformat(arguments["as_of"]), None if ids is None else [UUID(each) for each in ids]


async def _count(arguments: dict[str, Any]) -> int:
    return await database.fetch_value(f"SELECT count(*) FROM ({_LYING}) AS lying", *_asked(arguments))  # noqa: S608 - a constant
