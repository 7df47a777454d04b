"""Work that only one process does at a time; a killed one frees its place with its connection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC
from typing import Final, NamedTuple

import asyncpg

from portal import database
from portal.errors import Running, Unavailable


class Turn(NamedTuple):
    """`name` as a sentence begins with it. `lock`: an advisory lock's number, unlike any other's."""

    name: str
    lock: int


CLEANUP: Final = Turn("A cleanup", 7_310_003)
CHECK: Final = Turn("A full check", 7_310_010)
REPAIR: Final = Turn("A repair", 7_310_011)
RERENDER: Final = Turn("A re-rendering", 7_310_012)
SEALING: Final = Turn("A sealing of the audit", 7_310_013)
COUNTING: Final = Turn("A count of what is stored", 7_310_014)
ALERTS: Final = Turn("An alert", 7_310_015)
BACKUP: Final = Turn("A backup", 7_310_016)
RESTORE: Final = Turn("A restore", 7_310_017)
PRUNE: Final = Turn("A pruning of backups", 7_310_018)
DRILL: Final = Turn("A drill", 7_310_019)
IMPORT: Final = Turn("An import of a folder", 7_310_020)
ARRIVAL: Final = Turn("A bringing in of a backup", 7_310_022)
BACKUPS_USED: Final = Turn("Work on backups", 7_310_021)  # shared by all but a pruning: backups.in_use

_HOLDER = """
    SELECT min(a.backend_start) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = $1::bigint AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Hold:
    """A turn, for as long as its connection lives."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def check(self) -> None:
        """To be asked before what can't be undone. Raises Unavailable where the turn was lost with its connection."""
        try:
            await self._connection.execute("SELECT 1")
        except (*database.AWAY, OSError) as error:
            raise Unavailable("The database was away meanwhile. Start it again.") from error


@contextlib.asynccontextmanager
async def alone(turn: Turn) -> AsyncIterator[Hold]:
    """Raises Running while any process has this turn."""
    async with _held(turn, "SELECT pg_try_advisory_lock($1)") as hold:
        yield hold


@contextlib.asynccontextmanager
async def together(turn: Turn) -> AsyncIterator[Hold]:
    """Any number at once. Raises Running while one has this turn alone."""
    async with _held(turn, "SELECT pg_try_advisory_lock_shared($1)") as hold:
        yield hold


@contextlib.asynccontextmanager
async def _held(turn: Turn, ask: str) -> AsyncIterator[Hold]:
    connection = await asyncpg.connect(**database.DB.config)
    try:
        if not await connection.fetchval(ask, turn.lock):
            await refuse_while_running(turn)
            raise Running(f"{turn.name} was running until just now. Start it again.")
        yield Hold(connection)
    finally:
        await connection.close()


async def refuse_while_running(turn: Turn) -> None:
    """Raises Running, with the time since when."""
    since = await database.fetch_value(_HOLDER, turn.lock)
    if since is not None:
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise Running(f"{turn.name} is running since {moment}. Its result stands under jobs when it is done.")
