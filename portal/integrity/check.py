"""The full check: the same checks as fsck's, over everything, at a pace that leaves room; what it finds is kept."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from portal import database
from portal.errors import Unavailable
from portal.integrity.findings import Finding, propose_relinks, record_finding
from portal.integrity.fsck import check_rows, unmounted_root
from portal.integrity.pictures import Eyes, check_pictures
from portal.integrity.recheck import Memory, RecheckReport, each_open, judge
from portal.integrity.strays import LEAST_AGE, check_objects
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.jobs.progress import Report, no_report
from portal.storage.store import Store

CHECK: Final = "check"  # a kind of job
STATE: Final = "full_check"  # in portal_state: how much it read and how long that took
REST: Final = 0.5  # of the time that was worked
WORK: Final = 0.05  # seconds until the next rest


@dataclass(slots=True)
class CheckReport:
    """`findings` are all that it found, `new` those that nobody knew of, `gone` those that are no more true.

    Of a root that is not mounted nothing else was judged.
    """

    pictures: int = 0
    bytes: int = 0
    findings: int = 0
    new: int = 0
    gone: int = 0
    seconds: float = 0.0
    is_mounted: bool = True

    async def note(self, finding: Finding) -> None:
        self.findings += 1
        self.new += await record_finding(finding)


@dataclass(frozen=True, slots=True)
class Cost:
    """How much a full check would read, and how long that takes at the pace of the last one (None: there was none)."""

    bytes: int
    seconds: float | None


class Pace:
    """Rests now and then, so that pages do not wait for a disk that a check keeps busy."""

    def __init__(self, rest: float = REST) -> None:
        self._rest = rest
        self._since = time.monotonic()

    async def __call__(self) -> None:
        worked = time.monotonic() - self._since
        if worked >= WORK:
            await asyncio.sleep(worked * self._rest)
            self._since = time.monotonic()


async def full_check(*, store: Store, grace: timedelta, report: Report = no_report) -> CheckReport:
    """Look at everything; keep what is wrong, end what is no more true. Raises Running while another process is at it."""
    async with alone(turns.CHECK):
        told = CheckReport()
        clock = time.monotonic()
        try:
            await _check_all(told, store, grace, report)
            told.gone = await end_what_is_gone(store)
        except Unavailable:
            await note_unmounted(told, store)
        told.seconds = round(time.monotonic() - clock, 3)
        if told.is_mounted:
            await _remember(told)
    return told


async def _check_all(told: CheckReport, store: Store, grace: timedelta, report: Report) -> None:
    await store.check_marker()
    total, done = 2 * await _stored_objects(), 0  # each is listed, and each is read
    await report(0, total)
    async for finding in check_rows():
        await told.note(finding)
    pace = Pace()
    async for listed in note_objects(told, store, grace, pace):
        done += listed
        await report(done, max(total, done))
    async for looked in check_pictures(Eyes(store)):
        for finding in looked.findings:
            await told.note(finding)
        told.pictures += 1
        told.bytes += looked.bytes
        done += looked.objects
        await report(done, max(total, done))
        await pace()


async def note_objects(told: CheckReport, store: Store, grace: timedelta, pace: Pace) -> AsyncIterator[int]:
    """How many were listed, again and again."""
    async for listed in check_objects(store, grace, max(grace, LEAST_AGE)):
        for finding in listed.findings:
            await told.note(finding)
        yield listed.objects
        await pace()


async def _stored_objects() -> int:
    return await database.fetch_value(
        "SELECT coalesce(sum(pieces), 0)::bigint FROM stored_count WHERE part <> 'compressible'"
    )


async def note_unmounted(told: CheckReport, store: Store) -> None:
    """The one finding of a store that is not mounted. Raises again what the trouble was where it is mounted."""
    unmounted = await unmounted_root(store)
    if unmounted is None:
        raise
    await told.note(unmounted)
    told.is_mounted = False


async def end_what_is_gone(store: Store) -> int:
    """Not to be found again proves nothing (somebody may have been writing there), and what was found may have been repaired
    meanwhile: each that is open is looked at by itself."""
    told, memory = RecheckReport(), Memory()
    async for finding in each_open():
        await judge(finding, told, store, memory)
    await propose_relinks()
    return told.gone


async def now() -> datetime:
    """The database's time, which findings are dated with."""
    return await database.fetch_value("SELECT clock_timestamp()")


async def _remember(told: CheckReport) -> None:
    value = {"bytes": told.bytes, "seconds": told.seconds, "pictures": told.pictures, "findings": told.findings}
    await database.execute(
        """INSERT INTO portal_state (name, value) VALUES ($1, $2::jsonb || jsonb_build_object('ended_at', now()))
           ON CONFLICT (name) DO UPDATE SET value = excluded.value""",
        STATE,
        json.dumps(value),
    )


async def full_check_cost() -> Cost:
    """By the counters, so it is asked quickly."""
    size = await database.fetch_value(
        "SELECT coalesce(sum(bytes), 0)::bigint FROM stored_count WHERE part <> 'compressible'"
    )
    last = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", STATE)
    read = json.loads(last) if last else {"bytes": 0, "seconds": 0}
    return Cost(size, size * read["seconds"] / read["bytes"] if read["bytes"] else None)
