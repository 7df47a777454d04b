"""The scrub: reads all bytes again and again, some minutes a day, and goes on where it ended, whatever ended it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.errors import Unavailable
from portal.integrity.check import CheckReport, Pace, end_what_is_gone, note_objects, note_unmounted, now
from portal.integrity.fsck import check_rows
from portal.integrity.pictures import FIRST, Eyes, check_pictures
from portal.jobs.alone import Turn, alone
from portal.jobs.progress import Report, no_report
from portal.storage.store import Store

SCRUB: Final = "scrub"  # a kind of job
STATE: Final = "scrub"  # in portal_state
TURN: Final = Turn("A scrub", 7_310_016)
SAVE_EVERY: Final = 2.0  # seconds
DAY: Final = timedelta(hours=20)  # its clock may start a little earlier than the day before


@dataclass(frozen=True, slots=True)
class ScrubState:
    """How far the pass is: `last` image looked at (None: it has not begun), since when, what was read of how many.

    `completed_at` is when the last whole pass ended, `began_at` of that is in `completed_began_at`. `day` is when the day's
    first minute was used, `used` how many seconds of it.
    """

    last: UUID | None = None
    began_at: datetime | None = None
    pictures: int = 0
    bytes: int = 0
    completed_began_at: datetime | None = None
    completed_at: datetime | None = None
    completed_pictures: int = 0
    completed_bytes: int = 0
    day: datetime | None = None
    used: float = 0.0


@dataclass(slots=True)
class ScrubReport(CheckReport):
    """What this run looked at. `is_whole`: it came to the end of the pass."""

    is_whole: bool = False


_TIMES: Final = ("began_at", "completed_began_at", "completed_at", "day")


async def scrub_state() -> ScrubState:
    text = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", STATE)
    return _read(json.loads(text)) if text else ScrubState()


async def scrub(
    *,
    store: Store,
    grace: timedelta,
    budget: timedelta,
    report: Report = no_report,
    save_every: float = SAVE_EVERY,
) -> ScrubReport:
    """Go on with the pass for what is left of the day's `budget`, at most to its end. Raises Running."""
    async with alone(TURN):
        run = _Run(_of_today(await scrub_state(), await now()), budget, save_every)
        told = ScrubReport()
        try:
            if run.is_over:
                return told
            await store.check_marker()
            async for finding in check_rows():
                await told.note(finding)
            told.is_whole = await _go_on(run, told, store, report)
            if told.is_whole:
                async for _ in note_objects(told, store, grace, Pace()):
                    await report(run.state.pictures, run.state.pictures)
                told.gone = await end_what_is_gone(store)
                await run.complete()
        except Unavailable:
            await note_unmounted(told, store)
            told.is_whole = False
        finally:
            await run.save()
        told.seconds = round(run.seconds, 3)
    return told


class _Run:
    """The checkpoint, and what is used of the day's minutes."""

    def __init__(self, state: ScrubState, budget: timedelta, save_every: float) -> None:
        self.state, self._budget, self._save_every = state, budget.total_seconds(), save_every
        self._used_before = state.used
        self._began = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def is_over(self) -> bool:
        return self._used_before + self.seconds >= self._budget

    async def looked(self, image_id: UUID, size: int) -> None:
        self.state = replace(self.state, last=image_id, pictures=self.state.pictures + 1, bytes=self.state.bytes + size)
        if time.monotonic() - self._saved >= self._save_every:
            await self.save()

    async def complete(self) -> None:
        done = self.state
        self.state = ScrubState(
            completed_began_at=done.began_at,
            completed_at=await now(),
            completed_pictures=done.pictures,
            completed_bytes=done.bytes,
            day=done.day,
        )

    async def save(self) -> None:
        self.state = replace(self.state, used=round(self._used_before + self.seconds, 3))
        self._saved = time.monotonic()
        await database.execute(
            """INSERT INTO portal_state (name, value) VALUES ($1, $2::jsonb)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value""",
            STATE,
            json.dumps(_written(self.state)),
        )


def _of_today(state: ScrubState, moment: datetime) -> ScrubState:
    """The day's minutes anew when the last ones are a day old; a pass that has not begun begins."""
    if state.day is None or not timedelta(0) <= moment - state.day < DAY:
        state = replace(state, day=moment, used=0.0)
    return state if state.began_at is not None else replace(state, began_at=moment)


async def _go_on(run: _Run, told: ScrubReport, store: Store, report: Report) -> bool:
    """Is the pass at its end?"""
    total = await database.fetch_value("SELECT count(*) FROM image")
    pace = Pace()
    async for looked in check_pictures(Eyes(store), after=run.state.last or FIRST):
        for finding in looked.findings:
            await told.note(finding)
        told.pictures += 1
        told.bytes += looked.bytes
        await run.looked(looked.image_id, looked.bytes)
        await report(run.state.pictures, max(total, run.state.pictures))
        if run.is_over:
            return False
        await pace()
    return True


def _written(state: ScrubState) -> dict[str, Any]:
    fields = {name: getattr(state, name) for name in ScrubState.__slots__}
    times = {name: fields[name].isoformat() for name in _TIMES if fields[name] is not None}
    return {**fields, **times, "last": None if state.last is None else str(state.last)}


def _read(value: Mapping[str, Any]) -> ScrubState:
    times = {name: datetime.fromisoformat(value[name]) for name in _TIMES if value.get(name)}
    return ScrubState(**{**value, **times, "last": UUID(value["last"]) if value.get("last") else None})
