"""Workers while a restore writes: what would meet it at its locks waits in the queue."""

from __future__ import annotations

from typing import Any

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.jobs.alone import RESTORE, alone
from portal.jobs.queue import Task, enqueue
from portal.jobs.standstill import standing_still
from tests.jobs.conftest import RunWorker
from tests.standing import BACKUP
from tests.waiting import eventually


@pytest.mark.usefixtures("db")
async def test_only_restores_are_taken_while_the_portal_stands_still_and_the_rest_after_it(
    run_worker: RunWorker,
) -> None:
    done: list[str] = []

    def task(kind: str) -> Task:
        async def run(_: dict[str, Any]) -> None:
            done.append(kind)

        return Task(run)

    async with run_worker({kind: task(kind) for kind in ("render", "purge", "restore")}):
        async with alone(RESTORE), standing_still(actor=SYSTEM, backup_id=BACKUP):
            async with database.transaction():
                for kind in ("render", "purge", "restore"):
                    await enqueue(kind, {})
            await eventually(lambda: done)
            assert done == ["restore"]
            assert await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE status = 'queued'") == 2
        await eventually(lambda: sorted(done) == ["purge", "render", "restore"])
