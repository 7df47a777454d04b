"""The drill: a backup is restored into scratch, where every row and byte is checked as fsck does, and counted. Then it goes.

So it proves what a verification cannot: that what lies there becomes a portal again. The live one is read by nobody and
changed by nobody meanwhile but for the mark at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.backups.bringing import wrong_objects
from portal.backups.destination import Destination
from portal.backups.drill_mark import mark_failed, mark_good
from portal.backups.in_use import backups_in_use
from portal.backups.kinds import DRILL
from portal.backups.layout import ENTITIES, IMAGES, VERSIONS, folder_of
from portal.backups.lines import Reading, read_lines
from portal.backups.listing import newest_of_all, read_root
from portal.backups.marks import distrust
from portal.backups.plan import Plan
from portal.backups.restore import restore_into_scratch
from portal.backups.root import Damaged, Root
from portal.backups.rows import OF_TYPE
from portal.backups.scratch import Scratch, scratch_portal
from portal.errors import Conflict, DiskFull, Gone, NotFound, PortalError, Running, Unavailable
from portal.imaging.pool import RenderPool
from portal.integrity.findings import Finding
from portal.integrity.fsck import check_rows
from portal.integrity.pictures import Eyes, check_pictures
from portal.integrity.strays import check_objects
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.jobs.progress import Report, no_report
from portal.settings import Settings

__all__ = ["DRILL", "DrillReport", "NotProven", "drill"]

_NOW: Final = timedelta(0)
_FIRST: Final = 3  # differences that are told in words
_MOST: Final = 1000  # then it is wrong enough
_ROWS: Final = 4096  # bytes that the rows of one object take, roughly


class NotProven(Conflict):
    """What the backup became is not what it says that it holds."""

    title = "The backup is not proven"


@dataclass(frozen=True, slots=True)
class DrillReport:
    """Of a good one; `lost`: pictures whose originals were lost before the backup was made, and which it says so of."""

    backup_id: str
    entities: int
    pictures: int
    versions: int
    objects: int
    bytes: int
    lost: int
    seconds: float

    def as_result(self) -> dict[str, Any]:
        return asdict(self)


async def drill(
    *,
    settings: Settings,
    pool: RenderPool,
    destination: Destination,
    backup_id: str | None = None,
    actor: Actor,
    report: Report = no_report,
) -> DrillReport:
    """Of the newest complete backup of all types, where none is named. Leaves its mark, good or not.

    Raises NotProven with the first differences, Damaged and Foreign with the member, DiskFull where there is no room for a whole
    copy, NotFound, Running, Unavailable.
    """
    async with alone(turns.DRILL), backups_in_use():
        wanted = backup_id or (await newest_of_all(destination)).id
        steps = _Steps(report)
        try:
            done = await _drill(settings, pool, destination, wanted, actor, steps)
        except (NotFound, Running, Unavailable, *database.AWAY):
            raise  # which says nothing of the backup
        except Exception as error:
            if not steps.was_ended:
                await _note_failure(wanted, error, actor)
            raise
        async with database.transaction():
            await mark_good(wanted, pictures=done.pictures, size=done.bytes, seconds=done.seconds)
            await record(actor, "backup.drill", "backup", wanted, after={"differences": 0, "pictures": done.pictures})
        return done


async def _note_failure(backup_id: str, error: Exception, actor: Actor) -> None:
    if isinstance(error, Damaged):
        await distrust(wrong_objects(error))
    said = error.message if isinstance(error, PortalError) else "Something went wrong on our side. The log says what."
    async with database.transaction():
        await mark_failed(backup_id, said, was_tried=not isinstance(error, DiskFull))
        await record(actor, "backup.drill", "backup", backup_id, after={"failed": said})


async def _drill(
    settings: Settings, pool: RenderPool, destination: Destination, backup_id: str, actor: Actor, steps: _Steps
) -> DrillReport:
    began = time.monotonic()
    root = await read_root(destination, backup_id)
    await _read_files(destination, root)
    steps.pictures = _held(root, IMAGES)
    async with scratch_portal(settings) as scratch:
        await _refuse_without_room(scratch, root)
        plan = await restore_into_scratch(
            store=scratch.store, destination=destination, root=root, actor=actor, report=steps.restored
        )
        differences = await _miscounted(root, plan)
        async with contextlib.aclosing(_findings(scratch, pool, steps)) as findings:
            async for finding in findings:
                differences.append(f"{finding.key or finding.image_id}: {finding.detail}")
                if len(differences) >= _MOST:
                    break
    if differences:
        raise NotProven(_said(backup_id, differences))
    return DrillReport(
        backup_id,
        entities=_held(root, ENTITIES),
        pictures=_held(root, IMAGES) - plan.left_out,
        versions=_held(root, VERSIONS),
        objects=plan.objects,
        bytes=plan.bytes,
        lost=plan.left_out,
        seconds=round(time.monotonic() - began, 1),
    )


def _held(root: Root, manifest: str) -> int:
    """Lines of all types."""
    members = [root.members.get(f"{entity_type}/{manifest}") for entity_type in root.entity_types]
    return sum(each.lines or 0 for each in members if each is not None)


async def _refuse_without_room(scratch: Scratch, root: Root) -> None:
    """Raises DiskFull, before a byte was copied."""
    free = await scratch.store.free_bytes()
    needed = root.bytes + root.objects * _ROWS + scratch.settings.free_space_bytes
    if free < needed:
        raise DiskFull(
            f"There is no room for a drill: a whole copy of the backup needs {needed // 2**20} MB with what must stay"
            f" free, and {free // 2**20} MB are free where the portal's data lies."
        )


async def _read_files(destination: Destination, root: Root) -> None:
    """All of the backup's own, those that no restore reads too; the objects are read by the restore. Raises Damaged."""
    for name, member in root.members.items():
        key, reading = f"{folder_of(root.id)}/{name}", Reading(has_lines=member.lines is not None)
        try:
            async for _ in read_lines(destination, key, reading):
                pass
        except Gone as error:
            raise Damaged(f"{key} is missing.") from error
        if difference := reading.difference(member):
            raise Damaged(f"{key}: {difference}.")


