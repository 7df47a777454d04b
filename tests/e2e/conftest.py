"""A real portal, a real browser. In a pytest call of its own: `pytest tests/e2e` (its synchronous browser and tests that
are coroutines do not live in one session)."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, StorageState, expect, sync_playwright

from tests.e2e.host import OtherSite
from tests.e2e.pages import PASSWORD, SignIn, choose_password
from tests.e2e.server import CHECKOUT, RunningPortal
from tests.e2e.waits import PATIENCE_MS, PREFER
from tests.e2e.watch import Watch

HERE = Path(__file__).resolve().parent
RESULTS = CHECKOUT / "test-results"
ARGUMENTS = [
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# What tests know of a page that people need not: which of htmx's requests are under way. While `window.isLookedAt`, it renews
# nothing by itself. And what is said for eight seconds is said for thirty: a busy machine looks later than a person.
INSIGHT = """{
  const underWay = (window.underWay = new Set());
  const on = (name, act) => document.addEventListener(name, act, true);
  on("htmx:before:request", (event) => {
    if (window.isLookedAt && event.target.matches?.("[hx-trigger^=every]")) event.preventDefault();
    else underWay.add(event.detail.ctx);
  });
  on("htmx:finally:request", (event) => underWay.delete(event.detail.ctx));
  const later = window.setTimeout;
  window.setTimeout = (act, ms, ...more) => later(act, ms === 8000 ? 30000 : ms, ...more);
}"""
SECONDS = 900  # a test may take, its own portal's start included
ADMIN_SECONDS = 300  # of the 15 minutes for which a password is fresh; the rest is for the test


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only when asked for by name."""
    asked = [Path(config.invocation_params.dir, word.split("::")[0]).resolve() for word in config.args]
    return None if any(path == HERE or HERE in path.parents for path in asked) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """So that a fixture's end knows whether the test failed."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def portal() -> Iterator[RunningPortal]:
    """One portal for all that need none of their own; its admin is made from the settings."""
    running = RunningPortal(PORTAL_ADMIN_EMAIL="admin@shop.example", PORTAL_ADMIN_PASSWORD=PASSWORD)
    try:
        yield running.start()
    finally:
        running.remove()


@pytest.fixture
def fresh_portal() -> Iterator[RunningPortal]:
    """Nobody has an account yet."""
    running = RunningPortal()
    try:
        yield running.start()
    finally:
        running.remove()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


def launching() -> dict[str, Any]:
    """How a browser is started: PORTAL_TEST_BROWSER, or what the PATH offers, or Playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("PORTAL_TEST_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": found, "args": [*ARGUMENTS, *sandbox]}


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    started = playwright.chromium.launch(**launching())
    yield started
    started.close()


@pytest.fixture
def other_site() -> Iterator[OtherSite]:
    site = OtherSite()
    yield site
    site.close()


@dataclass
class Visits:
    """Opens browser contexts, and watches all of them until the test ends."""

    browser: Browser
    origins: set[str]
    states: Callable[[str], StorageState]
    opened: list[tuple[BrowserContext, Watch]] = field(default_factory=list)

    def __call__(self, role: str | None = None, **options: Any) -> Page:
        """A page of a new context, signed in as admin, editor or viewer, or as nobody."""
        if role is not None:
            options["storage_state"] = self.states(role)
        options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"} | options
        context = self.browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(INSIGHT)
        context.tracing.start(snapshots=True)
        self.opened.append((context, Watch(context, self.origins)))
        return context.new_page()

    def become(self, page: Page, role: str) -> None:
        """In the same browser somebody else signs in."""
        page.context.clear_cookies()
        page.context.add_cookies([{**cookie} for cookie in self.states(role)["cookies"]])  # type: ignore[typeddict-item] - the same keys

    def watch_of(self, page: Page) -> Watch:
        return next(watch for context, watch in self.opened if context == page.context)


@pytest.fixture
def visit(
    request: pytest.FixtureRequest, browser: Browser, states: Callable[[str], StorageState], origins: set[str]
) -> Iterator[Visits]:
    visits = Visits(browser, origins, states)
    yield visits
    if not request.node.stash.get(FAILED, False):
        for _, watch in visits.opened:
            watch.wait()
    went_wrong = request.node.stash.get(FAILED, False) or any(watch.seen for _, watch in visits.opened)
    for number, (context, _) in enumerate(visits.opened):
        trace = RESULTS / f"{request.node.name}-{number}.zip"
        context.tracing.stop(path=trace) if went_wrong else context.tracing.stop()
        context.close()
    if not request.node.stash.get(FAILED, False):
        for _, watch in visits.opened:
            watch.check()


@pytest.fixture
def origins(request: pytest.FixtureRequest) -> set[str]:
    """What a page of this test may ask: the portals and the other site that the test has."""
    found: set[str] = set()
    if "fresh_portal" in request.fixturenames:
        found.add(request.getfixturevalue("fresh_portal").url)
    if "portal" in request.fixturenames:
        found.add(request.getfixturevalue("portal").url)
    if "other_site" in request.fixturenames:
        site: OtherSite = request.getfixturevalue("other_site")
        found |= {site.origin, site.same_site_origin}
    return found


@pytest.fixture(scope="session")
def states(request: pytest.FixtureRequest, browser: Browser) -> Callable[[str], StorageState]:
    """Each role signs in once, its cookies serve all tests; an admin again before pages ask for the password once more."""
    kept: dict[str, StorageState] = {}
    ends: dict[str, float] = {}

    def state_of(role: str) -> StorageState:
        if time.monotonic() > ends.get(role, 0):
            running: RunningPortal = request.getfixturevalue("portal")
            context = browser.new_context()
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            if role == "admin":
                SignIn(page, running.url).open().sign_in("admin@shop.example", PASSWORD)
            else:
                link = running.run("user", "create", f"{role}@shop.example", "--role", role, "--name", f"The {role}")
                choose_password(page, link)
            page.wait_for_url(f"{running.url}/")
            kept[role] = context.storage_state()
            ends[role] = time.monotonic() + ADMIN_SECONDS if role == "admin" else math.inf
            context.close()
        return kept[role]

    return state_of


def new_id() -> str:
    """For an entity that no other test knows."""
    return f"E-{uuid4().hex[:8]}"


class Api:
    """The portal's API with a token of its own, as a shop's script has one."""

    def __init__(self, running: RunningPortal, token: str | None = None) -> None:
        token = token or running.run("token", "create", "e2e", "--role", "editor")
        self.client = httpx.Client(
            base_url=running.url, headers={"Authorization": f"Bearer {token}"}, timeout=120, trust_env=False
        )

    def put_entity(self, type: str, id: str, name: str, **fields: Any) -> dict[str, Any]:
        answer = self.client.put(f"/api/entities/{type}/{id}", json={"name": name, **fields})
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def add_picture(self, type: str, id: str, filename: str, data: bytes, **fields: str) -> str:
        """The id of the picture, once it is ready."""
        form = {"entity_type": type, "entity_id": id} | fields
        answer = self.client.post("/api/images/upload", data=form, files={"file": (filename, data)}, headers=PREFER)
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == "ready"
        return answer.json()["id"]

    def issue_key(self, type: str, id: str, *parents: str) -> dict[str, Any]:
        answer = self.client.post("/api/embeds", json={"scope": {"type": type, "id": id}, "parents": list(parents)})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def gallery(self, type: str, id: str) -> list[dict[str, Any]]:
        answer = self.client.get(f"/api/images/entity/{type}/{id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["images"]


@pytest.fixture(scope="session")
def api(portal: RunningPortal) -> Iterator[Api]:
    made = Api(portal)
    yield made
    made.client.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, whose version and source stand in the manifest beside it."""
    folder = HERE / "vendor"
    manifest = json.loads((folder / "manifest.json").read_text())
    source = (folder / manifest["file"]).read_bytes()
    assert hashlib.sha256(source).hexdigest() == manifest["sha256"]
    return source.decode()
