"""The loop that takes jobs: guarded against jobs that kill it, rebuilt when its connections are cut, ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final, NoReturn

import asyncpg
import structlog
from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Context, Job
from pgqueuer.ports.driver import NotifyCallback

from portal import database
from portal.errors import DiskFull, Unavailable
from portal.jobs.pauses import PausableQueries
from portal.jobs.presence import Sign
from portal.jobs.progress import Later
from portal.jobs.queue import Task, ending, prune_queue, queries_on, queue_settings
from portal.jobs.schedules import Clock
from portal.jobs.tracing import told

log = structlog.get_logger()

MAX_STARTS: Final = 3  # a job that was started so often and never came to an end takes the worker down with it
MAX_LONG_STARTS: Final = 10  # long work may have met so many power cuts
LONG_AT_ONCE: Final = 4  # places of their own, so that no check keeps pictures waiting
WAITING_AT_ONCE: Final = 2  # and others again, so that what waits behind all uploads keeps no check waiting
MAX_RETRIES: Final = 5
LEASE: Final = timedelta(seconds=10)  # without a heartbeat for so long, a job is somebody else's
AWAY_PAUSE: Final = timedelta(seconds=2)
OUTAGE_PAUSE: Final = timedelta(seconds=30)  # between tries of a patient task, once the usual ones are used up
LONGEST_PAUSE: Final = 3.0  # seconds between tries to reach a database that is away


class PoisonJob(Exception):
    """The queue gives this job up."""


@dataclasses.dataclass
class GuardedExecutor(DatabaseRetryEntrypointExecutor):
    """Retries with back-off; gives up, and tells the task, after the last try or a third start without an end."""

    task: Task = dataclasses.field(kw_only=True)

    async def execute(self, job: Job, context: Context) -> None:
        with told(job):
            await self._execute(job, context)

    async def _execute(self, job: Job, context: Context) -> None:
        without_end = await self._starts_without_end(job)
        if without_end >= (MAX_LONG_STARTS if self.task.is_long else MAX_STARTS):
            reason = f"It was started {without_end} times and never came to an end."
            await self._give_up(job, reason, PoisonJob(reason))
        try:
            await super().execute(job, context)
        except RetryRequested:
            raise
        except Exception as error:
            if self.task.is_patient and isinstance(error, Unavailable | DiskFull):
                raise RetryRequested(delay=OUTAGE_PAUSE, reason=repr(error)) from error
            log.exception("a job failed for good", kind=job.entrypoint, job=job.id)
            times = f"{job.attempts + 1} times" if job.attempts else "once"
            await self._give_up(job, f"It failed {times}.", error)

    async def _starts_without_end(self, job: Job) -> int:
        """Before this start. Each that ended in an error is counted in `attempts`."""
        try:
            starts = await database.fetch_value(
                "SELECT count(*) FROM pgqueuer_log WHERE job_id = $1 AND status = 'picked'", job.id
            )
        except Exception as error:  # the database's trouble, not the job's: it must not be the end of it
            raise RetryRequested(delay=AWAY_PAUSE, reason=repr(error)) from error
        return starts - 1 - job.attempts

    async def _give_up(self, job: Job, reason: str, error: Exception) -> NoReturn:
        try:
            if self.task.give_up is not None:
                await self.task.give_up(payload_of(job), reason)
        except Exception as trouble:  # unheard, its owner would wait for ever
            raise RetryRequested(delay=AWAY_PAUSE, reason=repr(trouble)) from trouble
        raise PoisonJob(reason) from error


def payload_of(job: Job) -> dict[str, Any]:
    return json.loads(job.payload or b"{}")


class ListeningDriver(AsyncpgPoolDriver):
    """Sends nothing to its own listener before that listens: the library's first probe would be lost, and taken ten seconds
    later for a dead connection."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self._listens = asyncio.Event()

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        await super().add_listener(channel, callback)
        self._listens.set()

    async def notify(self, channel: str, payload: str) -> None:
        await self._listens.wait()
        await super().notify(channel, payload)


