"""A restore as a job: followed, told in the end, and done once however often it is taken up."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from portal import database
from portal.backups.kinds import RESTORE
from portal.backups.root import Root
from portal.backups.tasks import restore_tasks
from portal.jobs.progress import get_job, start_job
from portal.settings import Settings
from tests.jobs.conftest import RunWorker
from tests.restoring import ADMIN, Bench, furnish
from tests.waiting import eventually


async def ended(bench: Bench, run_worker: RunWorker, job_id: UUID) -> Any:
    async with run_worker(restore_tasks(bench.config, bench.store)):
        await eventually(lambda: is_finished(job_id))
    return await get_job(job_id)


async def is_finished(job_id: UUID) -> bool:
    return (await get_job(job_id)).is_finished


async def begun(root: Root, **more: Any) -> UUID:
    return await start_job(RESTORE, {"backup_id": root.id, "dry_run": False, "on_conflict": "skip"} | more, actor=ADMIN)


async def test_a_job_restores_and_says_what_it_did(bench: Bench, run_worker: RunWorker, config: Settings) -> None:
    await furnish(bench.studio)
    before, root = await bench.state(), await bench.back_up()
    await bench.wipe()
    dry = await ended(bench, run_worker, await begun(root, dry_run=True))
    job = await ended(bench, run_worker, await begun(root))
    assert (job.state, job.result["images"]["create"]) == ("succeeded", 6)
    assert dry.result | {"dry_run": False} == job.result
    assert job.progress["done"] == job.progress["total"] > 0
    assert await bench.state() == before
    said = await database.fetch_value("SELECT after FROM audit_change ORDER BY pk DESC LIMIT 1")
    assert json.loads(said)["images"]["create"] == 6
    one = {"entity": {"type": "inventory_items", "id": "MUG"}}
    assert (await ended(bench, run_worker, await begun(root, **one))).result["images"]["skip"] == 4


async def test_a_job_that_was_killed_after_its_switch_does_nothing_again(bench: Bench, run_worker: RunWorker) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    await bench.wipe()
    job = await ended(bench, run_worker, await begun(root))
    async with database.transaction():
        again = await begun(root)
        await database.execute(
            "UPDATE job SET arguments = (SELECT arguments FROM job WHERE id = $2) WHERE id = $1", again, UUID(job.id)
        )
    assert (await ended(bench, run_worker, again)).result == job.result
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'backup.restore'") == 1
