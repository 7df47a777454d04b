"""Kinds of job that nobody takes until they go on: what is in hand ends, what comes meanwhile waits in its order.

A pause is a row, so that all processes know of it, and it outlives them. The queue's own questions leave paused kinds out:
what cannot be taken must not keep a worker awake either.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.models import Job
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.errors import FormError
from portal.jobs.queue import queue_settings
from portal.jobs.standstill import IS_STANDING, RESTORE_KIND

EVERY_KIND: Final = "all"


@dataclass(frozen=True, slots=True)
class Pause:
    kind: str
    paused_by: str
    paused_at: datetime


async def pauses() -> dict[str, Pause]:
    rows = await database.fetch("SELECT kind, paused_by, paused_at FROM job_pause ORDER BY kind")
    return {row["kind"]: Pause(**dict(row)) for row in rows}


async def pause(kind: str, known: Collection[str], *, actor: Actor) -> None:
    """`kind`, or all that are known. Harmless for one that is paused. Raises FormError."""
    async with database.transaction():
        for each in _meant(kind, known):
            new = await database.execute(
                "INSERT INTO job_pause (kind, paused_by) VALUES ($1, $2) ON CONFLICT DO NOTHING", each, actor.name
            )
            if new:
                await record(actor, "job.pause", "kind", each)


async def resume(kind: str, known: Collection[str], *, actor: Actor) -> None:
    """Workers hear of it at once. Harmless for one that is not paused. Raises FormError."""
    async with database.transaction():
        for each in _meant(kind, known):
            if await database.execute("DELETE FROM job_pause WHERE kind = $1", each):
                await record(actor, "job.resume", "kind", each)
        await wake_workers()


def _meant(kind: str, known: Collection[str]) -> Iterable[str]:
    if kind == EVERY_KIND:
        return sorted(known)
    if kind not in known:
        raise FormError({"kind": f"Use one of these: {', '.join(sorted(known))}, or {EVERY_KIND}."})
    return [kind]


async def wake_workers() -> None:
    """As the queue's own trigger does for a new job; joins an open transaction."""
    settings = queue_settings()
    event = {
        "channel": settings.channel,
        "operation": "insert",
        "sent_at": datetime.now(UTC).isoformat(),
        "table": settings.queue_table,
        "type": "table_changed_event",
    }
    await database.execute("SELECT pg_notify($1, $2)", settings.channel, json.dumps(event))


@dataclass
class PausableQueries(Queries):
    """The worker's side of the queue: leaves out paused kinds, and takes the kinds of each lane up to its own number.

    `lanes`: the kinds of a lane, and how many jobs of it a worker has in hand at most. Long work so never fills the places
    of pictures that somebody waits for.
    """

    lanes: tuple[tuple[frozenset[str], int], ...] = ()

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[Job]:
        paused = await self._paused(entrypoints)
        lanes: Iterable[tuple[Collection[str], int | None]] = self.lanes or ((entrypoints, global_concurrency_limit),)
        taken: list[Job] = []
        for kinds, most in lanes:
            open_kinds = _without(paused, entrypoints, kinds)
            if open_kinds:
                batch = batch_size if most is None else min(batch_size, most)
                taken += await super().dequeue(batch, open_kinds, queue_manager_id, most, heartbeat_timeout)
        return taken

    async def queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        return await super().queued_work(await self._open(entrypoints))

    async def eligible_queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        return await super().eligible_queued_work(await self._open(entrypoints))

    async def next_deferred_eta(self, entrypoints: list[QueueEntrypoint]) -> timedelta | None:
        return await super().next_deferred_eta(await self._open(entrypoints))

    async def _open(self, kinds: list[QueueEntrypoint]) -> list[QueueEntrypoint]:
        paused = await self._paused(kinds)
        return [kind for kind in kinds if kind not in paused]

    async def _paused(self, kinds: Iterable[str]) -> frozenset[str]:
        """While the portal stands still, all of `kinds` but restores."""
        said = frozenset(str(row["kind"]) for row in await self.driver.fetch(_PAUSED))
        return said | (frozenset(kinds) - {RESTORE_KIND}) if "" in said else said


_PAUSED: Final = f"SELECT kind FROM job_pause UNION ALL SELECT '' FROM portal_state WHERE {IS_STANDING}"  # noqa: S608 - constants


def _without(
    paused: frozenset[str], entrypoints: Mapping[QueueEntrypoint, EntrypointExecutionParameter], kinds: Collection[str]
) -> dict[QueueEntrypoint, EntrypointExecutionParameter]:
    return {kind: value for kind, value in entrypoints.items() if kind in kinds and kind not in paused}
