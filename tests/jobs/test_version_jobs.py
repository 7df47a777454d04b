"""Another file for a picture where processes are killed and jobs do not come to an end."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from typing import Any

import pytest

from portal.audit.actors import SYSTEM
from portal.environment import CHECKOUT
from portal.gallery.service import RENDER
from portal.gallery.tasks import gallery_tasks, give_up_rendering
from portal.integrity.fsck import fsck
from portal.jobs import worker as worker_module
from portal.jobs.queue import Task
from portal.maintenance.cleanup import clean_up
from portal.settings import Settings
from tests.factories import Studio, make_entity
from tests.jobs.conftest import RunWorker, status_of
from tests.waiting import eventually


async def findings(studio: Studio) -> list[tuple[str, str | None]]:
    found = [each async for each in fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))]
    return [(each.kind, each.key) for each in found]


async def test_a_kill_between_bytes_and_row_leaves_what_a_sweep_finds(studio: Studio, config: Settings, dsn: str):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    sound = {entry.key for entry in studio.store.walk()}
    command = [sys.executable, "-m", "tests.jobs.killed_replace", dsn, str(studio.store.root), str(image_id)]
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT)
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    (left,) = (key for key in {entry.key for entry in studio.store.walk()} - sound)
    assert left.endswith(f"{image_id}-v3.jpg")
    assert await findings(studio) == [("orphaned_object", left)]
    await clean_up(settings=config.replace(grace_minutes=0), store=studio.store, actor=SYSTEM, dry_run=False)
    assert {entry.key for entry in studio.store.walk()} == sound
    assert await findings(studio) == []
    await studio.replace(image_id)  # under the very key that the killed one had taken
    await clean_up(settings=config.replace(grace_minutes=0), store=studio.store, actor=SYSTEM, dry_run=False)
    assert await findings(studio) == []


async def test_a_job_given_up_for_the_file_before_does_not_fail_the_new_one(
    studio: Studio, run_worker: RunWorker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker_module, "MAX_RETRIES", 0)
    image_id = await studio.add(await make_entity(), ready=False)
    tasks = dict(gallery_tasks(studio.store, studio.pool))

    async def break_down(payload: dict[str, Any]) -> None:
        if payload["version"] == 1:
            await studio.replace(image_id, ready=False)
            raise RuntimeError("a defect of ours that the first file brings to light")
        await tasks[RENDER].run(payload)

    async with run_worker(tasks | {RENDER: Task(break_down, give_up=give_up_rendering)}):
        await eventually(lambda: _is_ready(image_id))
    assert await findings(studio) == []


async def _is_ready(image_id: Any) -> bool:
    status = await status_of(image_id)
    assert status != "failed"
    return status == "ready"
