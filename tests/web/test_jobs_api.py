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
from tests import samples
from tests.factories import make_entity
from tests.web.whole_app import caller, working_app

FIELDS = {"id", "kind", "state", "progress", "result", "error", "created_at", "finished_at"} | {
    "attempts",
    "retry_of",
    "started_at",
}
CLEAN = "/api/images/cleanup"
RERENDER = "/api/images/rerender"


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_GRACE_MINUTES="0") as app:
        yield app


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
        assert (result["temp_files"], result["temp_bytes"]) == (1, 4)
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
    assert found["error"]["code"] == "failed"
    assert found["error"]["message"].startswith("It was tried three times. The folder for pictures is not mounted")


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


async def test_jobs_are_found_by_state_and_kind(admin: httpx.AsyncClient, viewer: httpx.AsyncClient, app: Litestar):
    first, second = [(await admin.post(CLEAN)).json()["id"] for _ in range(2)]
    await admin.post(RERENDER, json={"which": "missing"})
    await work(app, first)

    async def found(query: str) -> list[str]:
        return [job["id"] for job in (await viewer.get(f"/api/jobs?{query}")).json()["jobs"]]

    assert await found("state=succeeded") == [first]
    assert await found("state=queued&kind=cleanup") == [second]
    assert len(await found("kind=rerender")) == 1
    assert await found("kind=nothing") == []
    assert len(await found("state=")) == 3
    assert (await viewer.get("/api/jobs?state=lost")).status_code == 422


async def test_a_job_is_ended_and_tried_again_over_the_api(admin: httpx.AsyncClient, app: Litestar):
    job_id = (await admin.post(CLEAN)).json()["id"]
    assert (await admin.post(f"/api/jobs/{job_id}/retry")).status_code == 409
    answer = await admin.post(f"/api/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert (await admin.post(f"/api/jobs/{job_id}/cancel")).status_code == 409
    await work(app, job_id)  # a worker that had it in hand already
    assert (await admin.get(f"/api/jobs/{job_id}")).json()["state"] == "cancelled"
    again = await admin.post(f"/api/jobs/{job_id}/retry")
    new = again.json()
    assert (again.status_code, new["state"], new["retry_of"]) == (202, "queued", job_id)
    assert again.headers["location"] == f"/api/jobs/{new['id']}"
    assert (await admin.post(f"/api/jobs/{job_id}/retry")).json()["id"] == new["id"]
    await work(app, new["id"])
    assert (await admin.post(f"/api/jobs/{new['id']}/cancel")).status_code == 409
    for verb in ("cancel", "retry"):
        for unknown in (UUID(int=7), "x"):
            assert (await admin.post(f"/api/jobs/{unknown}/{verb}")).status_code == 404


async def test_kinds_are_paused_and_resumed_over_the_api(admin: httpx.AsyncClient):
    said = (await admin.post("/api/jobs/pause", json={"kind": "render"})).json()
    assert [(each["kind"], each["paused_by"]) for each in said["paused"]] == [("render", "token:admin")]
    everything = (await admin.post("/api/jobs/pause", json={"kind": "all"})).json()["paused"]
    assert {"render", "purge", "cleanup", "rerender"} <= {each["kind"] for each in everything}
    assert (await admin.post("/api/jobs/resume", json={"kind": "all"})).json() == {"paused": []}
    for sent in ({}, {"kind": "nothing"}, {"kind": 7}, {"kind": "render", "why": "x"}):
        assert (await admin.post("/api/jobs/pause", json=sent)).status_code == 422


async def test_an_upload_while_rendering_is_paused_is_stored_and_waits(admin: httpx.AsyncClient):
    await admin.post("/api/jobs/pause", json={"kind": "render"})
    ref = await make_entity()
    answer = await admin.post(
        "/api/images/upload",
        data={"entity_type": ref.type, "entity_id": ref.id},
        files={"file": ("mug.jpg", samples.jpeg(64, 48))},
        headers={"prefer": "wait=1"},
    )
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'render'") == 1


async def test_pictures_are_made_again_over_the_api(admin: httpx.AsyncClient, app: Litestar):
    answer = await admin.post(RERENDER, json={"which": "all"})
    job = answer.json()
    assert (answer.status_code, job["kind"], job["state"]) == (202, "rerender", "queued")
    await app.state.parts.tasks()["rerender"].run({"job": job["id"]})
    done = (await admin.get(f"/api/jobs/{job['id']}")).json()
    assert (done["state"], done["result"]) == ("succeeded", {"pictures": 0, "failed": 0})
    for sent in (
        {},
        {"which": "some"},
        {"which": "selected"},
        {"which": "all", "x": 1},
        {"which": "selected", "ids": [1]},
    ):
        assert (await admin.post(RERENDER, json=sent)).status_code == 422
    for body in (b"", b"[]", b"["):
        assert (await admin.post(RERENDER, content=body)).status_code == 400


@pytest.mark.parametrize("path", ["/api/jobs/pause", "/api/jobs/resume", f"/api/jobs/{UUID(int=7)}/retry", RERENDER])
async def test_only_admins_act_on_jobs(app: Litestar, db: None, path: str):
    for role, status in ((None, 401), ("viewer", 403), ("editor", 403)):
        assert (await (await caller(app, role)).post(path, json={"kind": "render"})).status_code == status
