"""What the queue and the followed jobs look like: counts by kind, bounded lists. Quick with a hundred thousand that wait."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.errors import NotFound
from portal.jobs.progress import JOB_COLUMNS, JobView, job_view
from portal.paging import decode_cursor, encode_cursor

RATE_SECONDS: Final = 30  # what was done in the last ones says how quick it goes
MOST_UNFINISHED: Final = 100

_BY_KIND: Final = """
    SELECT entrypoint AS kind, count(*) FILTER (WHERE status = 'queued') AS waiting,
           count(*) FILTER (WHERE status = 'picked') AS active, count(*) FILTER (WHERE status = 'failed') AS failed
    FROM pgqueuer GROUP BY entrypoint
"""
_RATES: Final = """
    SELECT entrypoint AS kind, count(*) AS done, extract(epoch FROM now() - min(created))::float AS seconds
    FROM pgqueuer_log WHERE status = 'successful' AND created > now() - make_interval(secs => $1) GROUP BY entrypoint
"""
# Of one that was tried again the newer job tells.
_IS_OPEN_FAILURE: Final = "job.state = 'failed' AND NOT EXISTS (SELECT 1 FROM job r WHERE r.retry_of = job.id)"
_LINES: Final = f"""
    SELECT {JOB_COLUMNS}, job.arguments, job.actor, job.schedule, job.cancel_asked_at IS NOT NULL AS is_ending,
           EXISTS (SELECT 1 FROM job r WHERE r.retry_of = job.id) AS is_retried,
           CASE WHEN q.status = 'queued' AND q.attempts > 0
                THEN extract(epoch FROM q.execute_after - now())::float END AS again_in
    FROM job LEFT JOIN pgqueuer q ON q.dedupe_key = 'job ' || job.id AND q.status IN ('queued', 'picked')
"""  # noqa: S608 - constant columns
_STATES: Final = {
    "": "true",
    "waiting": "job.state = 'queued'",
    "active": "job.state = 'running'",
    "failed": _IS_OPEN_FAILURE,
    "paused": "job.state IN ('queued', 'running') AND job.kind IN (SELECT kind FROM job_pause)",
    "done": f"job.state IN ('succeeded', 'cancelled', 'failed') AND NOT ({_IS_OPEN_FAILURE})",
}


@dataclass(frozen=True, slots=True)
class KindCounts:
    """Of the queue; `per_second`: how many were done lately."""

    kind: str
    waiting: int
    active: int
    failed: int
    per_second: float

    @property
    def seconds_left(self) -> float | None:
        return self.waiting / self.per_second if self.waiting and self.per_second else None


@dataclass(frozen=True, slots=True)
class JobLine:
    """A followed job as a page shows it. `again_in`: seconds until its next try, where it waits for one."""

    job: JobView
    arguments: dict[str, Any]
    actor: str
    schedule: str | None
    is_ending: bool
    is_retried: bool
    again_in: float | None


@dataclass(frozen=True, slots=True)
class Queued:
    """A row of the queue that nobody follows, as a rendering: `payload` has its ids."""

    id: int
    kind: str
    priority: int
    is_active: bool
    attempts: int
    again_in: float | None
    payload: dict[str, Any]


async def counts_by_kind() -> dict[str, KindCounts]:
    rates = {row["kind"]: row["done"] / max(row["seconds"], 1.0) for row in await database.fetch(_RATES, RATE_SECONDS)}
    rows = await database.fetch(_BY_KIND)
    return {row["kind"]: KindCounts(**dict(row), per_second=rates.get(row["kind"], 0.0)) for row in rows}


async def counts_of_jobs() -> dict[str, int]:
    """By the page's states; `failed` are those that nobody has tried again."""
    columns = ", ".join(f"count(*) FILTER (WHERE {_STATES[name]}) AS {name}" for name in _STATES if name)
    row = await database.fetch_row(f"SELECT {columns} FROM job")  # noqa: S608 - constant conditions
    return dict(row or {})


async def job_lines(state: str, *, cursor: str | None, limit: int) -> tuple[list[JobLine], str | None]:
    """The unfinished first, then newest first; and the next page's cursor. Raises FormError for a foreign cursor."""
    after = decode_cursor(cursor, [int, str])
    unfinished = "(job.state IN ('queued', 'running'))::int"
    rank, last = (after[0], after[1]) if after else (2, str(UUID(int=0)))
    rows = await database.fetch(
        f"""{_LINES} WHERE {_STATES[state]} AND ({unfinished}, job.id) < ($1, $2)
            ORDER BY {unfinished} DESC, job.id DESC LIMIT $3""",
        *(rank, _id(last), limit + 1),
    )
    lines = [_line(row) for row in rows[:limit]]
    following = encode_cursor([int(not lines[-1].job.is_finished), lines[-1].job.id]) if len(rows) > limit else None
    return lines, following


