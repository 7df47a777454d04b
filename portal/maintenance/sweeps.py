"""The sweeps of a cleanup, one for each kind of what can go. Each says what it took, or in a dry run would take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from portal import database
from portal.accounts.service import forget_expired
from portal.audit.actors import SYSTEM
from portal.errors import Conflict, NotFound
from portal.gallery.disposal import delete_image
from portal.idempotency import KEEP_HOURS
from portal.integrity.objects import is_temporary, older_than, orphaned_of, without_arrivals
from portal.jobs.keeping import refuse_while_kept
from portal.maintenance.missed import missed_of
from portal.media.usage import forget_old_usage
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.keys import original_key
from portal.storage.look import walked
from portal.storage.store import ObjectEntry, Store

JOB_DAYS: Final = 90
SETTLED_DAYS: Final = 90  # of what a check or a repair is done with; the audit keeps its story
AT_ONCE: Final = 200
ROWS_AT_ONCE: Final = 10_000
# All bytes of a picture: a set of renditions that it shares with an old version counts once.
_TRASH: Final = """
    SELECT i.id, i.trashed_at, i.version, i.extension, e.type,
           EXISTS (SELECT FROM pinned_picture p WHERE p.image = i.id) AS is_pinned,
           (SELECT sum(p.bytes) FROM image_parts(i.bytes, i.renditions, false) AS p WHERE p.part <> 'compressible')::bigint
           + coalesce((SELECT sum(p.bytes) FROM image_version v CROSS JOIN LATERAL
                version_parts(v.bytes, CASE WHEN v.renditions = i.renditions THEN '{}' ELSE v.renditions END) AS p
                WHERE v.image = i.id), 0)::bigint AS bytes
    FROM image i JOIN entity e ON e.pk = i.entity
    WHERE i.trashed_at < now() - make_interval(days => $1) AND (i.trashed_at, i.id) > ($2, $3)
    ORDER BY i.trashed_at, i.id LIMIT $4
"""
_PAST: Final = "created_at < now() - make_interval(hours => $1)"
# The job that was cancelled before it began is all that says that its change of a size is not in force.
_OLD_JOBS: Final = """finished_at < now() - make_interval(days => $1)
    AND NOT EXISTS (SELECT FROM preset_change AS c WHERE c.job = job.id AND c.state = 'rolling')"""

# Of a finding whose object can still be put back the row stays: an undo says so in it.
_SETTLED: Final = {
    "findings": """finding WHERE state <> 'open' AND ended_at < now() - make_interval(days => $1) AND NOT EXISTS (
        SELECT FROM quarantined AS q WHERE q.finding = finding.id AND q.restored_at IS NULL AND q.removed_at IS NULL)""",
    "quarantine": "quarantined WHERE coalesce(restored_at, removed_at) < now() - make_interval(days => $1)",
}


class Looked(NamedTuple):
    """Of so many objects those that go; `missed` more hold bytes that a picture misses, and stay."""

    objects: int
    leftovers: list[ObjectEntry]
    missed: int = 0


class Taken(NamedTuple):
    """`kept`: why something past its days stays: pinned or unfound."""

    bytes: int
    key: str | None = None
    kept: str | None = None


async def now_of_both() -> datetime:
    """The earlier of this machine's clock and the database's: what one of them alone calls old is not."""
    return min(datetime.now(UTC), await database.fetch_value("SELECT clock_timestamp()"))


async def sweep_trash(settings: Settings, store: Store, *, dry_run: bool) -> AsyncIterator[list[Taken]]:
    """Pictures past their days in the trash. One whose original is not in the store is repair's: it stays."""
    last: tuple[datetime, UUID] = datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0)
    while rows := await database.fetch(_TRASH, settings.trash_days, *last, AT_ONCE):
        yield [await _take_picture(row, store, dry_run=dry_run) for row in rows]
        last = rows[-1]["trashed_at"], rows[-1]["id"]


