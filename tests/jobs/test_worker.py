"""A real worker on a real queue: retries, jobs that kill, kills, cut connections, ends in order."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.environment import CHECKOUT
from portal.gallery.disposal import delete_image
from portal.gallery.renditions import fail_image
from portal.gallery.service import RENDER, retry_image
from portal.gallery.tasks import forgotten_images, give_up_rendering, queue_forgotten_images
from portal.integrity.fsck import fsck
from portal.jobs import worker as worker_module
from portal.jobs.queue import QueueCounts, Task, enqueue, queue_counts
from portal.parts import Parts
from portal.settings import Settings
from tests import samples
from tests.drilling import Rounds
from tests.factories import Studio, make_entity
from tests.jobs.conftest import RunWorker, status_of
from tests.waiting import PATIENCE, eventually

Start = Callable[[], subprocess.Popen[bytes]]


async def is_ready(image_id: UUID) -> bool:
    return await status_of(image_id) == "ready"


async def queue_is_empty() -> bool:
    return not await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')")


async def queue(kind: str, **payload: Any) -> None:
    async with database.transaction():
        await enqueue(kind, payload)


async def in_hand(image_id: UUID) -> bool:
    return await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE status = 'picked'") == 1


async def test_a_queued_image_becomes_ready(studio: Studio, run_worker: RunWorker) -> None:
    image_id = await studio.add(await make_entity(), ready=False)
    async with run_worker() as worker:
        await eventually(lambda: is_ready(image_id))
        await eventually(queue_is_empty)
        assert worker.state == "running"
    assert worker.state == "stopped"
    assert [finding async for finding in fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))] == []


@pytest.mark.usefixtures("db")
async def test_a_task_that_raises_is_tried_again(run_worker: RunWorker) -> None:
    tries: list[int] = []

    async def second_time_lucky(payload: dict[str, Any]) -> None:
        tries.append(payload["number"])
        if len(tries) == 1:
            raise RuntimeError("not yet")

    await queue("count", number=7)
    async with run_worker({"count": Task(second_time_lucky)}):
        await eventually(lambda: len(tries) == 2)
        await eventually(queue_is_empty)
    assert tries == [7, 7]


async def test_an_image_whose_job_is_given_up_is_failed_with_a_reason_and_can_be_retried(
    studio: Studio, run_worker: RunWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_RETRIES", 1)  # six tries take half a minute
    image_id = await studio.add(await make_entity(), ready=False)
    tries: list[str] = []

    async def break_down(payload: dict[str, Any]) -> None:
        tries.append(payload["image"])
        raise RuntimeError("a defect of ours")

    async with run_worker({RENDER: Task(break_down, give_up=give_up_rendering)}):
        await eventually(lambda: _failed(image_id))
        await eventually(queue_is_empty)
    assert len(tries) == 2
    error = json.loads(await database.fetch_value("SELECT error FROM image WHERE id = $1", image_id))
    assert error == {"code": "failed", "message": "The renditions could not be made. It failed 2 times."}
    assert (await queue_counts()).failed == 1
    await retry_image(image_id, actor=SYSTEM)
    assert await queue_counts() == QueueCounts(waiting=1)
    async with run_worker():
        await eventually(lambda: is_ready(image_id))


async def given_up(*images: UUID) -> None:
    """As the queue leaves it of pictures whose rendering it will not try again."""
    for image_id in images:
        await fail_image(image_id, "failed", "It failed 6 times.")
        async with database.transaction():
            await enqueue(RENDER, {"image": str(image_id), "version": 1})
    await database.execute("UPDATE pgqueuer SET status = 'failed'")


async def test_the_queue_forgets_what_it_gave_up_of_pictures_that_are_gone_or_tried_again(
    studio: Studio, config: Settings
) -> None:
    tried, gone, bad = [await studio.add(await make_entity(), ready=False) for _ in range(3)]
    await database.execute("DELETE FROM pgqueuer")
    await given_up(tried, gone, bad)
    await studio.replace(tried, ready=False)
    await delete_image(gone, actor=SYSTEM, deletes_per_hour=0)
    await Parts.of(config).tasks()["keep_counts"].run({})
    held = await database.fetch("SELECT convert_from(payload, 'UTF8') AS payload FROM pgqueuer WHERE status = 'failed'")
    assert [json.loads(row["payload"])["image"] for row in held] == [str(bad)]


async def _failed(image_id: UUID) -> bool:
    return await status_of(image_id) == "failed"


async def test_a_disk_that_is_away_for_long_fails_no_picture(
    studio: Studio, run_worker: RunWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_RETRIES", 0)
    monkeypatch.setattr(worker_module, "OUTAGE_PAUSE", timedelta(seconds=0.1))
    image_id = await studio.add(await make_entity(), ready=False)
    mounted, away = studio.store.root, studio.store.root.with_name("away")
    mounted.rename(away)
    mounted.mkdir()  # where it was mounted
    async with run_worker():
        await eventually(lambda: database.fetch_value("SELECT max(attempts) > 1 FROM pgqueuer"))
        assert await status_of(image_id) == "processing"
        mounted.rmdir()
        away.rename(mounted)
        await eventually(lambda: is_ready(image_id))


@pytest.mark.drill("R2")
async def test_a_picture_that_kills_its_worker_is_failed_after_three_starts(
    studio: Studio, dsn: str, tmp_path: Path, rounds: Rounds
) -> None:
    for number in range(rounds(1, 10, "such pictures")):
        await _three_starts(await studio.add(await make_entity(), ready=False), dsn, tmp_path / f"marks-{number}")


async def _three_starts(image_id: UUID, dsn: str, marks: Path) -> None:
    codes: list[int] = []
    while not codes or codes[-1]:
        command = [sys.executable, "-m", "tests.jobs.killing_worker", dsn, str(marks)]
        process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT)
        codes.append(await asyncio.wait_for(process.wait(), 2 * PATIENCE))
        await database.execute("UPDATE pgqueuer SET heartbeat = now() - interval '1 hour' WHERE status = 'picked'")
        assert len(codes) < 6, "the picture goes on killing"
    assert codes == [-signal.SIGKILL] * 3 + [0]
    assert (await asyncio.to_thread(marks.read_text)).splitlines() == [str(image_id)] * 3
    row = await database.fetch_row("SELECT status, error ->> 'message' AS said FROM image WHERE id = $1", image_id)
    assert row is not None
    assert row["status"] == "failed"
    assert "started 3 times and never came to an end" in row["said"]
    assert await queue_forgotten_images() == 0


@pytest.mark.drill("R2")
async def test_another_worker_finishes_the_job_of_a_killed_one(
    studio: Studio, run_worker: RunWorker, portal_worker: Start, rounds: Rounds
) -> None:
    for _ in range(rounds(1, 20, "kills of a worker")):
        image_id = await studio.add(await make_entity(), samples.noisy(4000, 3000), ready=False)
        process = portal_worker()
        await eventually(lambda id=image_id: in_hand(id))
        process.kill()
        process.wait()
        assert await status_of(image_id) in {"pending", "processing"}
        async with run_worker():
            await eventually(lambda id=image_id: is_ready(id))
            await eventually(queue_is_empty)
    assert [finding async for finding in fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))] == []


async def test_a_worker_told_to_stop_finishes_its_job_and_ends_with_0(studio: Studio, portal_worker: Start) -> None:
    image_id = await studio.add(await make_entity(), samples.noisy(4000, 3000), ready=False)
    process = portal_worker()
    await eventually(lambda: in_hand(image_id))
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(asyncio.to_thread(process.wait), 60) == 0
    assert await status_of(image_id) == "ready"
    assert await queue_is_empty()


async def test_a_worker_whose_connections_are_cut_goes_on(studio: Studio, run_worker: RunWorker) -> None:
    async with run_worker() as worker:
        await eventually(lambda: worker.state == "running")
        cut = await database.fetch_value(
            """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )
        assert cut >= 4
        await eventually(lambda: worker.state == "restarting")
        await eventually(lambda: worker.state == "running")
        image_id = await studio.add(await make_entity(), ready=False)
        await eventually(lambda: is_ready(image_id))


