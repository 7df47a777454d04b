"""The bytes of a restore, before its rows: read again from the backup, compared, and put where the rows will look for them.

Whatever is put is noted for removal first, in a transaction of its own: a restore that does not come to its end leaves nothing.
A row of `object_purge` never names what a live row owns: names are new, or of pictures that are not there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from portal import database
from portal.backups.bulk import put_pieces, take_many
from portal.backups.destination import Destination, Folder
from portal.backups.layout import object_key, object_of_key
from portal.backups.looking import look_into
from portal.backups.root import Damaged, Foreign
from portal.backups.staging import Transact
from portal.backups.wanted import MISSING, Wanted
from portal.errors import DiskFull, Gone
from portal.gallery.arrivals import announce_original, other_formats_of
from portal.gallery.disposal import PURGE
from portal.imaging.formats import sniff
from portal.jobs.queue import URGENT, enqueue
from portal.storage.keys import parse_key
from portal.storage.look import Seen
from portal.storage.store import KeyTaken, Store

_ROWS: Final = 4096
_MOST_BYTES: Final = 16 * 1024 * 1024  # of a batch, in memory
_PIECES: Final = 512  # of a batch: they share one sync
_AT_ONCE: Final = 4
_NAMED: Final = 10  # of what is wrong
_WAY_OUT: Final = (
    "Make a new backup: it writes anew what the portal still has. Or restore a part that does not need it."
)
Tell = Callable[[int], Awaitable[None]]

# What the staged rows need, once each, and as what; pictures that a pin shows and that did not come along are no part of it.
_NEEDED: Final = """
    CREATE TEMP TABLE needed_object AS SELECT row_number() OVER () AS n, o.* FROM (
        SELECT of_type, sha256, bytes, array_agg(DISTINCT extension) AS extensions FROM (
            SELECT of_type, sha256, bytes, extension FROM staged_image
            UNION ALL SELECT of_type, sha256, bytes, extension FROM staged_version
            UNION ALL SELECT sets.of_type, item.value ->> 'sha256', (item.value ->> 'bytes')::bigint, 'jpg' FROM (
                SELECT of_type, renditions FROM staged_image UNION ALL SELECT of_type, renditions FROM staged_version
                UNION ALL SELECT i.of_type, s.renditions FROM staged_pinned AS s JOIN staged_image AS i ON i.id = s.image
                WHERE NOT EXISTS (SELECT FROM pin_lost AS p WHERE p.invoice = s.invoice)
            ) AS sets CROSS JOIN LATERAL jsonb_each(sets.renditions -> 'items') AS item
        ) AS named GROUP BY 1, 2, 3 ORDER BY 1, 2
    ) AS o
