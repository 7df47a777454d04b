"""While a restore writes, the portal stands still for people. All processes know of it, and that it is over.

It stands still while two things are so: a row `restore` of `portal_state` says it, and somebody holds the turn RESTORE. A
killed restore holds it no more, so no standstill outlives its restore. Pictures, frames and whatever is only read by scripts
go on (`portal.web.standstill`). Workers take no job but restores meanwhile: what would write waits in the queue, not at locks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import asyncpg

from portal import database
from portal.audit.actors import Actor
from portal.errors import Unavailable
from portal.jobs.alone import RESTORE
from portal.notices import FreshCache, listen

RESTORE_KIND: Final = "restore"  # the one kind of job that goes on
CHANNEL: Final = "portal_standstill"
WATCHED_EVERY: Final = 1.0  # seconds, while it stands still: a kill tells nobody
LOOKED_EVERY: Final = 15.0  # otherwise, should a notice be lost

IS_STANDING: Final = f"""
    name = 'restore' AND EXISTS (
        SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = {RESTORE.lock} AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""  # noqa: S608 - constants
_FIND: Final = f"""
    SELECT state.value, job.id AS job, job.progress FROM portal_state AS state
    LEFT JOIN LATERAL (
        SELECT id, progress FROM job WHERE kind = '{RESTORE_KIND}' AND state = 'running'
        AND arguments ->> 'backup_id' = state.value ->> 'backup' AND arguments ->> 'dry_run' IS DISTINCT FROM 'true'
        ORDER BY started_at LIMIT 1
    ) AS job ON true WHERE {IS_STANDING}
"""  # noqa: S608 - constants
_BEGIN: Final = """
    INSERT INTO portal_state (name, value) VALUES ('restore', $1::jsonb) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


@dataclass(frozen=True, slots=True)
class Standstill:
    """`job` None: a restore from the command line, whose progress its terminal shows. `progress` as that of a job."""

    since: datetime
    by: str
    backup: str
    job: str | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)


async def find_standstill() -> Standstill | None:
    row = await database.fetch_row(_FIND)
    if row is None:
        return None
    said = json.loads(row["value"])
    progress = json.loads(row["progress"]) if row["progress"] else {}
    job = str(row["job"]) if row["job"] else None
    return Standstill(datetime.fromisoformat(said["since"]), said["by"], said["backup"], job, progress)


@contextlib.asynccontextmanager
async def standing_still(*, actor: Actor, backup_id: str) -> AsyncIterator[None]:
    """To be entered with the turn RESTORE in hand, and before what shall not be met."""
    value = {"since": datetime.now(UTC).isoformat(), "by": actor.name, "backup": backup_id}
    await _tell(_BEGIN, json.dumps(value))
    try:
        yield
    finally:
        with contextlib.suppress(*database.AWAY, OSError, asyncpg.PostgresError, Unavailable):  # it ends with the turn
            await asyncio.shield(_tell("DELETE FROM portal_state WHERE name = 'restore'"))


async def forget_standstill() -> None:
    """What a killed restore has said, before another one that has the turn makes it true again."""
    await database.execute("DELETE FROM portal_state WHERE name = 'restore'")


async def _tell(statement: str, *arguments: Any) -> None:
    async with database.transaction():
        await database.execute(statement, *arguments)
        await database.execute("SELECT pg_notify($1, '')", CHANNEL)


class Watch:
    """One for each process that answers: `now` costs nothing to ask."""

    def __init__(self) -> None:
        self.now: Standstill | None = None
        self._heard = asyncio.Event()
        self._trust: FreshCache[str, Standstill] = FreshCache(self._nothing, 1)

    @staticmethod
    async def _nothing(_: str) -> None:
        return None

    async def run(self) -> NoReturn:
        listening = asyncio.create_task(listen(CHANNEL, self._trust, lambda _: self._heard.set()))
        try:
            while True:
                await self.look()
                await self._wait()
        finally:
            listening.cancel()

    async def look(self) -> None:
        """Where the database is away, what was known stays: all that it keeps up would be refused anyway."""
        self._heard.clear()
        trouble = (*database.AWAY, OSError, asyncpg.PostgresError, Unavailable)
        with contextlib.suppress(*trouble), database.patience(database.REQUEST_SECONDS):
            self.now = await find_standstill()

    async def _wait(self) -> None:
        is_calm = self.now is None and self._trust.is_trusted
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), LOOKED_EVERY if is_calm else WATCHED_EVERY)
