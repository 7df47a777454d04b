"""A request's id goes with the jobs that it asked for: into their log and their audit, whenever they run."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from litestar import Litestar
from structlog.testing import LogCapture

from portal import database
from portal.jobs.queue import Task, enqueue
from portal.jobs.worker import Worker
from tests import samples
from tests.factories import make_entity
from tests.waiting import eventually
from tests.web.whole_app import caller, working_app

Lines = list[Any]


@pytest.fixture(scope="module")
async def running(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def app(running: Litestar, db: None) -> Litestar:
    return running


@pytest.fixture
def lines() -> AsyncIterator[Lines] | Any:
    """What the log says, with what is bound to it."""
    before, capture = structlog.get_config(), LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture], cache_logger_on_first_use=False)
    yield capture.entries
    structlog.configure(**before)


@contextlib.asynccontextmanager
async def working(tasks: dict[str, Task]) -> AsyncIterator[None]:
    worker = Worker(tasks, at_once=2)
    worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def upload(app: Litestar) -> tuple[str, str]:
    """The new picture's id, and the request's."""
    entity = await make_entity()
    editor = await caller(app, "editor")
    answer = await editor.post(
        "/api/images/upload",
        data={"entity_type": entity.type, "entity_id": entity.id},
        files={"file": ("a.jpg", samples.jpeg())},
        headers={"X-Request-Id": "chosen-by-a-stranger"},
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], answer.headers["x-request-id"]


async def test_one_id_leads_from_an_upload_to_why_it_could_not_be_rendered(app: Litestar, lines: Lines):
    image_id, request_id = await upload(app)
    assert request_id != "chosen-by-a-stranger"
    (original,) = app.state.parts.store.root.rglob(f"*{image_id}*")
    original.write_bytes(b"no picture any more")
    async with working(app.state.parts.tasks()):
        await eventually(lambda: database.fetch_value("SELECT status = 'failed' FROM image"))
        await eventually(lambda: any(line["event"] == "job ends" for line in lines))
    mine = [line for line in lines if line.get("request_id") == request_id]
    (why,) = [line for line in mine if line["event"] == "a picture cannot be rendered"]
    assert (why["image"], why["kind"], why["code"]) == (image_id, "render", "not_an_image")
    (end,) = [line for line in mine if line["event"] == "job ends"]
    assert (end["kind"], end["outcome"], end["image"]) == ("render", "done", image_id)
    assert end["seconds"] >= 0
    assert await database.fetch_value("SELECT request_id FROM audit WHERE action = 'image.add'") == request_id


async def test_what_a_followed_job_does_stands_in_the_audit_under_the_request_that_asked_for_it(app: Litestar):
    leftover = app.state.parts.store.root / "temp" / "left-over.part"
    leftover.parent.mkdir(exist_ok=True)
    leftover.write_bytes(b"of an upload that was cut off")
    os.utime(leftover, (0, 0))
    admin = await caller(app, "admin")
    answer = await admin.post("/api/images/cleanup", json={"dry_run": False}, headers={"prefer": "wait=0"})
    assert answer.status_code == 202, answer.text
    request_id = answer.headers["x-request-id"]
    async with working(app.state.parts.tasks()):
        await eventually(lambda: database.fetch_value("SELECT state = 'succeeded' FROM job"))
    assert await database.fetch_value("SELECT request_id FROM job") == request_id
    done = await database.fetch("SELECT request_id FROM audit WHERE action = 'maintenance.cleanup'")
    assert [row["request_id"] for row in done] == [request_id]


async def test_what_a_job_asks_for_belongs_to_the_same_request_and_a_failure_is_told_with_it(
    app: Litestar, lines: Lines
):
    async def begin(payload: dict[str, Any]) -> None:
        async with database.transaction():
            await enqueue("second", {})

    async def fail(payload: dict[str, Any]) -> None:
        raise RuntimeError("a defect of ours")

    async with database.transaction():
        await enqueue("first", {})
    await database.execute("UPDATE pgqueuer SET headers = $1::jsonb", json.dumps({"request_id": "4bf92f3577b34da6"}))
    async with working({"first": Task(begin), "second": Task(fail)}):
        await eventually(lambda: any(line.get("kind") == "second" and line["event"] == "job ends" for line in lines))
    ends = {line["kind"]: line for line in lines if line["event"] == "job ends"}
    assert ends["first"]["request_id"] == ends["second"]["request_id"] == "4bf92f3577b34da6"
    assert (ends["first"]["outcome"], ends["second"]["outcome"]) == ("done", "RetryRequested")


async def test_a_request_that_takes_long_is_told_with_its_route_and_nothing_that_was_asked_for(
    app: Litestar, lines: Lines, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("portal.web.timing.SLOW_SECONDS", -1.0)
    viewer = await caller(app, "viewer")
    answer = await viewer.get("/entities/customers/C-SECRET")
    (slow,) = [line for line in lines if line["event"] == "slow request"]
    assert (slow["route"], slow["status"]) == ("GET /entities/{type}/{id}", answer.status_code)
    assert slow["request_id"] == answer.headers["x-request-id"]
    assert "C-SECRET" not in str(slow)