async def _miscounted(root: Root, plan: Plan) -> list[str]:
    """Manifests whose lines are not the rows there are now. Of what was lost, or shows what other types own, some stay away."""
    differences: list[str] = []
    is_whole = root.is_of_all and not root.lost
    for kind in OF_TYPE:
        wanted = _held(root, kind.manifest) - (plan.left_out if kind.manifest == IMAGES else 0)
        found = await database.fetch_value(f"SELECT count(*) FROM {kind.table}")  # noqa: S608 - constant tables
        if found != wanted and (is_whole or found > wanted or kind.manifest in (ENTITIES, IMAGES)):
            differences.append(f"{kind.manifest}: {wanted} are in the backup, {found} came back")
    return differences


async def _findings(scratch: Scratch, pool: RenderPool, steps: _Steps) -> AsyncGenerator[Finding]:
    """As fsck, and telling how far it is."""
    async for finding in check_rows():
        yield finding
    async for listed in check_objects(scratch.store, _NOW, _NOW):
        for finding in listed.findings:
            yield finding
    async for looked in check_pictures(Eyes(scratch.store, pool)):
        await steps.checked()
        for finding in looked.findings:
            yield finding


def _said(backup_id: str, differences: list[str]) -> str:
    more = f" And {len(differences) - _FIRST} more." if len(differences) > _FIRST else ""
    first = " ".join(f"{each.rstrip('.')}." for each in differences[:_FIRST])
    found = "a difference" if len(differences) == 1 else f"{len(differences)} differences"
    return f"Restored into scratch, backup {backup_id} shows {found}: {first}{more}"


class _Steps:
    """How far it is, in pictures: half for bringing them back, half for looking at them. Told where the job is."""

    def __init__(self, report: Report) -> None:
        self._report, self._checked, self.pictures = report, 0, 0
        self._home = contextvars.copy_context()
        self.was_ended = False  # by who is told: cancelled, or given way

    async def restored(self, done: int, total: int | None) -> None:
        await self._tell(self.pictures * done // (2 * total) if total else 0)

    async def checked(self) -> None:
        self._checked += 1
        await self._tell((self.pictures + self._checked) // 2)

    async def _tell(self, done: int) -> None:
        try:
            await asyncio.create_task(_reported(self._report, done, self.pictures or None), context=self._home.copy())
        except Exception:
            self.was_ended = True
            raise


async def _reported(report: Report, done: int, total: int | None) -> None:
    await report(done, total)
