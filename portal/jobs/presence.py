"""Which workers there are: each says every ten seconds that it lives, and what it is at."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from portal import database
from portal.errors import Unavailable

TELL_EVERY: Final = 10.0  # seconds
LOOK_EVERY: Final = 0.5  # a change of state is told as soon
ALIVE_SECONDS: Final = 30
KEPT_HOURS: Final = 24

_TELL: Final = """
    INSERT INTO worker_seen (id, host, pid, state) VALUES ($1, $2, $3, $4)
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, seen_at = now()
"""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """`state`: starting, running, restarting, stopped; `seconds` since it was seen last, by the database's clock."""

    id: UUID
    host: str
    pid: int
    state: str
    started_at: datetime
    seen_at: datetime
    seconds: float

    @property
    def is_alive(self) -> bool:
        return self.state != "stopped" and self.seconds <= ALIVE_SECONDS

    @property
    def takes_jobs(self) -> bool:
        return self.state == "running" and self.is_alive


async def workers() -> list[WorkerView]:
    """Of the last day, the one seen last first."""
    rows = await database.fetch(
        """SELECT id, host, pid, state, started_at, seen_at,
                  greatest(extract(epoch FROM now() - seen_at), 0)::float AS seconds
           FROM worker_seen ORDER BY seen_at DESC LIMIT 100"""
    )
    return [WorkerView(**dict(row)) for row in rows]


async def workers_alive() -> list[WorkerView]:
    """Those that take jobs, seen within half a minute."""
    return [each for each in await workers() if each.takes_jobs]


class Sign:
    """One worker's sign of life, as long as it runs. `state` is asked again and again."""

    def __init__(self, state: Callable[[], str]) -> None:
        self.id = uuid7()
        self._state = state
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._telling = asyncio.create_task(self._tell_on(), name="portal-worker-sign")

    async def stop(self) -> None:
        """The last word is what the worker's state is by now."""
        if self._telling is None:
            return
        self._telling.cancel()
        await asyncio.wait({self._telling})
        self._telling = None
        await self._tell(self._state())

    async def _tell_on(self) -> None:
        clock = asyncio.get_running_loop().time
        said, when = "", clock()
        while True:
            state = self._state()
            if (state != said or clock() - when >= TELL_EVERY) and await self._tell(state):
                said, when = state, clock()
            await asyncio.sleep(LOOK_EVERY)

    async def _tell(self, state: str) -> bool:
        """A database that is away hears it later."""
        with contextlib.suppress(*database.AWAY, OSError, asyncpg.PostgresError, Unavailable):
            with database.patience(TELL_EVERY / 2):
                await database.execute(_TELL, self.id, socket.gethostname()[:200], os.getpid(), state)
                await database.execute(
                    "DELETE FROM worker_seen WHERE seen_at < now() - make_interval(hours => $1)", KEPT_HOURS
                )
            return True
        return False
