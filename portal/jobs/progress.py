"""Jobs that somebody asked for and follows: one row each, from queued to its result."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import structlog
from pgqueuer.domain.errors import RetryRequested
from uuid_utils.compat import uuid7

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.audit.service import record, request_id
from portal.errors import Conflict, FormError, NotFound, PortalError, Unavailable
from portal.jobs.queue import USUAL, Task, ending, enqueue
from portal.jobs.tracing import schedule_name
from portal.paging import EXACT_UP_TO, Page, encode_cursor, id_behind

log = structlog.get_logger()

TELL_EVERY: Final = 1.0  # seconds
FINISHED: Final = ("succeeded", "failed", "cancelled")
STATES: Final = ("queued", "running", *FINISHED)
KEPT: Final = "kept"  # among a job's arguments: how far its run is


@dataclass(frozen=True, slots=True)
class JobView:
    """The API's job object. `state` is queued, running, succeeded, failed or cancelled; `error` of the last try.

    `attempts`: how often it was started; `retry_of`: the job that this one tries again.
    """

    id: str
    kind: str
    state: str
    progress: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, str] | None
    attempts: int
    retry_of: str | None
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED


async def start_job(kind: str, arguments: dict[str, Any], *, actor: Actor, retry_of: UUID | None = None) -> UUID:
    """A row and its place in the queue, together; joins an open transaction. It knows the request and the schedule it is of."""
    job_id = uuid7()
    async with database.transaction():
        await database.execute(
            """INSERT INTO job (id, kind, state, arguments, progress, actor, request_id, schedule, retry_of)
               VALUES ($1, $2, 'queued', $3, '{}', $4, $5, $6, $7)""",
            job_id,
            kind,
            json.dumps(arguments),
            actor.name,
            request_id.get(),
            schedule_name.get(),
            retry_of,
        )
        await enqueue(kind, {"job": str(job_id)}, priority=USUAL, dedupe=place_of(job_id))
        if actor != SYSTEM and retry_of is None:
            await record(actor, "job.start", "job", str(job_id), after={"kind": kind})
    return job_id


def place_of(job_id: UUID | str) -> str:
    """Its row's key in the queue."""
    return f"job {job_id}"


class Later(Conflict):
    """Not now: a followed job waits in the queue for so long, and its page says why."""

    def __init__(self, message: str, delay: dt.timedelta) -> None:
        super().__init__(message)
        self.delay = delay


class Cancelled(Exception):
    """Somebody asked that a job ends here."""


Report = Callable[[int, int | None], Awaitable[None]]
"""`await report(done, total)`: how far a verb is (total None: not known). Raises Cancelled where it shall end."""


async def no_report(done: int, total: int | None) -> None:
    """For who does not follow."""


class JobReport:
    """A Report that writes to a job's row, at most once a second, and hears there whether the job shall end.

    Keeps, too, how far a run is, for the one that takes it up after a kill. Where the worker ends, the job goes back into
    the queue.
    """

    def __init__(self, job_id: UUID, unit: str) -> None:
        self._job_id, self._unit = job_id, unit
        self._began = self._told = time.monotonic()
        self._before: int | None = 0  # what earlier runs had done; None: the first report says it

    async def __call__(self, done: int, total: int | None) -> None:
        _give_way()
        now = time.monotonic()
        if self._before is None:
            self._before = done
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
        rate = (done - (self._before or 0)) / seconds if seconds > 0 else 0.0
        left = round((total - done) / rate) if total is not None and rate > 0 else None
        return {"done": done, "total": total, "unit": self._unit, "per_second": round(rate, 2), "seconds_left": left}

    async def kept(self) -> dict[str, Any]:
        """What the last run kept; empty for the first."""
        value = await database.fetch_value("SELECT arguments -> $2 FROM job WHERE id = $1", self._job_id, KEPT)
        kept = json.loads(value) if value else {}
        if kept:
            self._before = None
        return kept

    async def keep(self, values: dict[str, Any]) -> None:
        """Joins an open transaction."""
        await database.execute(
            "UPDATE job SET arguments = jsonb_set(arguments, ARRAY[$2], $3::jsonb) WHERE id = $1",
            self._job_id,
            KEPT,
            json.dumps(values),
        )


def _give_way() -> None:
    """Raises RetryRequested, which puts a job back into the queue, where its worker ends."""
    stop = ending.get()
    if stop is not None and stop.is_set():
        raise RetryRequested(delay=dt.timedelta(0), reason="The worker ends.")


Followed = Callable[[dict[str, Any], Actor, JobReport], Awaitable[dict[str, Any]]]


