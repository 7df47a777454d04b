"""No GET changes anything: every address is read by everybody, and the database and the store stay as they are.

With one exception, named here: an invoice that a stranger first opens by its key is pinned to what it shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from portal import database
from portal.audit.actors import SYSTEM
from portal.embed.keys import Scope, issue_key
from portal.jobs.progress import start_job
from portal.storage.store import Store
from portal.tables import TABLES
from tests import samples
from tests.factories import make_entity
from tests.web.whole_app import caller, render, working_app

# What reading may write: when a token was last used, and how often an address tried a one-time link.
SELF_KEEPING = {"api_token", "throttle"}
ID = UUID(int=7)
STREAM_SECONDS = 3.0
DIGESTS = " UNION ALL ".join(
    f"SELECT '{name}' AS name, md5(string_agg(t::text, '' ORDER BY t::text)) AS digest FROM {name} AS t"
    for name in sorted({table._meta.tablename for table in TABLES} - SELF_KEEPING | {"pgqueuer"})
)


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        app.state.is_ready = True
        yield app


@pytest.fixture
async def names(db: None, app: Litestar) -> dict[str, str]:
    """Something real for every parameter of a path."""
    for kind in ("inventory_items", "customers", "invoices"):
        await make_entity(kind, "MUG")
    editor = await caller(app, "editor")
    form = {"entity_type": "invoices", "entity_id": "MUG"}
    image = (await editor.post("/api/images/upload", data=form, files={"file": ("a.jpg", samples.jpeg())})).json()["id"]
    await render(app, image)
    options: dict[str, Any] = {"presets": None, "parents": [], "expires_at": None, "captions": True}
    scope = Scope("inventory_items", "MUG")
    _, key = await issue_key(scope, **options, private_types=(), actor=SYSTEM)
    job = await start_job("cleanup", {}, actor=SYSTEM)
    return {"image": image, "key": key, "job": str(job), "token": "none"}


async def state(store: Store) -> dict[str, str]:
    """A digest of every table, of the queue, and of the store's names."""
    found = {row["name"]: row["digest"] for row in await database.fetch(DIGESTS)}
    names = sorted(f"{entry.key} {entry.bytes} {entry.modified_at}" for entry in store.walk())
    return found | {"store": hashlib.sha256("\n".join(names).encode()).hexdigest()}


def paths(app: Litestar, names: dict[str, str]) -> list[str]:
    """Every GET route with real names in it, lists also with their queries."""
    found = ["/api/images/serve/" + names["image"], f"/api/images/serve/{names['image']}?size=original&download=1"]
    for route in app.routes:
        if isinstance(route, HTTPRoute) and "GET" in route.methods and not route.path.startswith("/static"):
            for kind in ("invoices", "inventory_items") if "type" in route.path or "kind" in route.path else ("",):
                found.append(_filled(route.path, names, kind))
    return [*found, "/search?q=mug", "/api/search?q=mug", "/trash?cursor=x", "/login?next=/trash"]


def _filled(path: str, names: dict[str, str], kind: str) -> str:
    words = []
    for word in path.split("/"):
        name = word.strip("{}").partition(":")[0]
        if not word.startswith("{"):
            words.append(word)
        elif name in ("type", "kind"):
            words.append(kind)
        elif name == "file":
            words.append("MUG.svg")
        elif name == "id":
            words.append("MUG" if kind else names["job"] if "jobs" in path else names["image"])
        else:
            words.append(names.get(name, str(ID)))
    return "/".join(words)


@pytest.mark.parametrize("role", [None, "viewer", "admin"])
async def test_no_get_changes_anything(app: Litestar, names: dict[str, str], role: str | None) -> None:
    client = await caller(app, role)
    store = app.state.parts.store
    before = await state(store)
    statuses: set[int] = set()
    for path in paths(app, names):
        for method in ("GET", "HEAD"):
            with contextlib.suppress(TimeoutError):  # a stream has no end: it is left, as readers leave it
                async with asyncio.timeout(STREAM_SECONDS if path.endswith("/stream") else None):
                    answer = await client.request(method, path, headers={"accept": "text/html, application/json"})
                    assert answer.status_code < 500, (path, answer.text)
                    statuses.add(answer.status_code)
            assert await state(store) == before, path
    assert 200 in statuses
    assert statuses <= {200, 302, 303, 400, 401, 403, 404, 422}


@pytest.mark.parametrize("page", ["embed", "cards"])
async def test_the_first_opening_of_an_invoice_by_its_key_is_the_one_exception(
    app: Litestar, names: dict[str, str], page: str
) -> None:
    options: dict[str, Any] = {"presets": None, "parents": ["https://shop.example.com"], "expires_at": None}
    _, key = await issue_key(Scope("invoices", "MUG"), **options, captions=True, private_types=(), actor=SYSTEM)
    path, store = f"/{page}/k/{key}", app.state.parts.store
    visitor = await caller(app, None)
    staff = [await caller(app, role) for role in ("viewer", "editor", "admin")]
    before = await state(store)
    for each in staff:
        assert (await each.get(path)).status_code == 200
    assert (await visitor.head(path)).status_code == 200
    assert (await visitor.get(path, headers={"sec-purpose": "prefetch"})).status_code == 200
    assert await state(store) == before
    assert (await visitor.get(path)).status_code == 200
    after = await state(store)
    changed = {name for name, digest in after.items() if digest != before[name]}
    assert changed == {"audit", "audit_change", "invoice_pin", "pinned_picture"}
    assert (await visitor.get(path)).status_code == 200
    assert await state(store) == after


async def test_the_walk_would_see_a_change(app: Litestar, names: dict[str, str]) -> None:
    store = app.state.parts.store
    before = await state(store)
    editor: httpx.AsyncClient = await caller(app, "editor")
    await editor.put(f"/api/images/{names['image']}/metadata", json={"caption": "new"})
    changed = {name for name, digest in (await state(store)).items() if digest != before[name]}
    assert changed == {"audit", "audit_change", "image"}
    (store.root / "temp" / "left.part").write_bytes(b"left")
    assert (await state(store))["store"] != before["store"]
