"""Work that only one process does at a time; a killed one frees its place with its connection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC
from typing import Final, NamedTuple

import asyncpg

from portal import database
from portal.errors import Running


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

_HOLDER = """
    SELECT a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = $1::bigint AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@contextlib.asynccontextmanager
async def alone(turn: Turn) -> AsyncIterator[None]:
    """Raises Running while any process has this turn."""
    connection = await asyncpg.connect(**database.DB.config)
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", turn.lock):
            await refuse_while_running(turn)
            raise Running(f"{turn.name} was running until just now. Start it again.")
        yield
    finally:
        await connection.close()


async def refuse_while_running(turn: Turn) -> None:
    """Raises Running, with the time since when."""
    since = await database.fetch_value(_HOLDER, turn.lock)
    if since is not None:
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise Running(f"{turn.name} is running since {moment}. Its result stands under jobs when it is done.")
