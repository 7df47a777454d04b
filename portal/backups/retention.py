"""Backups past their time are removed, and the objects that none of the others needs are freed.

Roots go first, then the rest of their folders, then objects: killed anywhere, what remains is whole, and the next pruning ends
it. Before an object goes, the lists of all remaining backups were read and compared with their roots: while one cannot be, or
another portal makes a backup in the same place, none is freed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.backups.destination import Destination
from portal.backups.identity import LOOK_EVERY, begun_by, portal_id
from portal.backups.in_use import backups_for_removal
from portal.backups.keeping import ANOTHERS, made_by_us, rules_that_keep
from portal.backups.listing import BackupView, Lying, get_backup, list_backups, lying, read_root
from portal.backups.marks import forget_marks
from portal.backups.removal import remove_folder
from portal.backups.root import Damaged, Foreign
from portal.backups.sweeping import Swept, read_lists, sweep_objects
from portal.errors import Conflict
from portal.integrity.strays import LEAST_AGE
from portal.jobs.alone import Hold
from portal.jobs.progress import Report, no_report
from portal.settings import ENTITY_TYPES, Keep
from portal.storage.keys import TEMP

OTHERS: Final = timedelta(hours=24)  # an unfinished backup of another portal may be under way for so long


@dataclass(frozen=True, slots=True)
class Kept:
    """`rules`: those that keep it."""

    id: str
    rules: tuple[str, ...]


@dataclass(slots=True)
class PruneReport:
    """What was (or, in a dry run, would be) removed: complete and damaged backups, unfinished ones, objects that nobody needs
    any more with their bytes, temporary files. `blocked`: why no object was freed."""

    dry_run: bool
    kept: tuple[Kept, ...] = ()
    removed: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    objects: int = 0
    bytes: int = 0
    temp_files: int = 0
    blocked: str | None = None

    def as_result(self) -> dict[str, Any]:
        """Numbers, and `rules`: by the id of each that stays, those that keep it."""
        told = asdict(self) | {"removed": len(self.removed), "unfinished": len(self.unfinished), "kept": len(self.kept)}
        return told | {
            "rules": {each.id: list(each.rules) for each in self.kept},
            "removed_ids": [*self.removed, *self.unfinished],
        }

    def lines(self) -> list[str]:
        """For who reads it in a terminal."""
        told = [f"keep {each.id}: {', '.join(each.rules)}" for each in self.kept]
        told += [f"remove {each}" for each in self.removed]
        told += [f"remove {each}: unfinished" for each in self.unfinished]
        done = "would be freed" if self.dry_run else "freed"
        told.append(f"{self.objects} objects, {self.bytes} bytes, {done}.")
        return told + ([self.blocked] if self.blocked else [])


@dataclass(frozen=True, slots=True)
class _Place:
    """What lies there: every backup, and those unfinished ones that may be another portal's work of just now. `ours`: our id."""

    ours: str
    views: Sequence[BackupView]
    folders: Mapping[str, Lying]
    others: frozenset[str]


async def prune_backups(
    *,
    destination: Destination,
    keep: Keep,
    zone: ZoneInfo,
    actor: Actor,
    dry_run: bool = True,
    report: Report = no_report,
) -> PruneReport:
    """Raises Running while anybody works on backups, Unavailable when the destination is away."""
    async with backups_for_removal() as hold:
        await destination.check()
        place, now = await _look(destination), datetime.now(UTC)
        arrived = {each.id: each.root.modified_at for each in place.folders.values() if each.root}
        rules = rules_that_keep(place.views, keep, zone, now, arrived, place.ours)
        found = _decided(place, rules, dry_run)
        try:
            await _prune(found, destination, hold, place, report)
        finally:  # also when it was ended on its way: what went, went
            if not dry_run and (found.removed or found.unfinished or found.objects):
                async with database.transaction():
                    await record(actor, "backup.prune", "portal", "backups", after=found.as_result())
    return found


async def remove_backup(*, destination: Destination, backup_id: str, actor: Actor) -> None:
    """Its objects are freed by the next pruning. Raises NotFound; Conflict for one that is being made, and for the only
    complete one; Running."""
    async with backups_for_removal():
        await destination.check()
        view, place = await get_backup(destination, backup_id), await _look(destination)
        if backup_id in place.others:
            raise Conflict("Another portal may be making this backup. It can be removed a day after its beginning.")
        _refuse_the_only_one(view, place)
        await remove_folder(destination, backup_id)
        await forget_marks([backup_id])
        await _remember_good(backup_id, [each for each in made_by_us(place.views, place.ours) if each.id != backup_id])
        async with database.transaction():
            await record(
                actor, "backup.remove", "backup", backup_id, before={"state": view.state, "begun_at": view.begun_at}
            )


def _refuse_the_only_one(view: BackupView, place: _Place) -> None:
    """What another portal has made stands for none of ours."""
    complete = [each for each in place.views if each.complete]
    mine = made_by_us(complete, place.ours)
    if [view.id] in ([each.id for each in complete], [each.id for each in mine]):
        raise Conflict("This is the only complete backup. Make another one before you remove it.")