def followed(run: Followed, unit: str = "pictures", *, is_waiting: bool = False) -> Task:
    """A task over `run(arguments, actor, report) -> result` that keeps its job's row up to date."""

    async def run_and_tell(payload: dict[str, Any]) -> None:
        job_id = UUID(payload["job"])
        row = await database.fetch_row(_BEGIN, job_id)
        if row is None:
            return
        if row["cancel_asked_at"] is not None:
            await _end(job_id, "cancelled", None, None)
            return
        try:
            result = await run(json.loads(row["arguments"]), Actor(row["actor"], "admin"), JobReport(job_id, unit))
        except RetryRequested:
            await database.execute(_GIVE_BACK, job_id)
            raise
        except Cancelled:
            await _end(job_id, "cancelled", None, None)
        except Exception as error:
            await _fail(job_id, error)
        else:
            await _end(job_id, "succeeded", result, None)

    async def give_up(payload: dict[str, Any], reason: str) -> None:
        said = await database.fetch_value("SELECT error ->> 'message' FROM job WHERE id = $1", UUID(payload["job"]))
        message = f"{reason} {said}" if said else reason
        await _end(UUID(payload["job"]), "failed", None, {"code": "failed", "message": message})

    return Task(run_and_tell, give_up=give_up, is_long=True, is_waiting=is_waiting)


_BEGIN: Final = """
    UPDATE job SET state = 'running', attempts = attempts + 1, started_at = coalesce(started_at, now())
    WHERE id = $1 AND state IN ('queued', 'running') RETURNING arguments, actor, cancel_asked_at
"""
_GIVE_BACK: Final = "UPDATE job SET state = 'queued', attempts = attempts - 1 WHERE id = $1 AND state = 'running'"


async def _fail(job_id: UUID, error: Exception) -> None:
    """Raises what has the queue try it again."""
    if isinstance(error, Later):
        await _wait(job_id, error)
        raise RetryRequested(delay=error.delay, reason=error.message) from error
    if isinstance(error, Unavailable) or not isinstance(error, PortalError):
        await _wait(job_id, error)
        raise error
    await _end(job_id, "failed", None, {"code": error.code, "message": error.message})


async def _wait(job_id: UUID, error: Exception) -> None:
    """It is tried again, and meanwhile says why. The log and the queue's own record have what is not for people."""
    said = {"code": "failed", "message": "Something went wrong on our side."}
    if isinstance(error, PortalError):
        said = {"code": error.code, "message": error.message}
    with contextlib.suppress(*database.AWAY, OSError, Unavailable):
        await database.execute(
            "UPDATE job SET state = 'queued', error = $2::jsonb WHERE id = $1 AND state = 'running'",
            job_id,
            json.dumps(said),
        )


async def _end(job_id: UUID, state: str, result: dict[str, Any] | None, error: dict[str, str] | None) -> None:
    await database.execute(
        """UPDATE job SET state = $2, result = $3::jsonb, error = $4::jsonb, finished_at = now()
           WHERE id = $1 AND state IN ('queued', 'running')""",
        job_id,
        state,
        None if result is None else json.dumps(result),
        None if error is None else json.dumps(error),
    )


JOB_COLUMNS: Final = (
    "job.id, job.kind, job.state, job.progress, job.result, job.error, job.attempts, job.retry_of, job.created_at,"
    " job.started_at, job.finished_at"
)


async def get_job(job_id: UUID) -> JobView:
    """Raises NotFound."""
    row = await database.fetch_row(f"SELECT {JOB_COLUMNS} FROM job WHERE id = $1", job_id)  # noqa: S608 - constant columns
    if row is None:
        raise NotFound("There is no job with this id.")
    return job_view(row)


async def list_jobs(
    *, cursor: str | None, limit: int, state: str | None = None, kind: str | None = None
) -> Page[JobView]:
    """Newest first. Raises FormError for a foreign cursor and for a state that there is not."""
    if state and state not in STATES:
        raise FormError({"state": f"Use one of these: {', '.join(STATES)}."})
    last = id_behind(cursor)
    where = "($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2)"
    rows = await database.fetch(
        f"SELECT {JOB_COLUMNS} FROM job WHERE {where} AND id < $3 ORDER BY id DESC LIMIT $4",  # noqa: S608 - constant columns
        *(state or None, kind or None, last, limit + 1),
    )
    total = await database.fetch_value(
        f"SELECT count(*) FROM (SELECT 1 FROM job WHERE {where} LIMIT $3) AS counted",  # noqa: S608 - constant condition
        *(state or None, kind or None, EXACT_UP_TO + 1),
    )
    jobs = [job_view(row) for row in rows[:limit]]
    return Page(jobs, total, encode_cursor([jobs[-1].id]) if len(rows) > limit else None)


def job_view(row: Any) -> JobView:
    return JobView(
        id=str(row["id"]),
        kind=row["kind"],
        state=row["state"],
        progress=json.loads(row["progress"]),
        result=json.loads(row["result"]) if row["result"] else None,
        error=json.loads(row["error"]) if row["error"] else None,
        attempts=row["attempts"],
        retry_of=str(row["retry_of"]) if row["retry_of"] else None,
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