"""


class Coming(NamedTuple):
    entity_type: str
    sha256: str
    bytes: int
    key: str = ""
    extensions: Sequence[str] = ()  # of all that shall be these bytes, as far as it is asked for

    @property
    def source(self) -> str:
        return object_key(self.entity_type, self.sha256)


async def count_needed(transact: Transact) -> int:
    async with transact():
        await database.execute(_NEEDED)
        await database.execute("CREATE INDEX ON needed_object (n)")
        return await database.fetch_value("SELECT count(*) FROM needed_object")


async def verify_needed(destination: Destination, tell: Tell, *, transact: Transact) -> None:
    """Every byte. Raises Damaged with the members that are wrong, before anything was touched."""
    wrong: list[str] = []
    statement = (
        "SELECT n, of_type, sha256, bytes, '' AS key, extensions FROM needed_object WHERE n > $1 ORDER BY n LIMIT $2"
    )
    async for chunk in _chunks(statement, transact):
        parts = [chunk[place : place + 64] for place in range(0, len(chunk), 64)]
        for found in await _together([_wrong_of(destination, part) for part in parts]):
            wrong += found
        await tell(len(chunk))
    if wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise Damaged(
            f"Nothing was restored: the backup is damaged. {'; '.join(wrong[:_NAMED])}{more}. {_WAY_OUT}",
            members=wrong[:1000],
        )


def wrong_objects(error: Damaged) -> list[str]:
    """By key, those that `verify_needed` has found."""
    named = (each.partition(" ")[0] for each in error.extra.get("members", ()))
    return [key for key in named if object_of_key(key)]


async def _wrong_of(destination: Destination, part: list[Coming]) -> list[str]:
    """What is missing from the backup, no longer what it was, or not what its rows say; by names."""
    found = await look_into(destination, list({each.source for each in part}))
    return [f"{each.source} {fault}" for each in part if (fault := _fault_of(each, found[each.source]))]


def _fault_of(wanted: Coming, seen: Seen) -> str | None:
    if not seen.is_there:
        return "is missing"
    if (seen.bytes, seen.sha256) != (wanted.bytes, wanted.sha256):
        return "is not what it was"
    format = sniff(seen.head)
    if any(format is None or format.extension != each for each in wanted.extensions):
        return f"is no picture, or of another kind than its rows say ({', '.join(wanted.extensions)})"
    return None


async def refuse_clashes(transact: Transact) -> None:
    """A name stands for the same bytes wherever rows say it."""
    async with transact():
        key = await database.fetch_value("SELECT key FROM wanted_object GROUP BY key HAVING count(*) > 1 LIMIT 1")
    if key is not None:
        raise Foreign(f"The rows of this backup contradict each other: two of them want other bytes as {key}.")


async def refuse_without_room(store: Store, floor: int, coming: int) -> None:
    free = await store.free_bytes()
    if free - coming < floor:
        raise DiskFull(
            f"There is no room for this restore: {coming // 2**20} MB come, {free // 2**20} MB are free, and {floor // 2**20} MB"
            " are kept back. Nothing was restored. Free some space, then start it again."
        )


async def bring(destination: Destination, store: Store, placed: str, tell: Tell, *, transact: Transact) -> bool:
    """All that is wanted and not `placed` yet (a table of keys). False where a name was taken meanwhile: decide again."""
    todo = f"NOT is_there AND NOT EXISTS (SELECT FROM {placed} AS p WHERE p.key = wanted_object.key)"
    if not await _bring_new(destination, store, placed, todo, transact):
        return False  # the names of renditions are not ours either
    await _note(todo, transact)
    columns = "n, of_type, sha256, bytes, key"
    statement = f"SELECT {columns} FROM wanted_object WHERE n > $1 AND {todo} ORDER BY n LIMIT $2"  # noqa: S608 - constants
    async for chunk in _chunks(statement, transact):
        await _together([_put(destination, store, batch) for batch in _batches(chunk)])
        async with transact():
            keys = [each.key for each in chunk]
            await database.execute(f"INSERT INTO {placed} SELECT unnest($1::text[])", keys)
        await tell(len(chunk))
    return True


async def _note(todo: str, transact: Transact) -> None:
    async with transact():
        noted = await database.execute(
            f"INSERT INTO object_purge (key) SELECT key FROM wanted_object WHERE {todo} ON CONFLICT (key) DO NOTHING"  # noqa: S608 - a constant
        )
        if noted:
            await enqueue(PURGE, {}, priority=URGENT)


async def _bring_new(destination: Destination, store: Store, placed: str, todo: str, transact: Transact) -> bool:
    """Originals of pictures that are there, under numbers that are still to come: who adds another file at this moment may
    take the same.

    Under the lock that such an upload takes, so that a sweep leaves them alone. Who has the number of a version has the names
    of all its renditions; they are noted together, its original last, when they are ours.
    """
    is_whole, last = True, 0
    while True:
        async with transact():
            row = await database.fetch_row(
                f"SELECT * FROM wanted_object WHERE n > $1 AND is_new AND {todo} ORDER BY n LIMIT 1",  # noqa: S608 - constants
                last,
            )
            if row is None:
                return is_whole
            last = row["n"]
            await announce_original(row["image"])
            if await database.fetch_value(_HAS_MOVED_ON, row["image"]):
                is_whole = False
            elif await _is_ours(destination, store, row):
                await database.execute(_NOTE_VERSION, row["image"], row["version"])
                await database.execute(f"INSERT INTO {placed} VALUES ($1)", row["key"])  # noqa: S608 - a constant
                await enqueue(PURGE, {}, priority=URGENT)
            else:
                await database.execute("INSERT INTO taken_version VALUES ($1, $2)", row["image"], row["version"])
                is_whole = False


_HAS_MOVED_ON: Final = """
    SELECT NOT EXISTS (SELECT FROM image JOIN plan_image AS p USING (id) WHERE id = $1 AND image.version = p.live_version)
