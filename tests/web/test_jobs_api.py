"""Jobs and cleanup over the API: who may start one, where it is followed, what it tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.maintenance.cleanup import CLEANUP
from tests.web.whole_app import caller, working_app

FIELDS = {"id", "kind", "state", "progress", "result", "error", "created_at", "finished_at"}
CLEAN = "/api/images/cleanup"


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_GRACE_MINUTES="0") as app:
        yield app


@pytest.fixture
async def viewer(db: None, app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "viewer")


@pytest.fixture
async def admin(db: None, app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "admin")


async def work(app: Litestar, job_id: str) -> None:
    """What the worker would do."""
    await app.state.parts.tasks()[CLEANUP].run({"job": job_id})


async def test_a_job_is_queued_and_followed_to_its_end(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient, app: Litestar
) -> None:
    answer = await admin.post(CLEAN)
    job = answer.json()
    assert answer.status_code == 202
    assert set(job) == FIELDS
    assert (job["kind"], job["state"], job["finished_at"]) == ("cleanup", "queued", None)
    assert answer.headers["location"] == f"/api/jobs/{job['id']}"
    assert UUID(job["id"]).version == 7
    await work(app, job["id"])
    found = (await viewer.get(answer.headers["location"])).json()
    assert (found["state"], found["error"], found["result"]["dry_run"]) == ("succeeded", None, True)
    assert found["finished_at"].endswith("Z")


async def test_waiting_gives_the_finished_job(admin: httpx.AsyncClient, app: Litestar) -> None:
    async def work_soon() -> None:
        while not (row := await database.fetch_row("SELECT id FROM job")):  # noqa: ASYNC110 - a row is waited for
            await asyncio.sleep(0.02)
        await work(app, str(row["id"]))

    waited, _ = await asyncio.gather(admin.post(CLEAN, json={}, headers={"prefer": "wait=20"}), work_soon())
    assert (waited.status_code, waited.json()["state"]) == (200, "succeeded")
    assert "location" not in waited.headers


async def test_nothing_is_removed_unless_it_is_asked_for(admin: httpx.AsyncClient, app: Litestar) -> None:
    leftover = app.state.parts.store.root / "temp" / "left.part"
    leftover.write_bytes(b"left")
    for sent, is_there in (({}, True), ({"dry_run": True}, True), ({"dry_run": False}, False)):
        job = (await admin.post(CLEAN, json=sent)).json()
        await work(app, job["id"])
        result = (await admin.get(f"/api/jobs/{job['id']}")).json()["result"]
        assert (result["temp_files"], result["bytes"]) == (1, 4)
        assert leftover.exists() == is_there


@pytest.mark.parametrize(("sent", "field"), [({"dry_run": "no"}, "dry_run"), ({"dryrun": False}, "dryrun")])
async def test_a_wrong_wish_starts_nothing(admin: httpx.AsyncClient, sent: dict[str, object], field: str) -> None:
    answer = await admin.post(CLEAN, json=sent)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (await admin.post(CLEAN, content=b"[")).status_code == 400
    assert (await admin.get("/api/jobs")).json() == {"jobs": [], "total": 0, "next": None}


async def test_jobs_are_listed_newest_first_and_page_by_page(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    ids = [(await admin.post(CLEAN)).json()["id"] for _ in range(3)]
    first = (await viewer.get("/api/jobs?limit=2")).json()
    second = (await viewer.get("/api/jobs", params={"limit": 2, "cursor": first["next"]})).json()
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert (first["total"], second["total"], second["next"]) == (3, 3, None)
    for query in ("limit=0", "limit=201", "cursor=x"):
        assert (await viewer.get(f"/api/jobs?{query}")).status_code == 422


async def test_a_failed_job_says_why(viewer: httpx.AsyncClient, admin: httpx.AsyncClient, app: Litestar) -> None:
    job = (await admin.post(CLEAN)).json()
    marker = app.state.parts.store.root / ".portal-root"
    content = marker.read_bytes()
    marker.unlink()
    try:
        with pytest.raises(Exception, match="mounted"):
            await work(app, job["id"])
    finally:
        marker.write_bytes(content)
    give_up = app.state.parts.tasks()[CLEANUP].give_up
    await give_up({"job": job["id"]}, "It was tried three times.")
    found = (await viewer.get(f"/api/jobs/{job['id']}")).json()
    assert (found["state"], found["result"]) == ("failed", None)
    assert found["error"] == {"code": "failed", "message": "It was tried three times."}


async def test_a_second_cleanup_is_told_since_when_the_first_one_runs(admin: httpx.AsyncClient, app: Litestar) -> None:
    async with database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock(7310003)")
        answer = await admin.post(CLEAN)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "since" in answer.json()["detail"]
    assert (await admin.post(CLEAN)).status_code == 202


@pytest.mark.parametrize("id", ["x", "01a2045c-5b79-77ff-a2b3-5b23aa9ba423"])
async def test_an_unknown_job_is_not_found(viewer: httpx.AsyncClient, id: str) -> None:
    answer = await viewer.get(f"/api/jobs/{id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_only_an_admin_cleans_up(viewer: httpx.AsyncClient, app: Litestar) -> None:
    for role, status in ((None, 401), ("viewer", 403), ("editor", 403)):
        client = await caller(app, role)
        assert (await client.post(CLEAN, content=json.dumps({}))).status_code == status
    assert (await (await caller(app, None)).get("/api/jobs")).status_code == 401
