"""What runs by the clock: each due time is started once among all processes, and a missed one once when the portal is back.

Who first sets `due_at` forward, in the transaction that enqueues the job, has started it. It never goes back, so a clock
that does starts nothing twice. The database's clock is the one that counts: processes may run on hosts that disagree.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from cron_descriptor import ExpressionDescriptor, Options
from croniter import CroniterBadDateError, croniter

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.audit.service import record, request_id
from portal.errors import NotFound, Running
from portal.jobs.progress import start_job
from portal.jobs.queue import USUAL, enqueue
from portal.jobs.tracing import schedule_name

log = structlog.get_logger()

OFF: Final = "off"
LONGEST_NAP: Final = 15.0  # seconds; so soon a clock that was set is noticed
TOO_FAR: Final = timedelta(
    days=7
)  # ahead of now: the clock was wrong when that was started, and must not stop us for years
_OPTIONS: Final = Options(locale_code="en_US", use_24hour_time_format=True)

Now = Callable[[], Awaitable[datetime]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """`cron`: five fields, or off. `is_followed`: people see its runs as jobs; else it is housekeeping, in the queue alone.

    A kind that is followed has a `followed` task and is started by `start_job`; else the task's payload is `arguments`.
    """

    name: str
    title: str
    cron: str
    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    is_followed: bool = True

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """In UTC; None when there is none. A local time that does not exist runs once, one that exists twice the first time."""
        if self.cron == OFF:
            return None
        runs_all_hours = self.cron.split()[1] == "*"
        times = croniter(self.cron, moment.astimezone(zone))
        try:
            while True:
                due: datetime = times.get_next(datetime)
                if due.fold == 0 or runs_all_hours:
                    return due.astimezone(UTC)
        except CroniterBadDateError:  # as of the 31st of February
            return None

    @property
    def words(self) -> str:
        """As `At 03:00, every day`."""
        if self.cron == OFF:
            return "Off"
        said = str(ExpressionDescriptor(self.cron, _OPTIONS))
        return f"{said}, every day" if self.cron.endswith("* * *") and said.startswith("At ") else said


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """What a page shows. `next_at` and `last_at` in the operator's time zone; `state` and `job` of the last run.

    `state`: that of its job, None where it never ran or is not followed. `is_running`: it is not started again meanwhile.
    """

    name: str
    title: str
    kind: str
    cron: str
    words: str
    zone: str
    is_followed: bool
    next_at: datetime | None
    last_at: datetime | None
    state: str | None
    is_running: bool
    job: str | None
    result: dict[str, Any] | None
    error: dict[str, str] | None


async def database_now() -> datetime:
    return await database.fetch_value("SELECT clock_timestamp()")


class Clock:
    """Starts what is due, in every process that has a worker. `now` tells the time."""

    def __init__(self, schedules: Sequence[Schedule], zone: ZoneInfo, now: Now = database_now) -> None:
        self.schedules, self.zone, self._now = schedules, zone, now
        self._introduced: set[str] = set()

    async def run(self) -> None:
        """For ever; a database that is away delays it."""
        while True:
            nap = LONGEST_NAP
            try:
                nap = await self.tick()
            except Exception as error:  # whatever it is: what is due is started the next time
                log.warning("schedules wait", error=repr(error))
            await asyncio.sleep(nap)

    async def tick(self) -> float:
        """Start what is due; the seconds after which to come again."""
        now = await self._now()
        started = {row["name"]: row["due_at"] for row in await database.fetch("SELECT name, due_at FROM schedule")}
        nap = LONGEST_NAP
        for schedule in self.schedules:
            if schedule.name not in self._introduced or schedule.name not in started:
                started[schedule.name] = await self._introduce(schedule, now)
            upcoming = schedule.next_after(started[schedule.name], self.zone)
            if upcoming is None:
                continue
            if upcoming > now + TOO_FAR and started[schedule.name] > now + TOO_FAR:
                await self._set_back(schedule, started[schedule.name], now)
            elif upcoming <= now:
                await self._start(schedule, started[schedule.name], now)
            else:
                nap = min(nap, (upcoming - now).total_seconds())
        return max(nap, 0.05)

    async def _introduce(self, schedule: Schedule, now: datetime) -> datetime:
        """Once for each process. One that is new, or whose times were changed, owes nothing for what was before."""
        async with database.transaction():
            changed = await database.execute(_REMEMBER, _state_name(schedule.name), schedule.cron, now.isoformat())
            due_at = await database.fetch_value(_INTRODUCE, schedule.name, now, bool(changed))
        self._introduced.add(schedule.name)
        return due_at

    async def _start(self, schedule: Schedule, seen: datetime, now: datetime) -> None:
        """Once among all processes: the others find a `due_at` that is not the one they have read."""
        async with database.transaction():
            if not await database.execute(_MOVE, schedule.name, seen, now):
                return
            if await _is_running(schedule):
                log.warning("a schedule's last run goes on, it is not started again", schedule=schedule.name)
                return
            await _enqueue(schedule, SYSTEM)
        log.debug("a schedule was started", schedule=schedule.name)

    async def _set_back(self, schedule: Schedule, seen: datetime, now: datetime) -> None:
        log.warning("a schedule was last started by a clock far ahead", schedule=schedule.name, due_at=seen.isoformat())
        await database.execute(_MOVE, schedule.name, seen, now)


_MOVE: Final = "UPDATE schedule SET due_at = $3 WHERE name = $1 AND due_at = $2"
_INTRODUCE: Final = """
    INSERT INTO schedule AS kept (name, due_at) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET due_at = CASE WHEN $3 THEN greatest(kept.due_at, excluded.due_at) ELSE kept.due_at END
    RETURNING due_at
