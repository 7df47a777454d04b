"""Checks and findings over the API: who may start which, and what is told of what was found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from tests.web.whole_app import caller, whole_app

CHECK = "/api/images/check"
FINDINGS = "/api/images/findings"
FIELDS = {
    *("id", "kind", "key", "image_id", "entity_type", "detail", "evidence", "repair", "state", "outcome"),
    *("found_at", "checked_at", "ended_at"),
}


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    app = await whole_app(tmp_path_factory.mktemp("data"), PORTAL_GRACE_MINUTES="0")
    yield app
    await app.state.parts.pool.close()


async def work(app: Litestar, answer: httpx.Response) -> None:
    """What the worker would do."""
    job = answer.json()
    assert answer.status_code == 202, answer.text
    await app.state.parts.tasks()[job["kind"]].run({"job": job["id"]})


async def test_a_full_check_is_a_job_whose_findings_anybody_may_read(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient, app: Litestar
) -> None:
    store, key = app.state.parts.store, f"invoices/{uuid4()}.txt"
    await store.put(key, b"whose?")
    answer = await admin.post(CHECK, json={"kind": "full"})
    assert (answer.json()["kind"], answer.headers["location"]) == ("check", f"/api/jobs/{answer.json()['id']}")
    await work(app, answer)
    result = (await viewer.get(answer.headers["location"])).json()["result"]
    assert (result["findings"], result["new"], result["is_mounted"]) == (1, 1, True)
    listed = (await viewer.get(FINDINGS, params={"state": "open"})).json()
    (found,) = listed["findings"]
    assert (listed["total"], listed["next"]) == (1, None)
    assert set(found) == FIELDS
    assert (found["kind"], found["key"], found["repair"]) == ("orphaned_object", key, "quarantine")
    assert found["evidence"]["found"]["bytes"] == 6
    assert found["found_at"].endswith("Z")
    assert (await viewer.get(f"{FINDINGS}/{found['id']}")).json() == found
    await store.delete([key])
    await work(app, await admin.post(CHECK, json={"kind": "recheck"}))
    assert (await viewer.get(f"{FINDINGS}/{found['id']}")).json()["state"] == "gone"
    assert (await viewer.get(FINDINGS, params={"state": "open"})).json()["findings"] == []


async def test_findings_come_in_pages_newest_first(viewer: httpx.AsyncClient) -> None:
    await database.execute(
        """INSERT INTO finding (id, kind, key, detail, repair)
           SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'orphaned_object', 'invoices/' || n, '',
                  'quarantine'
           FROM generate_series(1, 5) AS n"""
    )
    first = (await viewer.get(FINDINGS, params={"limit": "3"})).json()
    assert [each["key"] for each in first["findings"]] == ["invoices/5", "invoices/4", "invoices/3"]
    second = (await viewer.get(FINDINGS, params={"limit": "3", "cursor": first["next"]})).json()
    assert [each["key"] for each in second["findings"]] == ["invoices/2", "invoices/1"]
    assert (first["total"], second["next"]) == (5, None)
    assert (await viewer.get(FINDINGS, params={"kind": "no_primary"})).json()["findings"] == []


async def test_a_second_full_check_is_told_that_one_runs(admin: httpx.AsyncClient) -> None:
    async with alone(turns.CHECK):
        answer = await admin.post(CHECK, json={"kind": "full"})
        assert answer.status_code == 409
        assert "A full check is running since" in answer.json()["detail"]
        assert (await admin.post(CHECK, json={"kind": "recheck"})).status_code == 202


@pytest.mark.parametrize(
    "sent", [{}, {"kind": "scrub"}, {"kind": ["full"]}, {"kind": None}, {"kind": "full", "dry_run": True}]
)
async def test_what_is_no_check_is_told(admin: httpx.AsyncClient, sent: dict[str, object]) -> None:
    assert (await admin.post(CHECK, json=sent)).status_code == 422


async def test_a_bad_question_is_told(admin: httpx.AsyncClient) -> None:
    assert (await admin.post(CHECK, content=b"{")).status_code == 400
    for params in ({"state": "broken"}, {"kind": "x"}, {"cursor": "x"}, {"limit": "0"}):
        assert (await admin.get(FINDINGS, params=params)).status_code == 422
    assert (await admin.get(f"{FINDINGS}/{uuid4()}")).status_code == 404
    assert (await admin.get(f"{FINDINGS}/nothing")).status_code == 404


async def test_only_an_admin_starts_a_check_and_only_staff_sees_findings(
    viewer: httpx.AsyncClient, app: Litestar
) -> None:
    assert (await viewer.post(CHECK, json={"kind": "full"})).status_code == 403
    async with await caller(app, None) as visitor:
        assert (await visitor.get(FINDINGS)).status_code == 401
