"""What the pages about backups show: the proof, where they lie and why they stay, the list with its evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from portal import database
from portal.backups.destination import Destination
from portal.backups.drill_mark import drill_mark
from portal.backups.keeping import POINT_DAYS
from portal.backups.kinds import BACKUP
from portal.backups.kinds import KINDS as JOBS
from portal.backups.listing import BackupView, list_backups
from portal.backups.marks import Mark, marks
from portal.errors import PortalError, Unavailable
from portal.jobs.lists import JobLine, newest_lines, unfinished_lines
from portal.jobs.schedules import Schedule, list_schedules
from portal.maintenance.backup_run_views import joined, rules_in_words, what_in_words
from portal.maintenance.health.thresholds import DRILL as DRILL_AGE
from portal.maintenance.job_lists import Line, line_of, read_now, stamp_of
from portal.maintenance.job_words import due_in_words
from portal.settings import Keep, Settings

PATIENCE: Final = 10.0  # seconds that a page waits for where backups lie
SHOWN: Final = 100
_WHY: Final = {
    "asked": "Asked for",
    "schedule": "By schedule",
    "restore_point": "Before a restore",
    "import": "Before an import",
}
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "running": ("Running", "work"),
    "unfinished": ("Unfinished", "warn"),
    "damaged": ("Damaged", "bad"),
    "foreign": ("Foreign", "warn"),
}


@dataclass(frozen=True, slots=True)
class ProofView:
    """The mark: what the last drill has shown. `at` of the good one, or of the one that failed."""

    state: Literal["never", "good", "old", "failed"]
    at: datetime | None = None
    pictures: int = 0
    bytes: int = 0
    words: str = ""
    backup_id: str | None = None


@dataclass(frozen=True, slots=True)
class BackupLine:
    """A backup with its words; `badge` is (text, tone). `verified`: when, and how."""

    backup: BackupView
    badge: tuple[str, str]
    why: str
    what: str
    wrong: Mark | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where they lie, when the next is made, what stays."""

    words: str
    on_same_disk: bool
    free: int | None
    schedules: Sequence[Mapping[str, str]]
    keeps: str
    point_days: int


@dataclass(frozen=True, slots=True)
class BackupList:
    """`problem`: why nobody can say what lies there. `last_failure`: why the last backup came to nothing."""

    lines: list[BackupLine]
    more: int
    problem: str | None
    running: list[Line]
    stamp: str
    last_good: BackupView | None
    last_failure: str | None

    @property
    def is_running(self) -> bool:
        return bool(self.running)


async def proof_view() -> ProofView:
    left = await drill_mark()
    if left.has_failed:
        return ProofView("failed", left.failed_at, words=left.message, backup_id=left.failed_backup)
    if left.good_at is None:
        return ProofView("never")
    age = (datetime.now(UTC) - left.good_at).total_seconds() / 86_400
    return ProofView(
        "good" if DRILL_AGE.judge(age) == "ok" else "old",
        left.good_at,
        left.pictures,
        left.bytes,
        backup_id=left.backup,
    )


async def backup_list(destination: Destination) -> BackupList:
    """Never waits long for a place that does not answer."""
    found, problem = await seen(destination)
    verified = await marks()
    at_work, stamp = await work()
    last = await newest_lines([BACKUP], limit=1)
    failed = last[0].job.error if last and last[0].job.state == "failed" else None
    return BackupList(
        [line_of_backup(each, verified.get(each.id)) for each in found[:SHOWN]],
        max(len(found) - SHOWN, 0),
        problem,
        at_work,
        stamp,
        next((each for each in found if each.complete), None),
        failed["message"] if failed else None,
    )