async def _take_picture(row: Any, store: Store, *, dry_run: bool) -> Taken:
    if row["is_pinned"]:
        return Taken(0, kept="pinned")
    if await store.size(original_key(row["type"], row["id"], row["version"], row["extension"])) is None:
        return Taken(0, kept="unfound")
    if not dry_run:
        try:
            await delete_image(row["id"], actor=SYSTEM, deletes_per_hour=0, only_from_trash=True)
        except (NotFound, Conflict):  # somebody was first, has just restored it or pinned an invoice to it
            return Taken(0, kept="changed")
    return Taken(row["bytes"])


async def sweep_objects(store: Store, grace: timedelta, *, dry_run: bool) -> AsyncIterator[Looked]:
    """What nobody owns, temporary files among it: often nothing."""
    async for chunk in walked(store):
        old = list(older_than(chunk, grace, await now_of_both()))
        suspects = await orphaned_of([entry for entry in old if not is_temporary(entry)])
        leftovers = [entry for entry in old if is_temporary(entry)]
        if not suspects and not leftovers:
            yield Looked(len(chunk), [])
            continue
        missed = await missed_of([*suspects, *leftovers], store)
        async with database.transaction():
            if not dry_run:
                await refuse_while_kept()  # first: what a restore brings has its row by the time that we ask
            leftovers += await orphaned_of(await without_arrivals(suspects))  # asked again: some have their row by now
            going = [entry for entry in leftovers if entry.key not in missed]
            if going and not dry_run:
                await store.delete(entry.key for entry in going)
        yield Looked(len(chunk), going, len(leftovers) - len(going))


async def sweep_cache(cache: Cache, hours: int, *, dry_run: bool) -> AsyncIterator[list[Taken]]:
    paths = cache.expired(timedelta(hours=hours))
    while (taken := await asyncio.to_thread(_take_files, paths, dry_run)) is not None:
        yield taken


def _take_files(paths: Iterator[Path], dry_run: bool) -> list[Taken] | None:
    """Of the next ones; None after the last. Blocks."""
    chunk = list(islice(paths, AT_ONCE))
    taken: list[Taken] = []
    for path in chunk:
        with contextlib.suppress(OSError):  # another process sweeps as well, and one that can't go holds up no other
            size = path.lstat().st_size
            if not dry_run:
                path.unlink()
            taken.append(Taken(size))
    return taken if chunk else None


async def sweep_rows(*, dry_run: bool) -> dict[str, int]:
    """Rows that mean nothing any more: signed-out sessions and used links, answers kept for a repeated POST, old jobs, counts
    of use past their days, findings that are repaired or gone, what was in the quarantine."""
    usage = await forget_old_usage(dry_run=dry_run)
    settled = {name: await _sweep_settled(rows, dry_run=dry_run) for name, rows in _SETTLED.items()}
    if dry_run:
        jobs = await database.fetch_value(f"SELECT count(*) FROM job WHERE {_OLD_JOBS}", JOB_DAYS)  # noqa: S608 - a constant
        answers = await database.fetch_value(f"SELECT count(*) FROM idempotency WHERE {_PAST}", KEEP_HOURS)  # noqa: S608 - a constant
        return {"usage": usage, **settled, "jobs": jobs, "answers": answers, "sessions": 0}
    return {
        "usage": usage,
        **settled,
        "jobs": await database.execute(f"DELETE FROM job WHERE {_OLD_JOBS}", JOB_DAYS),  # noqa: S608 - a constant
        "answers": await database.execute(f"DELETE FROM idempotency WHERE {_PAST}", KEEP_HOURS),  # noqa: S608 - a constant
        "sessions": await forget_expired(),
    }


async def _sweep_settled(rows: str, *, dry_run: bool) -> int:
    """In portions: a disk that was lost once leaves a million findings."""
    if dry_run:
        return await database.fetch_value(f"SELECT count(*) FROM {rows}", SETTLED_DAYS)  # noqa: S608 - a constant
    table, gone = rows.partition(" ")[0], 0
    portion = f"DELETE FROM {table} WHERE id IN (SELECT id FROM {rows} LIMIT $2)"  # noqa: S608 - a constant
    while taken := await database.execute(portion, SETTLED_DAYS, ROWS_AT_ONCE):
        gone += taken
    return gone
