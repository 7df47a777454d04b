"""What is stored, as people and scripts are told: the pages of storage and statistics, their tables, the clean-up's panel."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.jobs.alone import CLEANUP as TURN
from portal.jobs.alone import alone
from portal.maintenance.cleanup import CLEANUP
from portal.maintenance.statistics import today
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, working_app

STATISTICS = "/api/images/statistics"


@pytest.fixture(scope="module")
async def running(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_GRACE_MINUTES="0") as app:
        yield app


@pytest.fixture
async def app(running: Litestar, db: None) -> AsyncIterator[Litestar]:
    yield running
    running.state.figures.forget()


@pytest.fixture
def studio(app: Litestar) -> Studio:
    return Studio(app.state.parts.store, app.state.parts.pool)


@pytest.fixture
async def viewer(app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "viewer")


@pytest.fixture
async def admin(app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "admin")


async def remember(days: int, per_day: int = 10**8) -> None:
    """Notes of so many days until today, growing."""
    await database.execute(
        """INSERT INTO stored_day (day, part, pieces, bytes)
           SELECT $1::date - n, part, 1, CASE part WHEN 'disk_total' THEN 10::bigint ^ 11
                  WHEN 'disk_free' THEN 4 * 10::bigint ^ 10 + n * $3::bigint
                  ELSE 10::bigint ^ 10 - n * $3::bigint END
           FROM generate_series(0, $2::int - 1) AS n, unnest($4::text[]) AS part""",
        today(),
        days,
        per_day,
        ["originals", "disk_free", "disk_total"],
    )


async def test_figures_are_of_this_moment_and_old_members_stay(studio: Studio, viewer: httpx.AsyncClient) -> None:
    image_id = await studio.add(await make_entity("invoices"), samples.jpeg(400, 300))
    await database.execute("UPDATE image SET created_at = '2026-02-28 23:30:00-02' WHERE id = $1", image_id)
    found = (await viewer.get(STATISTICS)).json()
    assert found["by_month"] == {"2026-03": found["images"]}
    assert found["growth"]["days_until_full"] is None
    assert found["disk"]["free"] <= found["disk"]["total"]
    assert set(found) >= {"images", "by_entity_type", "by_status", "by_rendition", "trash", "old_versions"}
    assert set(found) >= {"compression", "cache", "queue", "quarantine"}
    await studio.add(await make_entity("invoices"), ready=False)
    assert (await viewer.get(STATISTICS)).json()["images"]["count"] == 2


async def test_the_page_of_statistics_links_what_shrank_the_most_and_the_least(
    studio: Studio, viewer: httpx.AsyncClient
) -> None:
    assert "No picture has its large size yet." in (await viewer.get("/maintenance/statistics")).text
    ref = await make_entity()
    images = [await studio.add(ref, samples.jpeg(200 + 40 * at, 150)) for at in range(2)]
    page = (await viewer.get("/maintenance/statistics")).text
    for image_id in images:
        assert f"/images/{image_id}" in page
    assert "two weeks" in page
    assert "<style" not in page
    await remember(40)
    assert "Full in about" in (await viewer.get("/maintenance/statistics")).text


@pytest.mark.parametrize("table", ["types", "statuses", "renditions", "months", "days"])
async def test_every_table_can_be_downloaded(studio: Studio, viewer: httpx.AsyncClient, table: str) -> None:
    await studio.add(await make_entity("companies"))
    await remember(3)
    answer = await viewer.get(f"/maintenance/statistics/{table}.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    head, *rows = csv.reader(io.StringIO(answer.text.lstrip("\ufeff")))
    assert len(rows) >= 1
    assert {len(row) for row in rows} == {len(head)}
    if table == "days":
        assert (rows[-1][0], rows[-1][head.index("originals bytes")]) == (today().isoformat(), str(10**10))
        assert rows[-1][head.index("cache bytes")] == ""


async def test_there_is_no_other_table(viewer: httpx.AsyncClient) -> None:
    assert (await viewer.get("/maintenance/statistics/accounts.csv")).status_code == 404
    assert (await viewer.get("/maintenance/statistics/types")).status_code == 404


async def test_twelve_weeks_are_drawn_and_told(studio: Studio, viewer: httpx.AsyncClient) -> None:
    first = (await viewer.get("/maintenance")).text
    assert "Nothing is stored yet" in first
    assert 'id="storage-chart-title"' not in first, "nothing is no chart"
    await remember(50)
    await database.execute(
        "DELETE FROM stored_day WHERE day < $1 AND day > $2", today() - timedelta(days=6), today() - timedelta(days=14)
    )
    page = (await viewer.get("/maintenance")).text
    assert page.count('<td class="dim" colspan="5">not noted</td>') == 5  # four before the notes, and the gap
    for words in ('<title id="storage-chart-title">', "<desc id=", "All weeks as a table", "Originals <b>"):
        assert words in page


async def _work(app: Litestar) -> None:
    job = await database.fetch_value("SELECT id FROM job WHERE state = 'queued' ORDER BY id DESC LIMIT 1")
    await app.state.parts.tasks()[CLEANUP].run({"job": str(job)})


async def test_what_can_go_is_looked_at_first_and_then_freed_by_name(
    app: Litestar, admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    left = app.state.parts.store.root / "temp" / "left.part"
    left.write_bytes(b"x" * 2000)
    assert "look first" in (await admin.get("/maintenance/cleanup")).text
    posted = await admin.post("/maintenance/cleanup/look", headers={"hx-request": "true"})
    assert 'hx-trigger="every 2s"' in posted.text
    await _work(app)
    panel = (await admin.get("/maintenance/cleanup")).text
    assert 'Uploads never finished<small class="dim num">1 file</small><b>2\N{NO-BREAK SPACE}kB</b>' in panel
    assert "Uploads never finished: 1 file, 2\N{NO-BREAK SPACE}kB." in panel  # in the question, too
    assert "every 2s" not in panel
    assert left.exists()
    seen = (await viewer.get("/maintenance/cleanup")).text
    assert "<form" not in seen
    assert (await viewer.post("/maintenance/cleanup")).status_code == 403
    answer = await admin.post("/maintenance/cleanup")
    assert (answer.status_code, answer.headers["location"]) == (303, "/maintenance#cleanup")
    await _work(app)
    assert not left.exists()
    assert "freed" in (await admin.get("/maintenance/cleanup")).text


async def test_while_one_runs_the_panel_says_since_when_and_no_other_begins(admin: httpx.AsyncClient) -> None:
    async with alone(TURN):
        assert "A cleanup is running since" in (await admin.get("/maintenance/cleanup")).text
        refused = await admin.post("/maintenance/cleanup/look")
    assert refused.status_code == 409
    assert await database.fetch_value("SELECT count(*) FROM job") == 0


async def test_a_run_that_came_to_nothing_says_why(admin: httpx.AsyncClient) -> None:
    await database.execute(
        """INSERT INTO job (id, kind, state, error, actor, finished_at)
           VALUES ($1, 'cleanup', 'failed', '{"code": "conflict", "message": "The clock went on."}', 'system', now())""",
        UUID(int=1),
    )
    assert "The clock went on." in (await admin.get("/maintenance/cleanup")).text