"""
# Touches no row where the times are as they were.
_REMEMBER: Final = """
    INSERT INTO portal_state AS kept (name, value) VALUES ($1, jsonb_build_object('cron', $2::text, 'since', $3::text))
    ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE kept.value ->> 'cron' <> excluded.value ->> 'cron'
"""
# A job whose place in the queue was lost runs no more, whatever its row says.
_RUNNING: Final = """
    SELECT EXISTS (
        SELECT 1 FROM schedule JOIN job ON job.id = schedule.job JOIN pgqueuer ON pgqueuer.entrypoint = job.kind
        WHERE schedule.name = $1 AND job.state IN ('queued', 'running') AND pgqueuer.status IN ('queued', 'picked')
          AND convert_from(pgqueuer.payload, 'UTF8')::jsonb ->> 'job' = job.id::text
    ) OR EXISTS (SELECT 1 FROM pgqueuer WHERE dedupe_key = $2 AND status IN ('queued', 'picked'))
"""


def _state_name(name: str) -> str:
    return f"schedule {name}"


async def _is_running(schedule: Schedule) -> bool:
    return await database.fetch_value(_RUNNING, schedule.name, _state_name(schedule.name))


async def _enqueue(schedule: Schedule, actor: Actor) -> UUID | None:
    """The id of the job, where people follow it. Its lines in the log and the audit carry one id, as a request's do."""
    by_schedule = schedule_name.set(schedule.name)
    request = request_id.set(request_id.get() or secrets.token_hex(8))
    try:
        if not schedule.is_followed:
            # what failed before is tried again by this
            await database.execute(
                "DELETE FROM pgqueuer WHERE status = 'failed' AND dedupe_key = $1", _state_name(schedule.name)
            )
            # before what is in bulk: an import of a hundred thousand would hold it up for hours
            await enqueue(schedule.kind, dict(schedule.arguments), priority=USUAL, dedupe=_state_name(schedule.name))
            return None
        job_id = await start_job(schedule.kind, dict(schedule.arguments), actor=actor)
        await database.execute("UPDATE schedule SET job = $2 WHERE name = $1", schedule.name, job_id)
        return job_id
    finally:
        request_id.reset(request)
        schedule_name.reset(by_schedule)


async def run_now(name: str, schedules: Sequence[Schedule], *, actor: Actor) -> UUID | None:
    """Start it out of turn; what is due later stays due. Raises NotFound, Running."""
    schedule = next((each for each in schedules if each.name == name), None)
    if schedule is None:
        raise NotFound("There is no schedule of this name.")
    async with database.transaction():
        now = await database_now()
        await database.execute(
            "INSERT INTO schedule (name, due_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", schedule.name, now
        )
        await database.execute("SELECT 1 FROM schedule WHERE name = $1 FOR UPDATE", schedule.name)
        if await _is_running(schedule):
            raise Running(f"“{schedule.title}” is running already.")
        await record(actor, "schedule.run", "schedule", schedule.name)
        return await _enqueue(schedule, actor)


async def list_schedules(schedules: Sequence[Schedule], zone: ZoneInfo) -> list[ScheduleView]:
    """In their order."""
    now = await database_now()
    rows = {row["name"]: row for row in await database.fetch(_LISTED)}
    return [_view(schedule, rows.get(schedule.name), zone, now) for schedule in schedules]


_LISTED: Final = """
    SELECT schedule.name, schedule.due_at, state.value ->> 'since' AS since,
           job.id, job.state, job.result, job.error, job.created_at
    FROM schedule LEFT JOIN job ON job.id = schedule.job
    LEFT JOIN portal_state AS state ON state.name = 'schedule ' || schedule.name
"""


def _view(schedule: Schedule, row: Any, zone: ZoneInfo, now: datetime) -> ScheduleView:
    due_at = row["due_at"] if row else now
    upcoming = schedule.next_after(due_at, zone)
    last = _last_of(schedule, row)
    return ScheduleView(
        name=schedule.name,
        title=schedule.title,
        kind=schedule.kind,
        cron=schedule.cron,
        words=schedule.words,
        zone=str(zone),
        is_followed=schedule.is_followed,
        next_at=upcoming and max(upcoming, now).astimezone(zone),
        last_at=last and last.astimezone(zone),
        state=row["state"] if row else None,
        is_running=bool(row) and row["state"] in ("queued", "running"),
        job=str(row["id"]) if row and row["id"] else None,
        result=json.loads(row["result"]) if row and row["result"] else None,
        error=json.loads(row["error"]) if row and row["error"] else None,
    )


def _last_of(schedule: Schedule, row: Any) -> datetime | None:
    """When it was last started; of housekeeping, by the clock, unless that was when we first saw it."""
    if row is None or schedule.is_followed:
        return row and row["created_at"]
    is_first_sight = row["since"] is not None and row["due_at"] <= datetime.fromisoformat(row["since"])
    return None if is_first_sight else row["due_at"]