async def unfinished_lines() -> list[JobLine]:
    rows = await database.fetch(
        f"{_LINES} WHERE job.state IN ('queued', 'running') ORDER BY job.id DESC LIMIT {MOST_UNFINISHED}"
    )
    return [_line(row) for row in rows]


async def newest_lines(kinds: Collection[str], *, limit: int, about: tuple[str, str] | None = None) -> list[JobLine]:
    """Of these kinds, newest first; `about` is an argument that they must have, with its value."""
    key, value = about or (None, None)
    rows = await database.fetch(
        f"""{_LINES} WHERE job.kind = ANY($1::text[]) AND ($2::text IS NULL OR job.arguments ->> $2 = $3)
            ORDER BY job.id DESC LIMIT $4""",
        *(list(kinds), key, value, limit),
    )
    return [_line(row) for row in rows]


async def line_of_job(job_id: UUID) -> JobLine:
    """Raises NotFound."""
    rows = await database.fetch(f"{_LINES} WHERE job.id = $1", job_id)
    if not rows:
        raise NotFound("There is no job with this id.")
    return _line(rows[0])


async def queued_of(kind: str, *, active: bool, cursor: str | None, limit: int) -> tuple[list[Queued], str | None]:
    """Those at work, or those that wait in the order in which they will be taken. Raises FormError for a foreign cursor."""
    after = decode_cursor(cursor, [int, int]) or [2**31 - 1, 0]
    status = "picked" if active else "queued"
    rows = await database.fetch(
        f"""SELECT id, entrypoint AS kind, priority, status = 'picked' AS is_active, attempts,
                  CASE WHEN status = 'queued' AND execute_after > now()
                       THEN extract(epoch FROM execute_after - now())::float END AS again_in,
                  convert_from(payload, 'UTF8') AS payload
           FROM pgqueuer WHERE status = '{status}' AND entrypoint = $1
             AND priority <= $2 AND (priority < $2 OR id > $3)
           ORDER BY priority DESC, id LIMIT $4""",  # noqa: S608 - one of two words
        *(kind, after[0], after[1], limit + 1),
    )
    found = [Queued(**{**row, "payload": json.loads(row["payload"] or "{}")}) for row in rows[:limit]]
    return found, encode_cursor([found[-1].priority, found[-1].id]) if len(rows) > limit else None


async def given_up(kinds: Collection[str], limit: int) -> list[Queued]:
    """Those of these kinds that the queue has given up, the last one first."""
    rows = await database.fetch(
        """SELECT id, entrypoint AS kind, priority, false AS is_active, attempts, NULL::float AS again_in,
                  convert_from(payload, 'UTF8') AS payload
           FROM pgqueuer WHERE status = 'failed' AND entrypoint = ANY($1::text[]) ORDER BY id DESC LIMIT $2""",
        *(list(kinds), limit),
    )
    return [Queued(**{**row, "payload": json.loads(row["payload"] or "{}")}) for row in rows]


async def traces_of(kind: str, key: str, ids: Sequence[str]) -> Mapping[str, str]:
    """For admins: the last exception of jobs that were given up, by `key` of their payload (image, job)."""
    if not ids:
        return {}
    rows = await database.fetch(
        """SELECT DISTINCT ON (held.of) held.of, log.traceback ->> 'traceback' AS trace
           FROM (SELECT id, convert_from(payload, 'UTF8')::jsonb ->> $2 AS of FROM pgqueuer
                 WHERE status = 'failed' AND entrypoint = $1) AS held
           JOIN pgqueuer_log log ON log.job_id = held.id AND log.traceback IS NOT NULL
           WHERE held.of = ANY($3::text[]) ORDER BY held.of, log.created DESC, log.id DESC""",
        *(kind, key, list(ids)),
    )
    return {row["of"]: row["trace"] for row in rows}


def _line(row: Mapping[str, Any]) -> JobLine:
    names = ("actor", "schedule", "is_ending", "is_retried", "again_in")
    return JobLine(job_view(row), json.loads(row["arguments"]), **{name: row[name] for name in names})


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
