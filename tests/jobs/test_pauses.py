"""Kinds of job that are paused: nobody takes them, in whatever process, until they go on; and ending, retrying, giving way."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.errors import Conflict, FormError, Unavailable
from portal.gallery.service import RENDER
from portal.jobs import worker as worker_module
from portal.jobs.control import cancel_job, retry_job
from portal.jobs.pauses import pause, pauses, resume
from portal.jobs.presence import workers, workers_alive
from portal.jobs.progress import Followed, JobReport, JobView, Later, followed, get_job, start_job
from portal.jobs.queue import BULK, URGENT, USUAL, Task, enqueue
from tests.factories import EDITOR, Studio, make_entity
from tests.jobs.conftest import RunWorker, status_of
from tests.waiting import eventually

Start = Callable[[], subprocess.Popen[bytes]]
KINDS = ("count", "other")
LONG = worker_module.LONG_AT_ONCE


async def queue(kind: str, number: int, priority: int = USUAL) -> None:
    async with database.transaction():
        await enqueue(kind, {"number": number}, priority=priority)


async def waiting() -> int:
    return await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')")


def counting(done: list[int]) -> dict[str, Task]:
    async def count(payload: dict[str, Any]) -> None:
        done.append(payload["number"])

    return {kind: Task(count) for kind in KINDS}


@pytest.mark.usefixtures("db")
async def test_a_paused_kind_waits_while_others_go_on_and_is_taken_in_order_of_urgency_when_it_goes_on(
    run_worker: RunWorker,
) -> None:
    done: list[int] = []
    end = asyncio.Event()

    async def stay(payload: dict[str, Any]) -> None:
        """Keeps one of the two places, so that the rest go one after the other."""
        done.append(payload["number"])
        if payload["number"] == 10:
            await end.wait()

    await pause("count", KINDS, actor=EDITOR)
    assert (await pauses())["count"].paused_by == EDITOR.name
    async with run_worker(counting(done) | {"other": Task(stay)}, at_once=2):
        for number, priority in ((1, BULK), (2, USUAL), (3, USUAL), (4, URGENT)):
            await queue("count", number, priority)
        await queue("other", 9)
        await eventually(lambda: done == [9])
        await queue("other", 10)
        await eventually(lambda: done == [9, 10])
        await eventually(lambda: waiting_is(4 + 1))
        await resume("count", KINDS, actor=EDITOR)
        await eventually(lambda: len(done) == 6)
        end.set()
    assert done == [9, 10, 4, 2, 3, 1]
    actions = [row["action"] for row in await database.fetch("SELECT action FROM audit ORDER BY pk")]
    assert actions == ["job.pause", "job.resume"]


@pytest.mark.usefixtures("db")
async def test_what_is_in_hand_when_its_kind_is_paused_ends_and_its_retry_waits(run_worker: RunWorker) -> None:
    begun, go_on, tries = asyncio.Event(), asyncio.Event(), []

    async def second_time_lucky(payload: dict[str, Any]) -> None:
        tries.append(payload["number"])
        begun.set()
        await go_on.wait()
        if len(tries) == 1:
            raise RuntimeError("not yet")

    await queue("count", 1)
    async with run_worker({"count": Task(second_time_lucky), "other": Task(second_time_lucky)}):
        await eventually(begun.is_set)
        await pause("all", KINDS, actor=SYSTEM)
        go_on.set()
        await eventually(lambda: database.fetch_value("SELECT attempts = 1 AND status = 'queued' FROM pgqueuer"))
        await eventually(lambda: database.fetch_value("SELECT execute_after < now() FROM pgqueuer"))
        assert tries == [1]
        await resume("all", KINDS, actor=SYSTEM)
        await eventually(lambda: tries == [1, 1])
        await eventually(lambda: waiting_is(0))


async def waiting_is(number: int) -> bool:
    return await waiting() == number


@pytest.mark.usefixtures("db")
async def test_only_kinds_that_there_are_can_be_paused() -> None:
    with pytest.raises(FormError):
        await pause("nothing", KINDS, actor=SYSTEM)
    assert await pauses() == {}


async def test_a_pause_outlives_the_workers_that_know_of_it_and_kills(
    studio: Studio, run_worker: RunWorker, portal_worker: Start
) -> None:
    await pause(RENDER, [RENDER], actor=SYSTEM)
    image_id = await studio.add(await make_entity(), ready=False)
    process = portal_worker()
    await eventually(lambda: is_seen(process.pid))
    process.kill()
    process.wait()
    async with run_worker() as worker:
        await eventually(lambda: worker.state == "running")
        await queue("purge", 1)
        await eventually(lambda: waiting_is(1))  # it takes what is not paused, and that alone
        assert await status_of(image_id) == "pending"
        await resume(RENDER, [RENDER], actor=SYSTEM)
        await eventually(lambda: is_ready(image_id))


@pytest.mark.usefixtures("db")
async def test_a_job_that_comes_too_early_waits_says_why_and_is_done_later(run_worker: RunWorker) -> None:
    tries: list[int] = []

    async def tidy(arguments: dict[str, object], actor: object, report: object) -> dict[str, object]:
        tries.append(1)
        if len(tries) == 1:
            raise Later("The clock is in doubt.", timedelta(hours=3))
        return {}

    job_id = await start_job("tidy", {}, actor=SYSTEM)
    again_in = "SELECT extract(epoch FROM execute_after - now())::float FROM pgqueuer WHERE status = 'queued'"
    async with run_worker({"tidy": followed(tidy)}):
        await eventually(lambda: database.fetch_value(f"SELECT EXISTS ({again_in} AND attempts > 0)"))
        assert 10_000 < await database.fetch_value(again_in) <= 10_800
        waiting = await get_job(job_id)
        assert (waiting.state, waiting.error) == ("queued", {"code": "conflict", "message": "The clock is in doubt."})
        await database.execute("UPDATE pgqueuer SET execute_after = now()")
        await eventually(lambda: is_state(job_id, "succeeded"))
    assert (await get_job(job_id)).error is None


async def is_seen(pid: int) -> bool:
    return any(each.pid == pid for each in await workers_alive())


async def is_ready(image_id: UUID) -> bool:
    return await status_of(image_id) == "ready"


@pytest.mark.usefixtures("db")
async def test_a_worker_tells_that_it_lives_and_that_it_has_ended(run_worker: RunWorker) -> None:
    assert await workers_alive() == []
    async with run_worker(counting([])):
        await eventually(workers_alive)
        (alive,) = await workers_alive()
        assert (alive.state, alive.seconds < 30) == ("running", True)
    assert [each.state for each in await workers()] == ["stopped"]
    await database.execute("UPDATE worker_seen SET state = 'running', seen_at = now() - interval '31 s'")
    assert await workers_alive() == []


@pytest.mark.usefixtures("db")
async def test_long_work_leaves_places_for_what_is_quick(run_worker: RunWorker) -> None:
    begun: list[int] = []

    async def forever(arguments: dict[str, Any], actor: Actor, report: JobReport) -> dict[str, Any]:
        begun.append(1)
        while True:
            await report(1, None)
            await asyncio.sleep(0.05)

    done: list[int] = []
    tasks = {"long": followed(forever), **counting(done)}
    for _ in range(1 + LONG):
        await start_job("long", {}, actor=SYSTEM)
    async with run_worker(tasks, at_once=2):
        await eventually(lambda: len(begun) == LONG)
        await queue("count", 7)
        await eventually(lambda: done == [7])
        assert len(begun) == LONG
    states = {row["state"] for row in await database.fetch("SELECT state FROM job")}
    assert states == {"queued"}  # given back, all of them, when the worker ended
    assert await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE status = 'queued'") == 1 + LONG


@pytest.mark.usefixtures("db")
async def test_what_waits_for_renders_leaves_places_for_other_long_work(run_worker: RunWorker) -> None:
    begun: list[str] = []

    def forever(name: str) -> Followed:
        async def run(arguments: dict[str, Any], actor: Actor, report: JobReport) -> dict[str, Any]:
            begun.append(name)
            while True:
                await report(1, None)
                await asyncio.sleep(0.05)

        return run

    tasks = {"waiting": followed(forever("waiting"), is_waiting=True), "check": followed(forever("check"))}
    for _ in range(worker_module.LONG_AT_ONCE + worker_module.WAITING_AT_ONCE):
        await start_job("waiting", {}, actor=SYSTEM)
    await start_job("check", {}, actor=SYSTEM)
    async with run_worker(tasks, at_once=2):
        await eventually(lambda: "check" in begun)
        await eventually(lambda: begun.count("waiting") == worker_module.WAITING_AT_ONCE)


@pytest.mark.usefixtures("db")
async def test_a_job_that_waits_is_cancelled_at_once_and_one_at_work_at_its_next_report(run_worker: RunWorker) -> None:
    begun = asyncio.Event()

    async def go_on(arguments: dict[str, Any], actor: Actor, report: JobReport) -> dict[str, Any]:
        begun.set()
        for done in range(10_000):
            await report(done, done)
            await asyncio.sleep(0.02)
        return {}

    early = await start_job("long", {}, actor=SYSTEM)
    await cancel_job(early, actor=EDITOR)
    assert ((await get_job(early)).state, await waiting()) == ("cancelled", 0)
    job_id = await start_job("long", {}, actor=SYSTEM)
    async with run_worker({"long": followed(go_on)}):
        await eventually(begun.is_set)
        await cancel_job(job_id, actor=EDITOR)
        await eventually(lambda: is_state(job_id, "cancelled"))
    with pytest.raises(Conflict):
        await cancel_job(job_id, actor=EDITOR)


async def is_state(job_id: UUID, state: str) -> bool:
    return (await get_job(job_id)).state == state


@pytest.mark.usefixtures("db")
async def test_a_job_whose_worker_died_is_cancelled_at_once() -> None:
    job_id = await start_job("long", {}, actor=SYSTEM)
    await database.execute("UPDATE job SET state = 'running'")
    await database.execute("UPDATE pgqueuer SET status = 'picked', heartbeat = now() - interval '31 s'")
    await cancel_job(job_id, actor=EDITOR)
    assert await is_state(job_id, "cancelled")


@pytest.mark.usefixtures("db")
async def test_a_failed_job_is_tried_again_as_a_new_one_and_twice_asked_is_once_tried(
    run_worker: RunWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "MAX_RETRIES", 0)
    told: list[dict[str, Any]] = []

    async def second_time_lucky(arguments: dict[str, Any], actor: Actor, report: JobReport) -> dict[str, Any]:
        told.append(arguments | {"actor": actor.name})
        await report.keep({"at": 7})
        if len(told) == 1:
            raise Unavailable("The disk did not answer.")
        return {"well": True}

    job_id = await start_job("long", {"of": "this"}, actor=SYSTEM)
    with pytest.raises(Conflict):
        await retry_job(job_id, ["long"], actor=EDITOR)
    async with run_worker({"long": followed(second_time_lucky)}):
        await eventually(lambda: is_state(job_id, "failed"))
        await eventually(lambda: database.fetch_value("SELECT count(*) = 1 FROM pgqueuer WHERE status = 'failed'"))
        failed = await get_job(job_id)
        assert failed.error == {"code": "failed", "message": "It failed once. The disk did not answer."}
        await pause("long", ["long"], actor=SYSTEM)
        again = await retry_job(job_id, ["long"], actor=EDITOR)
        assert await retry_job(job_id, ["long"], actor=EDITOR) == again
        await resume("long", ["long"], actor=SYSTEM)
        await eventually(lambda: is_state(again, "succeeded"))
    assert told == [{"of": "this", "actor": "system"}, {"of": "this", "actor": EDITOR.name}]
    view: JobView = await get_job(again)
    assert (view.retry_of, view.attempts, view.result, view.error) == (str(job_id), 1, {"well": True}, None)
    with pytest.raises(Conflict):
        await retry_job(job_id, ["other"], actor=EDITOR)


async def test_a_worker_told_to_stop_gives_long_work_back_and_ends_with_0(
    studio: Studio, run_worker: RunWorker, portal_worker: Start
) -> None:
    """The re-rendering waits for a picture whose kind is paused: without giving way it would be cut off after the grace."""
    image_id = await studio.add(await make_entity())
    await pause(RENDER, [RENDER], actor=SYSTEM)
    job_id = await start_job("rerender", {"which": "all"}, actor=SYSTEM)
    process = portal_worker()
    await eventually(lambda: database.fetch_value("SELECT count(*) = 2 FROM pgqueuer WHERE entrypoint = 'render'"))
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(asyncio.to_thread(process.wait), 30) == 0
    assert await is_state(job_id, "queued")
    assert await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE status = 'picked'") == 0
    assert await status_of(image_id) == "ready"
