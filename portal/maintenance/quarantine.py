"""The quarantine: where a repair puts the bytes that it takes away, and from where they come back for fourteen days.

Never lost in between: the bytes are copied (durable), the row is committed, only then they are removed from the store. What a
killed repair leaves here without a row still lies in the store, and goes after the same days.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.errors import Conflict, Gone, NotFound
from portal.gallery.disposal import restore_image
from portal.gallery.views import decoded
from portal.integrity.objects import orphaned_of
from portal.jobs.keeping import refuse_while_kept
from portal.paging import Page, encode_cursor, id_behind
from portal.storage.disk import plain_words
from portal.storage.keys import TEMP
from portal.storage.look import look_at
from portal.storage.store import KeyTaken, ObjectEntry, Store

DAYS: Final = 14
_BLOCK: Final = 1024 * 1024
_HELD: Final = "restored_at IS NULL AND removed_at IS NULL"


@dataclass(frozen=True, slots=True)
class QuarantinedView:
    """`is_replaced`: the right bytes lie at its place again, so that there is nothing to undo. `until`: undone no later."""

    id: str
    key: str
    bytes: int
    sha256: str
    image_id: str | None
    filename: str | None
    reason: str
    is_replaced: bool
    taken_by: str
    taken_at: dt.datetime
    until: dt.datetime


class Held(NamedTuple):
    """What lies in the quarantine of an object."""

    id: UUID
    bytes: int
    sha256: str


class Forgotten(NamedTuple):
    pieces: int
    bytes: int


async def open_quarantine(folder: Path) -> Store:
    """Raises Unavailable when its disk is not mounted although something lies there."""
    quarantine = Store(folder)
    known = await database.fetch_value(f"SELECT EXISTS (SELECT 1 FROM quarantined WHERE {_HELD})")  # noqa: S608 - a constant
    await quarantine.open_root(known=known)
    return quarantine


async def hold(
    key: str,
    reason: str,
    *,
    store: Store,
    quarantine: Store,
    actor: Actor,
    image: UUID | None = None,
    finding: UUID | None = None,
    before: dict[str, Any] | None = None,
) -> Held:
    """A durable copy of the object with its row, in the open transaction; who calls removes it from the store afterwards.

    Harmless when these very bytes are held already. Raises Gone when there is no such object.
    """
    number, held_id = uuid4(), uuid7()
    held_as = f"{held_id.hex[-2:]}/{held_id}"
    draft = quarantine.root / TEMP / f"{number}.part"
    try:
        size, sha256 = await copied(await store.open(key), draft)
        there = await database.fetch_row(  # for as many days from now on
            f"""UPDATE quarantined SET taken_at = clock_timestamp() WHERE key = $1 AND sha256 = $2 AND {_HELD}
                RETURNING id, held_as""",  # noqa: S608 - a constant
            key,
            sha256,
        )
        if there is not None and await quarantine.size(there["held_as"]) == size:
            return Held(there["id"], size, sha256)
        await quarantine.adopt(draft, held_as)
    finally:
        await asyncio.to_thread(draft.unlink, missing_ok=True)
    await database.execute(
        """INSERT INTO quarantined (id, key, held_as, bytes, sha256, image, finding, reason, before, taken_by, taken_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, clock_timestamp())""",
        held_id,
        key,
        held_as,
        size,
        sha256,
        image,
        finding,
        reason,
        None if before is None else json.dumps(before),
        actor.name[:200],
    )
    after = {"quarantined": str(held_id), "bytes": size, "sha256": sha256, "reason": reason}
    await record(actor, "repair.quarantine", *_subject(image, key), before={"key": key}, after=after)
    return Held(held_id, size, sha256)


async def take_away(held: Held, key: str, *, store: Store, is_owned: bool = False) -> None:
    """Remove what is held from the store, after the commit of its row; not what was put back meanwhile, is other bytes by now
    or, unless it `is_owned`, belongs to somebody: a restore may have brought its row. Raises Later."""
    async with database.transaction():
        if await database.fetch_value(f"SELECT id FROM quarantined WHERE id = $1 AND {_HELD} FOR UPDATE", held.id):  # noqa: S608 - a constant
            await refuse_while_kept()  # from here on no restore begins
            if (is_owned or await _is_nobodys(key)) and await digest_of(store, key) == held.sha256:
                await store.delete([key])


async def _is_nobodys(key: str) -> bool:
    return bool(await orphaned_of([ObjectEntry(key, 0, dt.datetime.now(dt.UTC))]))


def _subject(image: UUID | None, key: str) -> tuple[str, str]:
    """Of whose history it is."""
    return ("object", key) if image is None else ("image", str(image))


async def copied(reader: FileIO, draft: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of what was read; piece by piece, because a foreign file may be of any size."""

    def copy() -> tuple[int, str]:
        summed, size = hashlib.sha256(), 0
        with reader, plain_words(), open(draft, "xb", opener=_privately) as writer:
            while block := reader.read(_BLOCK):
                summed.update(block)
                size += writer.write(block)
        return size, summed.hexdigest()

    return await asyncio.to_thread(copy)


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


