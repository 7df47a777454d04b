"""Jobs that somebody asked for and follows: one row each, from queued to its result."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import request_id
from portal.errors import NotFound, PortalError, Unavailable
from portal.jobs.queue import USUAL, Task, enqueue
from portal.jobs.tracing import schedule_name
from portal.paging import EXACT_UP_TO, Page, decode_cursor, encode_cursor

log = structlog.get_logger()

TELL_EVERY: Final = 1.0  # seconds
FINISHED: Final = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class JobView:
    """The API's job object. `state` is queued, running, succeeded, failed or cancelled."""

    id: str
    kind: str
    state: str
    progress: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, str] | None
    created_at: dt.datetime
    finished_at: dt.datetime | None

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED


async def start_job(kind: str, arguments: dict[str, Any], *, actor: Actor) -> UUID:
    """A row and its place in the queue, together; joins an open transaction. It knows the request and the schedule it is of."""
    job_id = uuid7()
    async with database.transaction():
        await database.execute(
            """INSERT INTO job (id, kind, state, arguments, progress, actor, request_id, schedule)
               VALUES ($1, $2, 'queued', $3, '{}', $4, $5, $6)""",
            job_id,
            kind,
            json.dumps(arguments),
            actor.name,
            request_id.get(),
            schedule_name.get(),
        )
        await enqueue(kind, {"job": str(job_id)}, priority=USUAL)
    return job_id


class Cancelled(Exception):
    """Somebody asked that a job ends here."""


Report = Callable[[int, int | None], Awaitable[None]]
"""`await report(done, total)`: how far a verb is (total None: not known). Raises Cancelled where it shall end."""


async def no_report(done: int, total: int | None) -> None:
    """For who does not follow."""


class JobReport:
    """A Report that writes to a job's row, at most once a second, and hears there whether the job shall end."""

    def __init__(self, job_id: UUID, unit: str) -> None:
        self._job_id, self._unit = job_id, unit
        self._began = self._told = time.monotonic()

    async def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._told < TELL_EVERY and done != total:
            return
        self._told = now
        row = await database.fetch_row(
            "UPDATE job SET progress = $2::jsonb WHERE id = $1 RETURNING cancel_asked_at",
            self._job_id,
            json.dumps(self._progress(done, total, now - self._began)),
        )
        if row is None or row["cancel_asked_at"] is not None:
            raise Cancelled

    def _progress(self, done: int, total: int | None, seconds: float) -> dict[str, Any]:
        rate = done / seconds if seconds > 0 else 0.0
        left = round((total - done) / rate) if total is not None and rate > 0 else None
        return {"done": done, "total": total, "unit": self._unit, "per_second": round(rate, 2), "seconds_left": left}


Followed = Callable[[dict[str, Any], Actor, Report], Awaitable[dict[str, Any]]]


def followed(run: Followed, unit: str = "pictures") -> Task:
    """A task over `run(arguments, actor, report) -> result` that keeps its job's row up to date."""

    async def run_and_tell(payload: dict[str, Any]) -> None:
        row = await database.fetch_row(
            """UPDATE job SET state = 'running', attempts = attempts + 1, started_at = coalesce(started_at, now())
               WHERE id = $1 AND state IN ('queued', 'running') RETURNING arguments, actor""",
            UUID(payload["job"]),
        )
        if row is None:
            return
        report = JobReport(UUID(payload["job"]), unit)
        try:
            result = await run(json.loads(row["arguments"]), Actor(row["actor"], "admin"), report)
        except Unavailable:
            raise
        except Cancelled:
            await _end(payload, "cancelled", None, None)
        except PortalError as error:
            await _end(payload, "failed", None, {"code": error.code, "message": error.message})
        else:
            await _end(payload, "succeeded", result, None)

    async def give_up(payload: dict[str, Any], reason: str) -> None:
        await _end(payload, "failed", None, {"code": "failed", "message": reason})

    return Task(run_and_tell, give_up=give_up)


async def _end(
    payload: dict[str, Any], state: str, result: dict[str, Any] | None, error: dict[str, str] | None
) -> None:
    await database.execute(
        """UPDATE job SET state = $2, result = $3::jsonb, error = $4::jsonb, finished_at = now()
           WHERE id = $1 AND state IN ('queued', 'running')""",
        UUID(payload["job"]),
        state,
        None if result is None else json.dumps(result),
        None if error is None else json.dumps(error),
    )


_COLUMNS: Final = "id, kind, state, progress, result, error, created_at, finished_at"


async def get_job(job_id: UUID) -> JobView:
    """Raises NotFound."""
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM job WHERE id = $1", job_id)  # noqa: S608 - constant columns
    if row is None:
        raise NotFound("There is no job with this id.")
    return _view(row)


async def list_jobs(*, cursor: str | None, limit: int) -> Page[JobView]:
    """Newest first. Raises FormError for a foreign cursor."""
    after = decode_cursor(cursor, [str])
    try:
        last = UUID(after[0]) if after else UUID(int=2**128 - 1)
    except ValueError:
        last = UUID(int=0)
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM job WHERE id < $1 ORDER BY id DESC LIMIT $2",  # noqa: S608 - constant columns
        last,
        limit + 1,
    )
    total = await database.fetch_value("SELECT count(*) FROM (SELECT 1 FROM job LIMIT $1) AS counted", EXACT_UP_TO + 1)
    jobs = [_view(row) for row in rows[:limit]]
    return Page(jobs, total, encode_cursor([jobs[-1].id]) if len(rows) > limit else None)


def _view(row: Any) -> JobView:
    return JobView(
        id=str(row["id"]),
        kind=row["kind"],
        state=row["state"],
        progress=json.loads(row["progress"]),
        result=json.loads(row["result"]) if row["result"] else None,
        error=json.loads(row["error"]) if row["error"] else None,
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )
