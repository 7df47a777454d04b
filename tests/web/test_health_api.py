"""Health over the API, on its pages and for load balancers: who may see it, what it says when things break, what it costs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import httpx
import pytest
from litestar import Litestar
from prometheus_client.parser import text_string_to_metric_families

from portal import database
from portal.environment import CHECKOUT
from portal.maintenance.health.verdict import Health
from portal.storage.disk import Disk
from portal.storage.store import MARKER, Store
from tests.factories import Studio, make_entity
from tests.receiving import Receiver, receiving
from tests.web.whole_app import caller, working_app

HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
async def running(pool: None, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data"), PORTAL_ALERT_WEBHOOK=receiver.url) as app:
        yield app


@pytest.fixture
async def app(running: Litestar, db: None) -> AsyncIterator[Litestar]:
    """Nobody has looked yet."""
    running.state.health = Health(running.state.settings, running.state.parts.store)
    running.state.alarms = lambda: running.state.health.alarms
    running.state.is_ready, running.state.readiness = True, None
    yield running
    (running.state.parts.store.root / MARKER).touch()


def unmount(app: Litestar) -> None:
    (app.state.parts.store.root / MARKER).unlink()


# -- the API -----------------------------------------------------------------------------------------------------------


async def test_it_tells_each_check_and_what_to_do_worst_first(app: Litestar):
    viewer = await caller(app, "viewer")
    answer = await viewer.get("/api/images/health")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    well = answer.json()
    assert (well["status"], well["recommendations"]) == ("ok", [])
    database_check = next(check for check in well["checks"] if check["name"] == "database")
    assert database_check["severity"] == "ok"
    assert database_check["unit"] == "ms"
    assert database_check["since"].endswith("Z")
    unmount(app)
    app.state.health = Health(app.state.settings, app.state.parts.store)
    ill = (await viewer.get("/api/images/health")).json()
    assert ill["status"] == "critical"
    first = ill["checks"][0]
    assert (first["name"], first["severity"]) == ("storage", "critical")
    assert ill["recommendations"][0] == first["recommendation"]
    assert first["recommendation"]["words"].startswith("Mount the disk.")


def test_every_button_leads_somewhere(app: Litestar):
    checks = (CHECKOUT / "portal" / "maintenance" / "health").glob("*.py")
    routes = {name for path in checks for name in re.findall(r'"(\w+:\w+)"', path.read_text("utf-8"))}
    assert {"maintenance:show", "maintenance:jobs", "maintenance:check"} <= routes
    assert all(app.route_reverse(name) for name in routes)


async def test_a_button_that_does_it_is_an_admins_and_a_plain_form(app: Litestar):
    """A scrub that does not come: the button starts a full check."""
    studio = Studio(app.state.parts.store, app.state.parts.pool)
    await studio.add(await make_entity(), ready=False)
    await database.execute("UPDATE image SET created_at = now() - interval '4 days'")
    admin, viewer = await caller(app, "admin"), await caller(app, "viewer")
    page = (await admin.get("/maintenance/health", headers=HTML)).text
    assert "Check all now" in page
    assert 'id="do-scrub"' in page
    assert 'id="do-scrub"' not in (await viewer.get("/maintenance/health", headers=HTML)).text
    advice = (await admin.get("/api/images/health")).json()["recommendations"]
    scrub = next(each for each in advice if each["check"] == "scrub")
    assert (scrub["url"], scrub["method"], scrub["fields"]) == ("/maintenance/findings/check", "post", {"how": "full"})
    assert (await admin.post(scrub["url"], data=scrub["fields"])).status_code == 303
    assert await database.fetch_value("SELECT kind FROM job") == "check"


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("viewer", 200), ("editor", 200), ("admin", 200)])
async def test_staff_may_see_it_and_nobody_else(app: Litestar, role: str | None, status: int):
    client = await caller(app, role)
    assert (await client.get("/api/images/health")).status_code == status
    for path in ("/maintenance/health", "/maintenance/health/checks", "/maintenance/health/panel"):
        assert (await client.get(path)).status_code == (status if role else 303)  # to sign in


class Counting(Disk):
    def __init__(self) -> None:
        self.written = 0
        self.fsync = self._count  # type: ignore[method-assign] - a door of ours

    def _count(self, file: int) -> None:
        self.written += 1
        os.fsync(file)


async def test_many_who_ask_cost_one_look(app: Litestar):
    disk = Counting()
    app.state.health = Health(app.state.settings, Store(app.state.parts.store.root, disk))
    viewer = await caller(app, "viewer")
    answers = await asyncio.gather(*(viewer.get("/api/images/health") for _ in range(20)))
    assert {answer.json()["looked_at"] for answer in answers} == {answers[0].json()["looked_at"]}
    assert disk.written == 1


# -- for load balancers ------------------------------------------------------------------------------------------------


async def test_ready_says_no_while_the_disk_or_the_database_is_away_and_names_neither(app: Litestar):
    visitor = await caller(app, None)
    assert (await visitor.get("/health/ready")).json() == {"status": "ok"}
    unmount(app)
    app.state.readiness = None
    away = await visitor.get("/health/ready")
    assert (away.status_code, away.json()) == (503, {"status": "unavailable"})
    assert away.headers["retry-after"] == "1"
    (app.state.parts.store.root / MARKER).touch()
    app.state.readiness = None
    pool, database.DB.pool = database.DB.pool, None
    try:
        away = await visitor.get("/health/ready")
    finally:
        database.DB.pool = pool
    assert (away.status_code, away.json()) == (503, {"status": "unavailable"})
    assert (await visitor.get("/health/live")).status_code == 200


async def test_ready_asks_once_a_second_however_many_ask(app: Litestar):
    visitor = await caller(app, None)
    assert (await visitor.get("/health/ready")).status_code == 200
    asked_at = app.state.readiness._known
    answers = await asyncio.gather(*(visitor.get("/health/ready") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    app.state.readiness._known = (float("inf"), False)  # what is known is what is said
    assert (await visitor.get("/health/ready")).status_code == 503
    assert asked_at[1] is True


# -- pages -------------------------------------------------------------------------------------------------------------


async def test_the_page_says_all_is_well_or_what_is_wrong_and_what_to_do(app: Litestar):
    viewer = await caller(app, "viewer")
    page = (await viewer.get("/maintenance/health", headers=HTML)).text
    assert "All is well" in page
    assert "Looked at today" in page
    assert "Needs you" not in page
    assert "Send a test" not in page  # that is an admin's
    unmount(app)
    app.state.health = Health(app.state.settings, app.state.parts.store)
    for path in ("/maintenance/health", "/maintenance/health/checks"):
        page = (await viewer.get(path, headers=HTML)).text
        assert "1 critical" in page
        assert "The disk for pictures is not mounted." in page
        assert "Mount the disk." in page
        assert "Critical since today" in page
    fragment = (await viewer.get("/maintenance/health/panel", headers=HTML)).text
    assert fragment.startswith("<section") or fragment.strip().startswith("<section")
    assert "1 critical" in fragment
    assert 'id="health-panel"' in (await viewer.get("/maintenance", headers=HTML)).text


async def test_admins_see_it_on_every_page_without_a_look_being_made_for_it(app: Litestar):
    admin, editor = await caller(app, "admin"), await caller(app, "editor")
    unmount(app)
    assert 'id="alarms"' not in (await admin.get("/", headers=HTML)).text  # nobody has looked
    await app.state.health.verdict()
    (app.state.parts.store.root / MARKER).touch()
    for path in ("/", "/trash", "/search?q=mug", "/no/such/page"):
        page = (await admin.get(path, headers=HTML)).text
        assert 'id="alarms"' in page
        assert "The disk for pictures is not mounted." in page
    assert 'id="alarms"' not in (await editor.get("/", headers=HTML)).text
    app.state.health._looked_at = float("-inf")
    await app.state.health.verdict()
    assert 'id="alarms"' not in (await admin.get("/", headers=HTML)).text


async def test_an_admin_sends_a_test_and_hears_whether_it_was_taken(app: Litestar, receiver: Receiver):
    admin, editor = await caller(app, "admin"), await caller(app, "editor")
    receiver.asked.clear()
    assert "Send a test" in (await admin.get("/maintenance/health", headers=HTML)).text
    assert (await editor.post("/maintenance/health/test-alert")).status_code == 403
    assert receiver.asked == []
    answer = await admin.post("/maintenance/health/test-alert")
    assert (answer.status_code, answer.headers["location"]) == (303, "/maintenance/health")
    assert receiver.asked[0]["status"] == "test"
    receiver.status = 410
    said = await admin.post("/maintenance/health/test-alert", headers={"hx-request": "true"})
    receiver.status = 200
    assert "The test was not taken: it answered 410." in said.text
    assert receiver.url not in said.text  # it may hold a secret
    lines = await database.fetch("SELECT actor, action FROM audit WHERE action = 'alert.test'")
    assert [dict(line) for line in lines] == [{"actor": "token:admin", "action": "alert.test"}] * 2


# -- programs ----------------------------------------------------------------------------------------------------------


async def test_prometheus_reads_the_last_look_and_makes_none(app: Litestar):
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 4711))  # type: ignore[arg-type] - an ASGI app
    async with httpx.AsyncClient(transport=transport, base_url=app.state.settings.base_url) as client:

        async def gauges() -> dict[str, float]:
            families = text_string_to_metric_families((await client.get("/metrics")).text)
            return {
                sample.labels["check"]: sample.value
                for family in families
                for sample in family.samples
                if sample.name == "portal_health"
            }

        assert await gauges() == {}
        unmount(app)
        await app.state.health.verdict()
        found = await gauges()
    assert (found["database"], found["storage"]) == (0, 2)
    assert "backup" not in found  # not yet


def command(app: Litestar, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {"PORTAL_DATA_DIR": str(app.state.settings.data_dir), "PORTAL_DATABASE_URL": url}
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    done = [sys.executable, "-m", "portal", "health", *words]
    return subprocess.run(done, cwd=CHECKOUT, env=outside | environ, capture_output=True, text=True, timeout=120)


async def test_the_command_says_a_line_a_check_and_ends_with_1_when_something_is_critical(
    app: Litestar, database_arguments: dict[str, object]
):
    arguments = database_arguments
    here = f"postgresql://{arguments.get('user')}@/{arguments.get('database')}?host={quote(str(arguments.get('host')), safe='')}"
    url = str(arguments.get("dsn") or here)
    well, away = await asyncio.gather(
        asyncio.to_thread(command, app, url, "--json"),
        asyncio.to_thread(command, app, "postgresql://portal:hunter2@127.0.0.1:1/portal"),
    )
    assert well.returncode == 0, well.stdout + well.stderr
    assert json.loads(well.stdout)["status"] == "ok"
    assert away.returncode == 1
    lines = away.stdout.splitlines()
    assert lines[0].startswith("critical Database: PostgreSQL does not answer.")
    assert any(line.startswith("ok       Storage: Written, read back") for line in lines)
    assert "hunter2" not in away.stdout + away.stderr
