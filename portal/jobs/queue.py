"""The queue in PostgreSQL: jobs are enqueued on the open transaction, so a job exists exactly when its row does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel
from pgqueuer.ports.driver import Driver

from portal import database
from portal.jobs.tracing import headers_now

Q = TypeVar("Q", bound=Queries)
# Set in a worker and all that runs in it: it takes no more, and long work shall give its job back.
ending: Final[ContextVar[asyncio.Event | None]] = ContextVar("ending", default=None)
AWAITED: Final = 20  # somebody holds a connection open for it
URGENT: Final = 10  # somebody looks at a page where it will appear
USUAL: Final = 0
BULK: Final = -10
LOG_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Task:
    """What runs for a kind of job. Both may run twice.

    `run` gets the job's payload (ids, not data); `give_up` gets the payload and, in words for staff, why the queue
    will not try again. `is_patient`: an outage (Unavailable, DiskFull) is waited out, however long it takes. `is_long`: it
    takes minutes or hours, has places of its own beside what is quick, and is started more often before it is given up.
    `is_waiting`: long because it waits for pictures that other jobs render; it has places of its own again.
    """

    run: Callable[[dict[str, Any]], Awaitable[None]]
    give_up: Callable[[dict[str, Any], str], Awaitable[None]] | None = None
    is_patient: bool = False
    is_long: bool = False
    is_waiting: bool = False


@cache
def queue_settings() -> DBSettings:
    """Spelled out, because the library would read bare names such as CHANNEL from the environment."""
    return DBSettings(
        prefix="",
        db_schema=None,
        channel=Channel("portal_jobs"),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
        durability=Durability.durable,
        widen_id=True,
    )


def queries_on(driver: Driver, make: Callable[..., Q] = Queries, **more: Any) -> Q:
    settings = queue_settings()
    return make(
        driver,
        qbe=QueryBuilderEnvironment(settings),
        qbq=QueryQueueBuilder(settings),
        qbs=QuerySchedulerBuilder(settings),
        **more,
    )


async def migrate() -> None:
    """Bring the portal's tables and the queue's own up to date; processes that start together take turns."""
    await database.migrate()
    connection = await asyncpg.connect(**database.DB.config)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", database.MIGRATION_LOCK)
        queries = queries_on(AsyncpgDriver(connection))
        if await queries.has_table(queue_settings().queue_table):
            await queries.upgrade()
        else:
            await queries.install()
    finally:
        await connection.close()


async def enqueue(kind: str, payload: dict[str, Any], *, priority: int = USUAL, dedupe: str | None = None) -> None:
    """Add a job to the open transaction (RuntimeError without one).

    With `dedupe`, one waiting job of that key is enough.
    """
    queries = queries_on(AsyncpgDriver(database.connection_of_transaction()))
    sent = json.dumps(payload).encode()
    await queries.enqueue(kind, sent, priority, dedupe_key=dedupe, headers=headers_now(), on_conflict="skip")


async def enqueue_many(kind: str, payloads: list[dict[str, Any]], *, priority: int = USUAL) -> None:
    """The same for many of one kind, in one statement."""
    if payloads:
        queries = queries_on(AsyncpgDriver(database.connection_of_transaction()))
        sent: list[bytes | None] = [json.dumps(each).encode() for each in payloads]
        headers = [headers_now()] * len(sent)
        await queries.enqueue([kind] * len(sent), sent, [priority] * len(sent), headers=headers)


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Jobs that wait (or wait to be tried again), are at work, and were given up."""

    waiting: int = 0
    active: int = 0
    failed: int = 0


async def queue_counts() -> QueueCounts:
    rows = await database.fetch("SELECT status::text AS status, count(*) AS jobs FROM pgqueuer GROUP BY status")
    jobs = {row["status"]: row["jobs"] for row in rows}
    return QueueCounts(jobs.get("queued", 0), jobs.get("picked", 0), jobs.get("failed", 0))


async def prune_queue() -> None:
    """The queue's log and the jobs it gave up are never pruned by its library."""
    await database.execute("DELETE FROM pgqueuer_log WHERE created < now() - make_interval(days => $1)", LOG_DAYS)
    await database.execute(
        "DELETE FROM pgqueuer WHERE status = 'failed' AND updated < now() - make_interval(days => $1)", LOG_DAYS
    )
