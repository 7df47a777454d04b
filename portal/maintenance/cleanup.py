"""Cleanup: objects that no row owns, temporary files left over, trash, cache and counts past their days.

A dry run says what it would do. It never deletes a row whose bytes are missing, and nothing younger than the grace.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Final

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.audit.service import record
from portal.errors import Conflict, NotFound
from portal.gallery.disposal import delete_image
from portal.gallery.tasks import purge_objects
from portal.integrity.objects import in_chunks, is_temporary, older_than, orphaned_of, without_arrivals
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.media.usage import forget_old_usage
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.store import ObjectEntry, Store

CLEANUP: Final = "cleanup"
MOST_EXAMPLES: Final = 20


@dataclass(slots=True)
class CleanupReport:
    """Counts and bytes of what was (or, in a dry run, would be) removed; `examples` are some of the keys.

    `pinned_images` stay: their days in the trash are over, but an invoice is pinned to them.
    """

    dry_run: bool
    orphaned_objects: int = 0
    temp_files: int = 0
    trashed_images: int = 0
    pinned_images: int = 0
    cached_files: int = 0
    usage_rows: int = 0
    bytes: int = 0
    examples: list[str] = field(default_factory=list)

    def count(self, entry: ObjectEntry) -> None:
        if is_temporary(entry):
            self.temp_files += 1
        else:
            self.orphaned_objects += 1
        self.bytes += entry.bytes
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(entry.key)


async def clean_up(*, settings: Settings, store: Store, actor: Actor, dry_run: bool = True) -> CleanupReport:
    """Raises Running while another process cleans up, Unavailable when the store is not mounted."""
    async with alone(turns.CLEANUP):
        await store.check_marker()
        report = CleanupReport(dry_run)
        await _clean_trash(report, settings)
        if not dry_run:
            await purge_objects({}, store=store, cache=Cache(settings.cache_dir))
        await asyncio.to_thread(_clean_cache, report, settings)
        report.usage_rows = await forget_old_usage(dry_run=dry_run)
        grace = timedelta(minutes=settings.grace_minutes)
        entries = await asyncio.to_thread(lambda: list(older_than(store.walk(), grace)))
        for chunk in in_chunks(entries):
            await _clean_objects(report, chunk, store)
        if not dry_run:
            async with database.transaction():
                await record(actor, "maintenance.cleanup", "portal", "store", after=asdict(report))
    return report


async def _clean_objects(report: CleanupReport, chunk: list[ObjectEntry], store: Store) -> None:
    leftovers = [entry for entry in chunk if is_temporary(entry)]
    async with database.transaction():
        suspects = await orphaned_of([entry for entry in chunk if not is_temporary(entry)])
        leftovers += await orphaned_of(await without_arrivals(suspects))  # asked again: some have their row by now
        for entry in leftovers:
            report.count(entry)
        if not report.dry_run:
            await store.delete(entry.key for entry in leftovers)


async def _clean_trash(report: CleanupReport, settings: Settings) -> None:
    rows = await database.fetch(
        """SELECT id, bytes, EXISTS (SELECT 1 FROM pinned_picture AS p WHERE p.image = image.id) AS is_pinned
           FROM image WHERE trashed_at < now() - make_interval(days => $1) ORDER BY trashed_at""",
        settings.trash_days,
    )
    for row in rows:
        if row["is_pinned"]:
            report.pinned_images += 1
            continue
        report.trashed_images += 1
        report.bytes += row["bytes"]
        if not report.dry_run:
            with contextlib.suppress(
                NotFound, Conflict
            ):  # somebody was first, has just restored it or pinned an invoice to it
                await delete_image(row["id"], actor=SYSTEM, deletes_per_hour=0, only_from_trash=True)


def _clean_cache(report: CleanupReport, settings: Settings) -> None:
    for path in Cache(settings.cache_dir).expired(timedelta(hours=settings.cache_hours)):
        with contextlib.suppress(OSError):  # another process sweeps as well, and one that can't go holds up no other
            size = path.lstat().st_size
            if not report.dry_run:
                path.unlink()
            report.bytes += size
            report.cached_files += 1