async def undo(held_id: UUID, *, store: Store, quarantine_dir: Path, actor: Actor) -> str:
    """The bytes and what their row said, put back; gives the key. Harmless when they are back already.

    Raises NotFound, Gone after the days, Conflict when other bytes lie at its place by now.
    """
    quarantine = await open_quarantine(quarantine_dir)
    async with store.turn(), database.transaction():
        row = await database.fetch_row("SELECT * FROM quarantined WHERE id = $1 FOR UPDATE", held_id)
        if row is None:
            raise NotFound("Nothing with this id is in the quarantine.")
        if row["restored_at"] is not None:
            return row["key"]
        if row["removed_at"] is not None:
            raise Gone(f"It lay in the quarantine for {DAYS} days and is removed.")
        before = decoded(row["before"]) or {}
        if "was_trashed" in before:
            await _untrash(row["image"], before, actor)
        await _put_back(row, store, quarantine)
        await database.execute("UPDATE quarantined SET restored_at = clock_timestamp() WHERE id = $1", held_id)
        await database.execute(
            """UPDATE finding SET outcome = coalesce(outcome, '{}') || '{"undone": true}' WHERE id = $1""",
            row["finding"],
        )
        after = {"key": row["key"], "sha256": row["sha256"]}
        subject = _subject(row["image"], row["key"])
        await record(actor, "repair.undo", *subject, before={"quarantined": str(held_id)}, after=after)
    await quarantine.delete([row["held_as"]])
    return row["key"]


async def _untrash(image_id: UUID, said: dict[str, Any], actor: Actor) -> None:
    """Back to its place, unless a person was first; what was said of its lost original is no more so. Raises NotFound."""
    if not said["was_trashed"]:
        await restore_image(image_id, actor=actor)
    await database.execute(
        "UPDATE image SET error = $2::jsonb, updated_at = now() WHERE id = $1 AND error ->> 'code' = 'gone'",
        image_id,
        None if said["error"] is None else json.dumps(said["error"]),
    )


async def _put_back(row: Any, store: Store, quarantine: Store) -> None:
    draft = store.root / TEMP / f"{uuid4()}.part"
    try:
        _, sha256 = await copied(await quarantine.open(row["held_as"]), draft)
        if sha256 != row["sha256"]:
            raise Gone("The bytes in the quarantine are damaged.")
        try:
            await store.adopt(draft, row["key"])
        except KeyTaken as error:
            if await digest_of(store, row["key"]) != row["sha256"]:
                raise Conflict("Other bytes lie at its place by now. They stay, and so does this.") from error
    finally:
        await asyncio.to_thread(draft.unlink, missing_ok=True)


async def digest_of(store: Store, key: str) -> str | None:
    """SHA-256 of an object; None when there is none that could be read."""
    return (await look_at(store, [key]))[key].sha256


async def forget_old_quarantine(folder: Path, *, dry_run: bool) -> Forgotten:
    """Remove what has lain there for its days, rows first; how many objects and bytes that are (or would be)."""
    due = f"{_HELD} AND taken_at < now() - make_interval(days => {DAYS})"
    quarantine = await open_quarantine(folder)
    strays = [] if dry_run else await _strays(quarantine)
    if dry_run:
        rows = await database.fetch(f"SELECT bytes, held_as FROM quarantined WHERE {due}")  # noqa: S608 - constants
    else:
        rows = await database.fetch(
            f"UPDATE quarantined SET removed_at = clock_timestamp() WHERE {due} RETURNING bytes, held_as"  # noqa: S608 - constants
        )
        await quarantine.delete([*(row["held_as"] for row in rows), *strays])
    return Forgotten(len(rows), sum(row["bytes"] for row in rows))


async def _strays(quarantine: Store) -> list[str]:
    """Copies of killed repairs, past the same days, and what an earlier forgetting did not get to remove."""
    limit = dt.datetime.now(dt.UTC) - dt.timedelta(days=DAYS)
    old = await asyncio.to_thread(lambda: [each.key for each in quarantine.walk() if each.modified_at < limit])
    rows = await database.fetch(
        f"SELECT held_as FROM quarantined WHERE held_as = ANY($1::text[]) AND {_HELD}",  # noqa: S608 - a constant
        old,
    )
    return sorted(set(old) - {row["held_as"] for row in rows})


async def list_quarantined(*, cursor: str | None = None, limit: int = 50) -> Page[QuarantinedView]:
    """What can still be undone, newest first. Raises FormError for a foreign cursor."""
    last = id_behind(cursor)
    rows = await database.fetch(
        f"""SELECT q.id, key, q.bytes, q.sha256, q.image, image.filename, reason, before, taken_by, taken_at
            FROM quarantined AS q LEFT JOIN image ON image.id = q.image
            WHERE {_HELD} AND q.id < $1 ORDER BY q.id DESC LIMIT $2""",  # noqa: S608 - a constant
        last,
        limit + 1,
    )
    shown = [_view(row) for row in rows[:limit]]
    return Page(shown, (await held_in_all())[0], encode_cursor([shown[-1].id]) if len(rows) > limit else None)


async def held_in_all() -> tuple[int, int]:
    """How many objects, and their bytes."""
    row = await database.fetch_row(
        f"SELECT count(*) AS pieces, coalesce(sum(bytes), 0)::bigint AS bytes FROM quarantined WHERE {_HELD}"  # noqa: S608 - a constant
    )
    assert row is not None
    return row["pieces"], row["bytes"]


def _view(row: Any) -> QuarantinedView:
    return QuarantinedView(
        id=str(row["id"]),
        key=row["key"],
        bytes=row["bytes"],
        sha256=row["sha256"],
        image_id=None if row["image"] is None else str(row["image"]),
        filename=row["filename"],
        reason=row["reason"],
        is_replaced=(decoded(row["before"]) or {}).get("replaced", False),
        taken_by=row["taken_by"],
        taken_at=row["taken_at"],
        until=row["taken_at"] + dt.timedelta(days=DAYS),
    )
