"""While a restore writes: what people are shown, what is refused and how, what goes on; and that it ends by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from litestar import Litestar

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.jobs.alone import RESTORE, alone
from portal.jobs.progress import start_job
from portal.jobs.standstill import find_standstill, standing_still
from tests.factories import Studio, make_entity
from tests.standing import BACKUP
from tests.web.whole_app import caller, render, working_app

ANA = Actor("user:ana@example.com", "admin")
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
def studio(app: Litestar, db: None) -> Studio:
    return Studio(app.state.parts.store, app.state.parts.pool)


@asynccontextmanager
async def standing(app: Litestar) -> AsyncIterator[None]:
    """As a restore has it; the app without its lifespan is told to look."""
    async with alone(RESTORE), standing_still(actor=ANA, backup_id=BACKUP):
        await app.state.standstill.look()
        yield
    await app.state.standstill.look()


async def running_restore() -> str:
    job = await start_job("restore", {"backup_id": BACKUP}, actor=ANA)
    progress = {"done": 1200, "total": 4218, "unit": "pictures", "per_second": 8.0, "seconds_left": 377}
    await database.execute(
        "UPDATE job SET state = 'running', started_at = now(), progress = $2::jsonb WHERE id = $1",
        job,
        json.dumps(progress),
    )
    return str(job)


async def test_every_page_says_at_its_own_address_that_the_portal_is_being_restored(app: Litestar, db: None):
    await running_restore()
    async with await caller(app, "viewer") as viewer:
        async with standing(app):
            answer = await viewer.get("/trash?cursor=", headers=HTML)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "10"
            assert answer.headers["cache-control"] == "no-store"
            assert "The portal is being restored" in answer.text
            assert "1,200 of 4,218 pictures" in answer.text
            assert "about 7 min left" in answer.text
            assert "Follow the restore" not in answer.text
            part = await viewer.get("/standstill", headers=HTML)
            assert part.status_code == 200
            assert "1,200 of 4,218 pictures" in part.text
        assert (await viewer.get("/trash", headers=HTML)).status_code == 200
        assert (await viewer.get("/standstill", headers=HTML)).headers["hx-refresh"] == "true"


async def test_strangers_see_no_progress_and_are_led_to_the_sign_in(app: Litestar, db: None):
    await running_restore()
    async with await caller(app, None) as stranger, standing(app):
        assert (await stranger.get("/trash", headers=HTML)).headers["location"] == "/login?next=%2Ftrash"
        assert (await stranger.get("/login", headers=HTML)).status_code == 200
        assert (await stranger.post("/api/entities/import")).status_code == 401
        part = (await stranger.get("/standstill", headers=HTML)).text
        assert "Since today" in part
        assert "4,218" not in part


async def test_what_would_change_is_refused_in_words_and_with_a_time_to_come_back(app: Litestar, db: None):
    async with await caller(app, "admin") as admin:
        async with standing(app):
            told = await admin.put("/api/entities/companies/acme", json={"name": "Acme"})
            assert (told.status_code, told.headers["retry-after"]) == (503, "10")
            assert told.json()["code"] == "restoring"
            assert "Nothing is lost" in told.json()["detail"]
            upload = await admin.post(
                "/api/images/upload", files={"file": ("a.jpg", b"x")}, headers={"idempotency-key": "k"}
            )
            assert upload.status_code == 503
            notice = await admin.get("/trash", headers={**HTML, "hx-request": "true"})
            assert notice.status_code == 503
            assert 'class="notice bad"' in notice.text
            assert "<html" not in notice.text
        assert (await admin.put("/api/entities/companies/acme", json={"name": "Acme"})).status_code == 201


async def test_pictures_frames_and_scripts_that_read_go_on(app: Litestar, studio: Studio):
    image = await studio.add(await make_entity("inventory_items", "mug"))
    await render(app, str(image))
    async with await caller(app, "viewer") as script, await caller(app, None) as visitor, standing(app):
        assert (await visitor.get(f"/api/images/serve/{image}?size=medium")).status_code == 200
        assert (await visitor.get("/embed/inventory_items/mug", headers=HTML)).status_code == 200
        assert (await visitor.get("/cards/inventory_items/mug", headers=HTML)).status_code == 200
        assert (await visitor.get("/qr/inventory_items/mug.svg")).status_code == 200
        assert (await visitor.get("/health/live")).status_code == 200
        assert (await visitor.get("/health/ready")).status_code != 404
        assert (await script.get(f"/api/images/{image}")).status_code == 200


async def test_admins_follow_the_restore_and_may_cancel_it_and_nothing_else(app: Litestar, db: None):
    job, other = await running_restore(), await start_job("check", {}, actor=ANA)
    async with await caller(app, "admin") as admin, await caller(app, "viewer") as viewer, standing(app):
        page = await admin.get("/trash", headers=HTML)
        assert "Follow the restore" in page.text
        for path in ("/maintenance/jobs", "/maintenance/health"):
            assert (await admin.get(path, headers=HTML)).status_code == 200
            assert (await viewer.get(path, headers=HTML)).status_code == 503
        assert (await admin.post(f"/api/jobs/{other}/cancel")).status_code == 503
        assert (await admin.post(f"/api/jobs/{job}/cancel")).status_code == 200


@pytest.mark.usefixtures("db")
async def test_a_row_that_a_killed_restore_left_keeps_nobody_out():
    row = json.dumps({"since": "2026-11-23T05:50:12+00:00", "by": SYSTEM.name, "backup": BACKUP})
    await database.execute("INSERT INTO portal_state (name, value) VALUES ('restore', $1::jsonb)", row)
    assert await find_standstill() is None
    async with alone(RESTORE):
        assert await find_standstill() is not None


@pytest.mark.usefixtures("db")
async def test_a_restore_that_fails_ends_its_standstill():
    with pytest.raises(ZeroDivisionError):
        async with alone(RESTORE), standing_still(actor=ANA, backup_id=BACKUP):
            assert (await find_standstill()) is not None
            raise ZeroDivisionError
    assert await database.fetch_value("SELECT count(*) FROM portal_state WHERE name = 'restore'") == 0
