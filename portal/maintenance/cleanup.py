"""Cleanup: objects that no row owns, temporary files left over, trash, cache, quarantine and rows past their days.

A dry run says what it would do. It never deletes a row whose bytes are missing, and nothing younger than the grace. Of however
many objects it holds a thousand at a time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Final

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.audit.service import record
from portal.gallery.tasks import purge_objects
from portal.integrity.objects import is_temporary
from portal.integrity.strays import plain_name
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.jobs.keeping import refuse_while_kept
from portal.jobs.progress import Later, Report, no_report
from portal.maintenance.clock_watch import doubt
from portal.maintenance.quarantine import forget_old_quarantine
from portal.maintenance.sweeps import Taken, sweep_cache, sweep_objects, sweep_rows, sweep_trash
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.store import ObjectEntry, Store

CLEANUP: Final = "cleanup"
MOST_EXAMPLES: Final = 20


@dataclass(slots=True)
class CleanupReport:
    """Counts and bytes of what was (or, in a dry run, would be) removed; `examples` are some of the keys.

    `pinned_images` stay: their days in the trash are over, but an invoice is pinned to them. So do `unfound_images`, whose
    original is not in the store: they are repair's, and so are `missed_objects`, which hold the bytes of such an original.
    `doubt`: why the clock is not trusted. `rows`: by what they were.
    """

    dry_run: bool
    orphaned_objects: int = 0
    orphaned_bytes: int = 0
    temp_files: int = 0
    temp_bytes: int = 0
    trashed_images: int = 0
    trashed_bytes: int = 0
    pinned_images: int = 0
    unfound_images: int = 0
    missed_objects: int = 0
    cached_files: int = 0
    cached_bytes: int = 0
    quarantined_objects: int = 0
    quarantined_bytes: int = 0
    usage_rows: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    examples: list[str] = field(default_factory=list)
    doubt: str | None = None

    @property
    def pieces(self) -> int:
        return (
            self.orphaned_objects
            + self.temp_files
            + self.trashed_images
            + self.cached_files
            + self.quarantined_objects
            + sum(self.rows.values())
        )

    def lines(self) -> list[str]:
        """For who reads it in a terminal."""
        kinds = (
            ("orphaned objects", self.orphaned_objects, self.orphaned_bytes),
            ("temporary files", self.temp_files, self.temp_bytes),
            ("cached files", self.cached_files, self.cached_bytes),
            ("pictures of the trash", self.trashed_images, self.trashed_bytes),
            ("objects of the quarantine", self.quarantined_objects, self.quarantined_bytes),
        )
        done = "would be removed (with --apply)" if self.dry_run else "removed"
        told = [f"{count} {words}, {size} bytes" for words, count, size in kinds]
        told += [f"{count} old rows of {name}" for name, count in self.rows.items() if count]
        told.append(f"{self.bytes} bytes in all, {done}.")
        if self.pinned_images:
            told.append(f"Invoices are pinned to {self.pinned_images} more pictures of the trash: they stay.")
        if self.unfound_images:
            told.append(
                f"The originals of {self.unfound_images} more are not in the store: they stay, for `portal repair`."
            )
        if self.missed_objects:
            told.append(
                f"{self.missed_objects} objects hold bytes that a picture misses: they stay, for `portal repair`."
            )
        return told + ([self.doubt] if self.doubt else [])

    def count_object(self, entry: ObjectEntry) -> None:
        if is_temporary(entry):
            self.temp_files += 1
            self.temp_bytes += entry.bytes
        else:
            self.orphaned_objects += 1
            self.orphaned_bytes += entry.bytes
        self.bytes += entry.bytes
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(plain_name(entry.key))

    def count_picture(self, taken: Taken) -> None:
        if taken.kept is None:
            self.trashed_images += 1
            self.trashed_bytes += taken.bytes
            self.bytes += taken.bytes
        self.pinned_images += taken.kept == "pinned"
        self.unfound_images += taken.kept == "unfound"

    def count_cached(self, taken: Taken) -> None:
        self.cached_files += 1
        self.cached_bytes += taken.bytes
        self.bytes += taken.bytes


async def clean_up(
    *,
    settings: Settings,
    store: Store,
    actor: Actor,
    dry_run: bool = True,
    by_schedule: bool = False,
    report: Report = no_report,
) -> CleanupReport:
    """`by_schedule`: nobody looks, so nothing goes while the clock is in doubt.

    Raises Running while another process cleans up, Unavailable when the store is not mounted, Later while a backup needs all
    objects, and for a clock in doubt: a portal that is off at night, and so in doubt each morning, cleans up some hours later.
    """
    async with alone(turns.CLEANUP):
        await store.check_marker()
        if not dry_run:
            async with database.transaction():
                await refuse_while_kept()
        doubted = await doubt()
        found = CleanupReport(dry_run, doubt=doubted and doubted.words)
        if doubted and by_schedule and actor == SYSTEM and not dry_run:
            words = f"{doubted.words} Nothing was removed; clean up by hand if its time is right."
            raise Later(words, doubted.left)
        try:
            await _sweep(found, settings, store, report)
        finally:  # also when it was ended on its way: what went, went
            if not dry_run and found.pieces:
                async with database.transaction():
                    await record(actor, "maintenance.cleanup", "portal", "store", after=asdict(found))
    return found


async def _sweep(found: CleanupReport, settings: Settings, store: Store, report: Report) -> None:
    """What is quickly done first; the walk through the store is the rest."""
    cache, done = Cache(settings.cache_dir), 0
    async for pictures in sweep_trash(settings, store, dry_run=found.dry_run):
        for each in pictures:
            found.count_picture(each)
        await report(done := done + len(pictures), None)
    if not found.dry_run:
        await purge_objects({}, store=store, cache=cache)
    async for files in sweep_cache(cache, settings.cache_hours, dry_run=found.dry_run):
        for each in files:
            found.count_cached(each)
        await report(done := done + len(files), None)
    await _sweep_quarantine(found, settings)
    found.rows = await sweep_rows(dry_run=found.dry_run)
    found.usage_rows = found.rows["usage"]
    grace = timedelta(minutes=settings.grace_minutes)
    async for looked in sweep_objects(store, grace, dry_run=found.dry_run):
        for entry in looked.leftovers:
            found.count_object(entry)
        found.missed_objects += looked.missed
        await report(done := done + looked.objects, None)


async def _sweep_quarantine(found: CleanupReport, settings: Settings) -> None:
    if await database.fetch_value("SELECT EXISTS (SELECT FROM quarantined WHERE removed_at IS NULL)"):
        forgotten = await forget_old_quarantine(settings.quarantine_dir, dry_run=found.dry_run)
        found.quarantined_objects, found.quarantined_bytes = forgotten.pieces, forgotten.bytes
        found.bytes += forgotten.bytes