def build(pool: asyncpg.Pool, tasks: Mapping[str, Task], at_once: int) -> PgQueuer:
    """A queue manager over `pool`; it can run once."""
    driver = ListeningDriver(pool)
    long = frozenset(kind for kind, task in tasks.items() if task.is_long)
    waiting = frozenset(kind for kind, task in tasks.items() if task.is_waiting)
    lanes = ((frozenset(tasks) - long, at_once), (long - waiting, LONG_AT_ONCE), (waiting, WAITING_AT_ONCE))
    queries = queries_on(driver, PausableQueries, lanes=lanes)
    queuer = PgQueuer(driver, channel=queue_settings().channel, queries=queries)
    for kind, task in tasks.items():
        _register(queuer, kind, task)
    return queuer


def _register(queuer: PgQueuer, kind: str, task: Task) -> None:
    def executor(parameters: EntrypointExecutorParameters) -> GuardedExecutor:
        return GuardedExecutor(parameters, max_attempts=MAX_RETRIES, initial_delay=timedelta(seconds=1), task=task)

    async def run(job: Job) -> None:
        try:
            await task.run(payload_of(job))
        except Later as error:
            raise RetryRequested(delay=error.delay, reason=error.message) from error

    queuer.entrypoint(kind, accepts_context=False, on_failure="hold", executor_factory=executor)(run)


class Worker:
    """Runs until `stop()`. `state` is one of starting, running, restarting, stopped.

    `at_once` bounds the quick jobs in hand; the render pool bounds what really computes. `heal` runs at each start and may
    queue what an outage made the queue forget. `clock` starts what runs by schedules.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        *,
        at_once: int,
        lease: timedelta = LEASE,
        heal: Callable[[], Awaitable[object]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.tasks = tasks
        self.clock = clock
        self.at_once = max(at_once, 2)
        self.lease = lease
        self.heal = heal
        self.state = "starting"
        self._pool: asyncpg.Pool | None = None
        self._stop = asyncio.Event()
        self._queuer: PgQueuer | None = None
        self._running: asyncio.Task[None] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._sign = Sign(lambda: self.state)

    def start(self) -> None:
        self._sign.start()
        self._running = asyncio.create_task(self._supervise(), name="portal-worker")
        if self.clock is not None:
            self._ticking = asyncio.create_task(self.clock.run(), name="portal-clock")

    async def stop(self, grace: float = 20) -> None:
        """Take no more, let running jobs end within `grace` seconds; what is cut off runs again after its lease."""
        self._stop.set()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait({self._ticking})
        if self._queuer is not None:
            self._queuer.shutdown.set()
        if self._running is not None:
            done, _ = await asyncio.wait({self._running}, timeout=grace)
            if not done:
                if self._pool is not None:
                    self._pool.terminate()  # first, lest the queue note the job as cancelled and forget it
                self._running.cancel()
                await asyncio.wait({self._running}, timeout=5)
        self.state = "stopped"
        await self._sign.stop()

    async def _supervise(self) -> None:
        ending.set(self._stop)
        delay = 0.5
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await self._run_once()
                if not self._stop.is_set():
                    raise RuntimeError("the worker ended by itself")
            except Exception as error:
                self.state = "restarting"
                log.warning("the worker lost its queue, starting again", error=repr(error))
                delay = 0.5 if time.monotonic() - began > 30 else min(delay * 2, LONGEST_PAUSE)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), delay * random.uniform(0.8, 1.2))  # noqa: S311 - jitter

    async def _run_once(self) -> None:
        pool = await asyncpg.create_pool(**database.DB.config, min_size=4, max_size=4, command_timeout=60)
        self._pool = pool
        try:
            await prune_queue()
            if self.heal is not None:
                await self.heal()
            queuer = self._queuer = build(pool, self.tasks, self.at_once)
            if self._stop.is_set():
                return
            self.state = "running"
            await queuer.run(
                dequeue_timeout=timedelta(seconds=2),
                batch_size=max(self.at_once // 2, 1),
                max_concurrent_tasks=self.at_once,
                heartbeat_timeout=self.lease,
                shutdown_on_listener_failure=True,
            )
        finally:
            self._queuer = None
            pool.terminate()
