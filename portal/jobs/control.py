"""Ending a job, and trying one again."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final
from uuid import UUID

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.domain.types import JobId

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.errors import Conflict, NotFound
from portal.jobs.pauses import wake_workers
from portal.jobs.progress import KEPT, place_of, start_job
from portal.jobs.queue import queries_on

DEAD_SECONDS: Final = 30  # without a heartbeat: its worker is dead, and nobody else has taken it up

# What no living worker has in hand ends at once; a worker that takes it in this moment finds that it has ended.
_CANCEL: Final = """
    UPDATE job SET cancel_asked_at = coalesce(cancel_asked_at, now()),
           state = CASE WHEN $2 THEN 'cancelled' ELSE state END, finished_at = CASE WHEN $2 THEN now() END
    WHERE id = $1
"""
_IN_HAND: Final = """
    SELECT EXISTS (SELECT 1 FROM pgqueuer WHERE dedupe_key = $1 AND status = 'picked'
                   AND heartbeat > now() - make_interval(secs => $2))
"""


async def cancel_job(job_id: UUID, *, actor: Actor) -> None:
    """One that waits is cancelled at once; one at work is asked, and ends at its next report.

    Raises NotFound, Conflict for one that has ended.
    """
    async with database.transaction():
        state = await database.fetch_value("SELECT state FROM job WHERE id = $1 FOR UPDATE", job_id)
        if state is None:
            raise NotFound("There is no job with this id.")
        if state not in ("queued", "running"):
            raise Conflict("This job has ended already.")
        at_once = state == "queued" or not await database.fetch_value(_IN_HAND, place_of(job_id), DEAD_SECONDS)
        await database.execute(_CANCEL, job_id, at_once)
        if at_once:
            await database.execute("DELETE FROM pgqueuer WHERE dedupe_key = $1 AND status = 'queued'", place_of(job_id))
        await record(actor, "job.cancel", "job", str(job_id), before={"state": state})


async def retry_job(job_id: UUID, known: Collection[str], *, actor: Actor) -> UUID:
    """A new job with the same arguments, from the beginning; where one is under way already, that one.

    Raises NotFound, Conflict unless it failed or was cancelled.
    """
    async with database.transaction():
        row = await database.fetch_row("SELECT kind, state, arguments FROM job WHERE id = $1 FOR UPDATE", job_id)
        if row is None:
            raise NotFound("There is no job with this id.")
        if row["state"] not in ("failed", "cancelled"):
            raise Conflict("Only a job that failed or was cancelled can be tried again.")
        if row["kind"] not in known:
            raise Conflict("This version of the portal does not know this kind of job any more.")
        under_way = await database.fetch_value(
            "SELECT id FROM job WHERE retry_of = $1 AND state IN ('queued', 'running') LIMIT 1", job_id
        )
        if under_way is not None:
            return under_way
        arguments = {name: value for name, value in json.loads(row["arguments"]).items() if name != KEPT}
        new = await start_job(row["kind"], arguments, actor=actor, retry_of=job_id)
        await database.execute("DELETE FROM pgqueuer WHERE status = 'failed' AND dedupe_key = $1", place_of(job_id))
        await record(actor, "job.retry", "job", str(job_id), after={"job": str(new)})
    return new


async def requeue(queue_id: int, *, actor: Actor) -> None:
    """A job that nobody follows and that the queue has given up waits again. Raises NotFound."""
    async with database.transaction():
        kind = await database.fetch_value(
            "SELECT entrypoint FROM pgqueuer WHERE id = $1 AND status = 'failed' FOR UPDATE", queue_id
        )
        if kind is None:
            raise NotFound("This job was tried again already.")
        await queries_on(AsyncpgDriver(database.connection_of_transaction())).requeue_jobs([JobId(queue_id)])
        await wake_workers()
        await record(actor, "job.retry", "queue", f"{kind} {queue_id}")