"""
_NOTE_VERSION: Final = """
    INSERT INTO object_purge (key) SELECT key FROM wanted_object WHERE image = $1 AND version = $2 AND NOT is_there
    ORDER BY is_new, n ON CONFLICT (key) DO NOTHING
"""


async def _is_ours(destination: Destination, store: Store, row: Any) -> bool:
    """Put under a number that nobody has. What a killed restore left there is put again: it may not have lasted."""
    coming = Coming(row["of_type"], row["sha256"], row["bytes"], _checked(row["key"]))
    extension = coming.key.rpartition(".")[2]
    if await other_formats_of(row["of_type"], row["image"], row["version"], extension, store):
        return False
    data = await _read(destination, coming)
    try:
        await store.put_new(coming.key, data)
    except KeyTaken:
        if await store.size(coming.key) != coming.bytes or await store.read(coming.key) != data:
            return False
        await store.put(coming.key, data)
    return True


async def _put(destination: Destination, store: Store, batch: list[Coming]) -> None:
    if isinstance(destination, Folder):  # as a backup is made: in one thread, piece by piece
        named = [(_checked(each.key), Wanted(each.entity_type, each.sha256, each.bytes, each.source)) for each in batch]
        for lost in await asyncio.to_thread(take_many, store, destination.store, named):
            raise _spoilt(lost.wanted.key, "went away" if lost.reason == MISSING else "changed")
    else:
        items = [(_checked(each.key), await _read(destination, each)) for each in batch]
        await asyncio.to_thread(put_pieces, store, items)


async def _read(destination: Destination, coming: Coming) -> bytes:
    try:
        data = await destination.read(coming.source)
    except Gone as error:
        raise _spoilt(coming.source, "went away") from error
    if await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest()) != coming.sha256:
        raise _spoilt(coming.source, "changed")
    return data


def _spoilt(key: str, what: str) -> Damaged:
    return Damaged(f"{key} {what} while it was restored. All is as it was before.")


def _checked(key: str) -> str:
    """The last look before the disk: a name that the portal itself would have written."""
    if parse_key(key) is None:
        raise Foreign(f"This backup wants an object to be named {key[:200]!r}.")
    return key


def _batches(chunk: list[Coming]) -> list[list[Coming]]:
    batches: list[list[Coming]] = [[]]
    size = 0
    for each in chunk:
        if batches[-1] and (size + each.bytes > _MOST_BYTES or len(batches[-1]) >= _PIECES):
            batches.append([])
            size = 0
        batches[-1].append(each)
        size += each.bytes
    return batches


async def _chunks(statement: str, transact: Transact) -> AsyncIterator[list[Coming]]:
    last = 0
    while True:
        async with transact():
            rows = await database.fetch(statement, last, _ROWS)
        if not rows:
            return
        last = rows[-1]["n"]
        yield [
            Coming(row["of_type"], row["sha256"], row["bytes"], row["key"], row.get("extensions", ())) for row in rows
        ]


async def _together(works: list[Any]) -> list[Any]:
    """Some at once. On an error, or when it shall end, no more is begun; what a thread is writing is waited for."""
    waiting = list(enumerate(works))[::-1]
    results: list[Any] = [None] * len(works)

    async def run() -> None:
        while waiting:
            place, work = waiting.pop()
            try:
                results[place] = await work
            except BaseException:
                _forget(waiting)
                raise

    tasks = [asyncio.create_task(run()) for _ in range(min(_AT_ONCE, len(works)))]
    try:
        await asyncio.shield(asyncio.gather(*tasks, return_exceptions=True))
    except asyncio.CancelledError:
        _forget(waiting)
        await asyncio.wait(tasks)
        raise
    for task in tasks:
        task.result()
    return results


def _forget(waiting: list[Any]) -> None:
    for _, work in waiting:
        work.close()
    waiting.clear()