async def test_a_job_survives_an_outage_of_the_portals_own_connections(run_worker: RunWorker) -> None:
    """The worker asks the portal's pool how often a job was started: that this fails must not end the job."""
    done = asyncio.Event()

    async def work(payload: dict[str, Any]) -> None:
        done.set()

    async with run_worker({"work": Task(work)}) as worker:
        await eventually(lambda: worker.state == "running")
        pool, database.DB.pool = database.DB.pool, None
        try:
            connection = await asyncpg.connect(**database.DB.config)
            await connection.execute(
                """INSERT INTO pgqueuer (priority, entrypoint, payload, status, execute_after)
                   VALUES (0, 'work', '{}', 'queued', now())"""
            )
            await eventually(lambda: connection.fetchval("SELECT max(attempts) > 0 FROM pgqueuer"))
            await connection.close()
        finally:
            database.DB.pool = pool
        await eventually(done.is_set)
        await eventually(queue_is_empty)


async def test_a_worker_stopped_while_it_starts_stops(run_worker: RunWorker) -> None:
    for pause in (0, 0.01, 0.03, 0.05):
        async with run_worker() as worker:
            await asyncio.sleep(pause)
            await asyncio.wait_for(worker.stop(grace=3600), 60)
            assert worker.state == "stopped"


async def test_a_job_cut_off_at_the_end_of_the_grace_runs_again(run_worker: RunWorker) -> None:
    starts: list[bool] = []

    async def hang_once(payload: dict[str, Any]) -> None:
        starts.append(True)
        if len(starts) == 1:
            await asyncio.sleep(3600)

    tasks = {"hang": Task(hang_once)}
    await queue("hang")
    async with run_worker(tasks) as worker:
        await eventually(lambda: starts)
        await worker.stop(grace=0.1)
    async with run_worker(tasks):
        await eventually(lambda: len(starts) == 2)
        await eventually(queue_is_empty)


async def test_an_image_that_the_queue_forgot_is_queued_again_when_a_worker_starts(
    studio: Studio, run_worker: RunWorker
) -> None:
    image_id = await studio.add(await make_entity(), ready=False)
    await database.execute("DELETE FROM pgqueuer")
    assert await forgotten_images() == {image_id: 1}
    async with run_worker(heal=queue_forgotten_images):
        await eventually(lambda: is_ready(image_id))


@pytest.mark.usefixtures("db")
async def test_a_worker_that_begins_to_listen_late_takes_its_first_probe_for_no_failure() -> None:
    async with asyncpg.create_pool(**database.DB.config, min_size=2, max_size=4) as pool:
        queuer = worker_module.build(pool, {}, 2)
        probe = asyncio.create_task(queuer.qm.listener_healthy(timeout=timedelta(seconds=PATIENCE)))
        await asyncio.sleep(0.2)  # as a busy machine may take
        running = asyncio.create_task(queuer.run(dequeue_timeout=timedelta(seconds=0.1)))
        try:
            assert (await probe).id is not None
        finally:
            queuer.shutdown.set()
            await running
