"""A changed size, rolled out by a real worker: what is served meanwhile, what a cancel leaves, what a kill does not stop."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import Actor
from portal.errors import Conflict, FormError, NotFound, Running
from portal.gallery.presets import changes_in_force
from portal.gallery.renditions import render_all
from portal.gallery.tasks import gallery_tasks
from portal.imaging.presets import PRESETS
from portal.integrity.findings import Finding
from portal.integrity.fsck import fsck
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.jobs.progress import get_job
from portal.jobs.queue import Task
from portal.maintenance.preset_changes import (
    cancel_change,
    catch_up,
    change_preset,
    get_preset,
    list_presets,
    read_measure,
    reset_preset,
)
from portal.maintenance.preset_estimate import estimate_change
from portal.maintenance.preset_rollout import preset_tasks
from tests import samples
from tests.factories import Studio, make_entity
from tests.jobs.conftest import RunWorker
from tests.waiting import eventually

ADMIN = Actor("user:ada@example.com", "admin")
OLD, NEW = (800, 600), (640, 480)
Start = Callable[[], subprocess.Popen[bytes]]


def tasks(studio: Studio) -> dict[str, Task]:
    return {**gallery_tasks(studio.store, studio.pool), **preset_tasks()}


async def some_pictures(studio: Studio, count: int) -> list[UUID]:
    ref = await make_entity()
    return [await studio.add(ref, samples.jpeg(1000 + 4 * n, 750 + 3 * n)) for n in range(count)]


async def gallery_sizes() -> set[tuple[int, int]]:
    rows = await database.fetch("SELECT renditions -> 'items' -> 'gallery' AS item FROM image WHERE renditions <> '{}'")
    return {(item["width"], item["height"]) for row in rows if (item := json.loads(row["item"]))}


async def is_over(job_id: UUID) -> bool:
    return (await get_job(job_id)).is_finished


async def breaches(studio: Studio, but: str = "") -> list[Finding]:
    found = fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))
    return [each async for each in found if each.kind != but]


async def queue_is_empty() -> bool:
    return not await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')")


async def test_a_change_is_rolled_out_and_reset_again(studio: Studio, run_worker: RunWorker) -> None:
    await some_pictures(studio, 5)
    job_id = await change_preset("gallery", (*NEW, 70), actor=ADMIN)
    assert await gallery_sizes() == {OLD}  # served until the new ones are there
    assert ((await get_preset("gallery")).state, (await list_presets()).behind) == ("rolling", 5)
    late = await studio.add(await make_entity(), samples.jpeg(1100, 825))
    assert (await gallery_sizes()) == {OLD, NEW}  # what is added meanwhile is made by it at once
    assert await breaches(studio) == []
    async with run_worker(tasks(studio)):
        await eventually(lambda: is_over(job_id))
        job = await get_job(job_id)
        assert (job.state, job.result) == ("succeeded", {"pictures": 5, "failed": 0})
        assert await gallery_sizes() == {NEW}
        assert ((await get_preset("gallery")).state, (await list_presets()).behind) == ("changed", 0)
        await eventually(queue_is_empty)  # the old objects go by a job
        assert await breaches(studio) == []
        rendering = await database.fetch_value("SELECT rendering FROM image WHERE id = $1", late)
        assert rendering == 1
        job_id = await reset_preset("gallery", actor=ADMIN)
        await eventually(lambda: is_over(job_id))
        assert (await gallery_sizes(), await changes_in_force()) == ({OLD}, {})
        assert (await get_preset("gallery")).state == "default"
        await eventually(queue_is_empty)
        assert await breaches(studio) == []
    lines = await database.fetch(
        """SELECT action, actor, before, after FROM audit LEFT JOIN audit_change ON audit = audit.pk
           WHERE subject_type = 'preset' ORDER BY audit.pk"""
    )
    assert [(row["action"], row["actor"]) for row in lines] == [("preset.change", ADMIN.name)] * 2
    assert json.loads(lines[0]["before"]) == {"width": 800, "height": 600, "quality": 82}
    assert json.loads(lines[0]["after"]) == {"width": 640, "height": 480, "quality": 70}


async def test_a_cancel_takes_the_change_back_and_leaves_what_was_made_until_all_is_made_anew(
    studio: Studio, run_worker: RunWorker
) -> None:
    images = await some_pictures(studio, 3)
    job_id = await change_preset("gallery", (*NEW, 82), actor=ADMIN)
    await database.execute("UPDATE image SET rendering = rendering + 1 WHERE id = $1", images[0])
    await render_all(images[0], store=studio.store, pool=studio.pool)  # as if the roll-out had come so far
    await cancel_change("gallery", actor=ADMIN)
    assert await changes_in_force() == {}
    with pytest.raises(Conflict):
        await cancel_change("gallery", actor=ADMIN)
    async with run_worker(tasks(studio)):
        await eventually(lambda: is_over(job_id))
        assert (await get_job(job_id)).state == "cancelled"
        await eventually(queue_is_empty)
        assert await gallery_sizes() == {OLD, NEW}
        assert ((await get_preset("gallery")).state, (await list_presets()).behind) == ("default", 1)
        assert await breaches(studio) == []
        job_id = await catch_up(actor=ADMIN)
        await eventually(lambda: is_over(job_id))
        assert (await get_job(job_id)).result == {"pictures": 1, "failed": 0}
        assert (await gallery_sizes(), (await list_presets()).behind) == ({OLD}, 0)


async def test_a_job_cancelled_elsewhere_takes_its_change_back_too(studio: Studio, run_worker: RunWorker) -> None:
    await some_pictures(studio, 2)
    job_id = await change_preset("icon", (96, 96, 82), actor=ADMIN)
    await database.execute("UPDATE job SET cancel_asked_at = now() WHERE id = $1", job_id)
    async with run_worker(tasks(studio)):
        await eventually(lambda: is_over(job_id))
    assert (await changes_in_force(), (await get_preset("icon")).state) == ({}, "default")


async def test_a_second_change_waits_for_the_first(studio: Studio) -> None:
    await change_preset("gallery", (*NEW, 82), actor=ADMIN)
    with pytest.raises(Running):
        await change_preset("icon", (96, 96, 82), actor=ADMIN)
    with pytest.raises(Running):
        await catch_up(actor=ADMIN)
    await cancel_change("gallery", actor=ADMIN)
    with pytest.raises(Running):  # its job has not heard of it
        await change_preset("icon", (96, 96, 82), actor=ADMIN)
    await database.execute("UPDATE job SET state = 'cancelled'")
    async with alone(turns.RERENDER):
        with pytest.raises(Running):
            await change_preset("icon", (96, 96, 82), actor=ADMIN)
    await change_preset("icon", (96, 96, 82), actor=ADMIN)


@pytest.mark.usefixtures("db")
async def test_of_two_that_decide_at_once_one_is_refused() -> None:
    wishes = (("gallery", (*NEW, 82)), ("icon", (96, 96, 82)))
    decided = await asyncio.gather(
        *(change_preset(name, measure, actor=ADMIN) for name, measure in wishes), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in decided) == ["Running", "UUID"]
    assert len(await changes_in_force()) == 1


@pytest.mark.usefixtures("db")
async def test_what_is_so_already_unknown_or_beyond_bounds_is_refused() -> None:
    with pytest.raises(Conflict):
        await reset_preset("gallery", actor=ADMIN)
    with pytest.raises(NotFound):
        await change_preset("poster", (10, 10, 82), actor=ADMIN)
    with pytest.raises(FormError) as refused:
        read_measure({"width": "15", "height": 4097, "quality": "ninety"}, PRESETS["gallery"])
    assert set(refused.value.errors) == {"width", "height", "quality"}
    assert read_measure({"width": " 1000 ", "quality": 90}, PRESETS["gallery"]) == (1000, 600, 90)


async def test_a_worker_that_is_killed_in_the_middle_does_not_end_it(studio: Studio, portal_worker: Start) -> None:
    await some_pictures(studio, 12)
    job_id = await change_preset("gallery", (*NEW, 82), actor=ADMIN)
    first = portal_worker()

    async def has_begun() -> bool:
        return NEW in await gallery_sizes()

    await eventually(has_begun)
    first.send_signal(signal.SIGKILL)
    first.wait()
    portal_worker()
    await eventually(lambda: is_over(job_id))
    assert (await get_job(job_id)).state == "succeeded"
    assert (await gallery_sizes(), (await get_preset("gallery")).state) == ({NEW}, "changed")
    await eventually(queue_is_empty)
    assert await breaches(studio, but="stray_temp_file") == []  # which a killed one may leave, for a cleanup


async def test_what_a_change_comes_to_is_told_by_rendering_some(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("MOST_SECONDS", "LONGEST"):
        monkeypatch.setattr(f"portal.maintenance.preset_estimate.{limit}", 100.0)
    ref = await make_entity()
    for _ in range(4):
        await studio.add(ref, samples.noisy(1000, 750))
    before = await everything()
    parts: dict[str, Any] = {"store": studio.store, "pool": studio.pool, "workers": 2}
    found = await estimate_change("gallery", (400, 400, 60), **parts)
    said = found.estimate
    assert (said.images, len(said.samples), len(found.looks)) == (4, 4, 3)
    assert said.samples[0].size_now == OLD
    assert said.samples[0].size_after == (400, 300)
    assert 0 < said.bytes_least <= said.bytes_after <= said.bytes_most < said.bytes_now
    assert said.saved == said.bytes_now - said.bytes_after
    assert said.seconds_each
    real = await database.fetch_value("SELECT sum((renditions #>> '{items,gallery,bytes}')::bigint)::bigint FROM image")
    assert said.bytes_now == real
    assert await everything() == before  # nothing changes
    printed = (await estimate_change("print", (500, 500, 85), **parts)).estimate
    assert (printed.samples[0].size_now[0] >= 1000, printed.samples[0].size_after[0]) == (True, 500)
    assert 0 < printed.bytes_after < printed.bytes_now


async def everything() -> list[str]:
    rows = await database.fetch(
        "SELECT image::text AS said FROM image UNION ALL SELECT preset_change::text FROM preset_change"
    )
    return sorted(row["said"] for row in rows)


async def test_an_empty_portal_has_nothing_to_make_anew(studio: Studio) -> None:
    found = await estimate_change("gallery", (400, 400, 60), store=studio.store, pool=studio.pool, workers=2)
    assert (found.estimate.images, found.estimate.bytes_after, found.estimate.minutes) == (0, 0, None)