async def seen(destination: Destination) -> tuple[list[BackupView], str | None]:
    """And why nobody can say what lies there. A place that was never used is empty."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await list_backups(destination), None
    except TimeoutError:
        return [], "Where backups lie does not answer."
    except Unavailable as error:
        return [], error.message if await _is_away(destination) else None
    except PortalError as error:
        return [], error.message


async def _is_away(destination: Destination) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            return await destination.is_away()
    except (TimeoutError, PortalError):
        return True


async def work(about: str | None = None) -> tuple[list[Line], str]:
    """The unfinished jobs about backups, or about one; and what changes when there are others."""
    unfinished = [each for each in await unfinished_lines() if each.job.kind in JOBS]
    now = await read_now()
    shown = [each for each in unfinished if about is None or each.arguments.get("backup_id") == about]
    return [line_of(each, now.pauses) for each in shown], stamp_of(now, await unfinished_lines())


def line_of_backup(backup: BackupView, verified: Mark | None) -> BackupLine:
    wrong = verified if verified is not None and verified.wrong else None
    return BackupLine(backup, _badge(backup), why_in_words(backup.reason), what_in_words(backup.entity_types), wrong)


def _badge(backup: BackupView) -> tuple[str, str]:
    if not backup.complete:
        return _STATES[backup.state]
    if backup.wrong:
        return "Damaged", "bad"
    return ("Verified", "ok") if backup.verified_at is not None and not backup.verified_quick else ("Complete", "")


def why_in_words(reason: str) -> str:
    return _WHY.get(reason, reason.replace("_", " ").capitalize())


def keep_in_words(keep: Keep) -> str:
    """ "the newest of each of the last 7 days, 4 weeks and 6 months"."""
    spans = [
        f"{number:,} {unit}{'' if number == 1 else 's'}"
        for number, unit in ((keep.daily, "day"), (keep.weekly, "week"), (keep.monthly, "month"), (keep.yearly, "year"))
        if number
    ]
    newest = [f"the newest {keep.last:,}"] if keep.last else []
    each = [f"the newest of each of the last {joined(spans)}"] if spans else []
    return " and ".join([*newest, *each])


async def place(destination: Destination, settings: Settings, schedules: Sequence[Schedule]) -> Place:
    views = await list_schedules([each for each in schedules if each.kind in JOBS], settings.timezone)
    on_same_disk = settings.backup_bucket is None and await asyncio.to_thread(
        _same_device, settings.backup_dir, settings.storage_dir
    )
    return Place(
        destination.words,
        on_same_disk,
        await _free(destination),
        [
            {"title": view.title.partition(":")[0], "words": view.words, "next": due_in_words(view.next_at)}
            for view in views
        ],
        keep_in_words(settings.backup_keep),
        POINT_DAYS.days,
    )


async def _free(destination: Destination) -> int | None:
    try:
        async with asyncio.timeout(PATIENCE):
            return await destination.free_bytes()
    except (TimeoutError, PortalError, OSError):
        return None


def _same_device(one: Path, other: Path) -> bool:
    return _device(one) == _device(other)


def _device(folder: Path) -> int:
    """Of a folder that is not there yet: where it would be made."""
    return next(each for each in (folder, *folder.parents) if each.exists()).stat().st_dev


async def is_empty() -> bool:
    """Nothing is here that a restore could meet."""
    return not await database.fetch_value("SELECT EXISTS (SELECT 1 FROM entity)")


async def prune_lines(
    destination: Destination, told: Mapping[str, Any]
) -> tuple[list[BackupLine], list[tuple[BackupLine, str]]]:
    """Of a pruning's result, as they lie there now: those that go, and those that stay with the rules that keep them."""
    found, _ = await seen(destination)
    verified = await marks()
    lines = [line_of_backup(each, verified.get(each.id)) for each in found]
    kept = told["rules"]
    staying = [(line, rules_in_words(kept[line.backup.id])) for line in lines if line.backup.id in kept]
    return [line for line in lines if line.backup.id in told["removed_ids"]], staying


async def last_of(backup_id: str, kind: str) -> JobLine | None:
    """The newest job of this kind about one backup."""
    return next(iter(await newest_lines([kind], limit=1, about=("backup_id", backup_id))), None)