async def _remember_good(gone: str, views: Sequence[BackupView]) -> None:
    """The last good one, where it was this one: another one now, or none."""
    good = next(
        (each for each in views if each.complete and not each.lost and set(each.entity_types) == set(ENTITY_TYPES)),
        None,
    )
    if good is None or good.created_at is None:
        await database.execute("DELETE FROM portal_state WHERE name = 'backup' AND value ->> 'id' = $1", gone)
        return
    said = json.dumps({"good_at": good.created_at.isoformat(), "id": good.id})
    await database.execute(
        "UPDATE portal_state SET value = $2::jsonb WHERE name = 'backup' AND value ->> 'id' = $1", gone, said
    )


async def _look(destination: Destination) -> _Place:
    folders = await lying(destination)
    views = [await _with_portal(each, destination, folders) for each in await list_backups(destination)]
    return _Place(await portal_id(), views, folders, await _others(destination, folders))


async def _with_portal(view: BackupView, destination: Destination, folders: Mapping[str, Lying]) -> BackupView:
    """One whose root cannot be read may still say at its beginning whose it is."""
    begun = folders[view.id].begun if view.id in folders else None
    if view.state != "damaged" or begun is None:
        return view
    return replace(view, portal=await begun_by(destination, begun.key) or "")


async def _others(destination: Destination, folders: Mapping[str, Lying]) -> frozenset[str]:
    """Unfinished ones that are not known to be ours. Ours is none under way: we hold the turn."""
    ours, now = await portal_id(), datetime.now(UTC)
    found: list[str] = []
    for each in folders.values():
        if each.root is None and now - each.newest < OTHERS:
            begun = await begun_by(destination, each.begun.key) if each.begun else None
            found += [] if begun == ours else [each.id]
    return frozenset(found)


def _decided(place: _Place, rules: Mapping[str, Sequence[str]], dry_run: bool) -> PruneReport:
    unfinished = [view.id for view in place.views if view.state == "unfinished" and view.id not in place.others]
    gone = [view.id for view in place.views if view.state in ("complete", "damaged") and view.id not in rules]
    kept = [Kept(view.id, tuple(rules[view.id])) for view in place.views if view.id in rules]
    kept += [Kept(each, (ANOTHERS,)) for each in sorted(place.others)]
    return PruneReport(dry_run, tuple(kept), tuple(gone), tuple(unfinished))


async def _prune(found: PruneReport, destination: Destination, hold: Hold, place: _Place, report: Report) -> None:
    await report(0, None)
    if not found.dry_run:
        await _remove(found, destination, hold)
    await _sweep_temp(found, destination)
    try:
        await _free_objects(found, destination, hold, place, report)
    except (Damaged, Foreign, _Others) as error:
        found.blocked = f"No object is freed: {error}"


async def _remove(found: PruneReport, destination: Destination, hold: Hold) -> None:
    """One after the other: ended on its way, `found` says what went."""
    removed, unfinished = found.removed, found.unfinished
    found.removed = found.unfinished = ()
    for backup_id in (*removed, *unfinished):
        await hold.check()
        await remove_folder(destination, backup_id)
        await forget_marks([backup_id])
        found.removed += (backup_id,) if backup_id in removed else ()
        found.unfinished += (backup_id,) if backup_id in unfinished else ()


class _Others(Exception):
    """Another portal's work is in the same place."""


async def _free_objects(
    found: PruneReport, destination: Destination, hold: Hold, place: _Place, report: Report
) -> None:
    if place.others:
        raise _Others(_words(place.others))
    kept = [each.id for each in found.kept]
    remaining = [await read_root(destination, backup_id) for backup_id in kept]
    lists = await read_lists(destination, remaining)
    looked_at = -math.inf

    async def may_remove() -> None:
        nonlocal looked_at
        await hold.check()
        if time.monotonic() - looked_at > LOOK_EVERY:
            looked_at = time.monotonic()
            folders = await lying(destination)  # one that has ended since may need what none of `remaining` does
            if others := await _others(destination, folders) | (folders.keys() - place.folders.keys()):
                raise _Others(_words(others))

    swept = Swept()
    try:
        about = (destination, remaining, lists, swept)
        await sweep_objects(*about, dry_run=found.dry_run, may_remove=may_remove, report=report)
    finally:
        found.objects, found.bytes = swept.objects, swept.bytes


def _words(others: Set[str]) -> str:
    return f"another portal makes or has just made {min(others)} in the same place. The next pruning looks again."


async def _sweep_temp(found: PruneReport, destination: Destination) -> None:
    before = datetime.now(UTC) - LEAST_AGE
    async for entries in destination.listed(TEMP):
        old = [each.key for each in entries if each.modified_at < before]
        found.temp_files += len(old)
        if old and not found.dry_run:
            await destination.delete(old)
