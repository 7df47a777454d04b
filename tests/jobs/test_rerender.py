"""Pictures rendered anew: all, those that lack something, a selection; bounded, ended and taken up again."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.errors import FormError, Running
from portal.gallery import rerender as module
from portal.gallery.rerender import RERENDER, Pictures, rerender, start_rerender
from portal.gallery.service import RENDER, change_image, retry_image
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.jobs.pauses import pause, resume
from portal.jobs.progress import Cancelled, JobView, get_job, start_job
from portal.jobs.queue import BULK, queue_counts
from tests.factories import EDITOR, Studio, make_entity
from tests.jobs.conftest import RunWorker
from tests.locks import somebody_waits
from tests.waiting import eventually

Start = Callable[[], subprocess.Popen[bytes]]


async def sets_of(*ids: UUID) -> list[str]:
    """Which set of each is shown."""
    rows = await database.fetch("SELECT id, renditions ->> 'of' AS of FROM image WHERE id = ANY($1::uuid[])", list(ids))
    found = {row["id"]: row["of"] for row in rows}
    return [found[each] for each in ids]


async def fail(image_id: UUID, code: str) -> None:
    await database.execute(
        "UPDATE image SET status = 'failed', renditions = '{}', error = $2::jsonb WHERE id = $1",
        *(image_id, json.dumps({"code": code, "message": "It could not be made."})),
    )


async def test_all_are_made_again_and_the_old_are_served_until_the_new_are_whole(
    studio: Studio, run_worker: RunWorker
) -> None:
    ref = await make_entity()
    ids = [await studio.add(ref) for _ in range(3)]
    heard: list[tuple[int, int | None]] = []

    async def report(done: int, total: int | None) -> None:
        heard.append((done, total))
        if len(heard) == 1:
            assert await sets_of(*ids) == ["1.1"] * 3
            assert (
                await database.fetch_value("SELECT count(*) FROM image WHERE status = 'ready' AND rendering = 2") == 3
            )

    await database.execute("DELETE FROM pgqueuer")
    async with run_worker():
        made = await rerender(Pictures("all"), report)
    assert (made.pictures, made.failed) == (3, 0)
    assert await sets_of(*ids) == ["1.2"] * 3
    assert heard[-1] == (3, 3)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


async def test_missing_are_those_without_a_whole_current_set(studio: Studio, run_worker: RunWorker) -> None:
    ref = await make_entity()
    whole, behind, failed, poor = [await studio.add(ref) for _ in range(4)]
    await change_image(behind, {"focal_x": 0.1, "focal_y": 0.1}, actor=SYSTEM)
    await fail(failed, "gone")
    await database.execute("UPDATE image SET renditions = renditions #- '{items,icon}' WHERE id = $1", poor)
    await database.execute("DELETE FROM pgqueuer")
    async with run_worker():
        made = await rerender(Pictures("missing"))
    assert made.pictures == 3
    assert await sets_of(whole, behind, failed, poor) == ["1.1", "1.2", "1.1", "1.2"]
    row = await database.fetch_row("SELECT status, error, renditions FROM image WHERE id = $1", poor)
    assert row is not None
    assert "icon" in json.loads(row["renditions"])["items"]
    assert await database.fetch_value("SELECT count(*) FROM image WHERE status = 'ready' AND error IS NULL") == 4


async def test_a_selection_is_by_id_by_entity_or_by_reason(studio: Studio, run_worker: RunWorker) -> None:
    mug, lamp = await make_entity(), await make_entity("categories", "lamps")
    one, two, three = await studio.add(mug), await studio.add(mug), await studio.add(lamp)
    await fail(two, "gone")
    await fail(three, "not_an_image")
    await database.execute("UPDATE pgqueuer SET status = 'failed'")  # each was given up
    async with run_worker():
        await rerender(Pictures("selected", failed="gone"))
        assert (await queue_counts()).failed == 1
        assert await sets_of(one, two, three) == ["1.1", "1.1", None]
        await rerender(Pictures("selected", entity_type="categories"))
        assert await sets_of(one, two, three) == ["1.1", "1.1", "1.2"]
        await rerender(Pictures("selected", ids=(str(one),)))
        assert await sets_of(one, two, three) == ["1.2", "1.1", "1.2"]
        await rerender(Pictures("selected", entity_type=mug.type, entity_id=mug.id))
        assert await sets_of(one, two, three) == ["1.3", "1.2", "1.2"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "which"),
        ({"which": "some"}, "which"),
        ({"which": ["all"]}, "which"),
        ({"which": "selected"}, "which"),
        ({"which": "all", "ids": [str(UUID(int=1))]}, "which"),
        ({"which": "selected", "ids": "x"}, "ids"),
        ({"which": "selected", "ids": ["x"]}, "ids"),
        ({"which": "selected", "entity_type": "planets"}, "entity_type"),
        ({"which": "selected", "entity_type": 7}, "entity_type"),
        ({"which": "selected", "entity_id": "MUG-1"}, "entity_id"),
    ],
)
def test_a_wish_that_says_nothing_clear_is_refused(sent: dict[str, Any], field: str) -> None:
    with pytest.raises(FormError) as refused:
        Pictures.of(sent)
    assert field in refused.value.errors


async def test_only_so_many_wait_at_a_time_and_none_overtakes_an_upload(
    studio: Studio, run_worker: RunWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(module, "MOST_WAITING", 4)
    ref = await make_entity()
    ids = [await studio.add(ref) for _ in range(9)]
    await database.execute("DELETE FROM pgqueuer")
    most: list[int] = []

    async def report(done: int, total: int | None) -> None:
        priority = "SELECT max(priority) FROM pgqueuer WHERE entrypoint = 'render'"
        assert await database.fetch_value(priority) in (None, BULK)
        # not the queue's rows: one of a job that is done stays for a moment
        waiting = "SELECT count(*) FROM image WHERE renditions ->> 'of' <> version || '.' || rendering"
        most.append(await database.fetch_value(waiting))

    async with run_worker():
        made = await rerender(Pictures("all"), report)
    assert made.pictures == 9
    assert max(most) <= 4
    assert await sets_of(*ids) == ["1.2"] * 9


async def test_where_it_is_cancelled_nothing_more_is_queued(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    ref = await make_entity()
    for _ in range(5):
        await studio.add(ref)
    await database.execute("DELETE FROM pgqueuer")

    async def report(done: int, total: int | None) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        await rerender(Pictures("all"), report)
    assert await database.fetch_value("SELECT count(*) FROM pgqueuer") == 2
    assert await database.fetch_value("SELECT count(*) FROM image WHERE rendering = 2") == 2


async def test_a_picture_that_somebody_holds_is_waited_for_and_none_is_left_out(
    studio: Studio, run_worker: RunWorker
) -> None:
    ref = await make_entity()
    ids = [await studio.add(ref) for _ in range(3)]
    await database.execute("DELETE FROM pgqueuer")
    async with run_worker():
        for held in (ids[0], ids[1]):
            async with database.transaction():
                await database.execute("SELECT 1 FROM image WHERE id = $1 FOR UPDATE", held)
                running = asyncio.create_task(outside(rerender(Pictures("all"))))
                await eventually(somebody_waits)
            await running
    assert await sets_of(*ids) == ["1.3"] * 3


async def outside(work: Any) -> Any:
    """Not within the transaction that this task was begun in."""
    database.DB.current_transaction.set(None)
    return await work


async def test_only_one_run_over_all_at_a_time(studio: Studio) -> None:
    async with alone(turns.RERENDER):
        with pytest.raises(Running):
            await start_rerender(Pictures("all"), actor=EDITOR)
        with pytest.raises(Running):
            await rerender(Pictures("all"))
        assert (await rerender(Pictures("missing"))).pictures == 0
    job_id = await start_rerender(Pictures("all"), actor=EDITOR)
    row = await database.fetch_row("SELECT actor, action, subject_id FROM audit ORDER BY pk DESC LIMIT 1")
    assert row is not None
    assert tuple(row.values()) == (EDITOR.name, "rerender.start", str(job_id))


@pytest.mark.drill("R2")
async def test_a_run_whose_worker_was_killed_is_taken_up_where_it_was(
    studio: Studio, run_worker: RunWorker, portal_worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each picture gets one new number, not one for each start."""
    ref = await make_entity()
    ids = [await studio.add(ref) for _ in range(5)]
    await database.execute("DELETE FROM pgqueuer")
    await pause(RENDER, [RENDER], actor=SYSTEM)
    job_id = await start_job(RERENDER, {"which": "all"}, actor=SYSTEM)
    process = portal_worker()
    await eventually(lambda: database.fetch_value("SELECT count(*) = 5 FROM image WHERE rendering = 2"))
    process.kill()
    process.wait()
    await database.execute("UPDATE pgqueuer SET heartbeat = now() - interval '1 minute' WHERE status = 'picked'")
    await resume(RENDER, [RENDER], actor=SYSTEM)
    worker = portal_worker()
    await eventually(lambda: is_state(job_id, "succeeded"))
    assert await sets_of(*ids) == ["1.2"] * 5
    job: JobView = await get_job(job_id)
    assert (job.attempts, job.result) == (2, {"pictures": 5, "failed": 0})
    assert (job.progress["done"], job.progress["total"], job.progress["unit"]) == (5, 5, "pictures")
    worker.kill()


async def is_state(job_id: UUID, state: str) -> bool:
    return (await get_job(job_id)).state == state


async def test_a_failed_picture_that_is_tried_again_waits_with_a_job_of_its_own_and_no_reason_left(
    studio: Studio, run_worker: RunWorker
) -> None:
    image_id = await studio.add(await make_entity())
    await fail(image_id, "gone")
    await database.execute("UPDATE image SET tries = 5")
    await database.execute("DELETE FROM pgqueuer")
    await retry_image(image_id, actor=EDITOR)
    row = await database.fetch_row("SELECT status, error, tries FROM image WHERE id = $1", image_id)
    assert row is not None
    assert tuple(row.values()) == ("pending", None, 0)
    assert await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE status = 'queued'") == 1
    async with run_worker():
        await eventually(lambda: is_ready(image_id))


async def is_ready(image_id: UUID) -> bool:
    return await database.fetch_value("SELECT status = 'ready' FROM image WHERE id = $1", image_id)
