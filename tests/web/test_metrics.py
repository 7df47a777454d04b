"""Metrics for Prometheus: who may read them, and what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from prometheus_client.parser import text_string_to_metric_families

from portal import database
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, whole_app, working_app

TOKEN = "a-metrics-token-of-more-than-32-characters"


@pytest.fixture(scope="module")
async def running(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture(scope="module")
async def guarded(pool: None, tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    """Another process of the portal, whose settings name a token."""
    return await whole_app(tmp_path_factory.mktemp("data"), PORTAL_METRICS_TOKEN=TOKEN)


@pytest.fixture
async def app(running: Litestar, guarded: Litestar, db: None) -> AsyncIterator[Litestar]:
    yield running
    for each in (running, guarded):
        await each.state.usage.flush()
        each.state.figures.forget()


async def ask(app: Litestar, address: str = "127.0.0.1", **headers: str | bytes) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, client=(address, 4711))  # type: ignore[arg-type] - an ASGI app
    async with httpx.AsyncClient(transport=transport, base_url=app.state.settings.base_url) as client:
        sent = [
            (name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers.items()
        ]
        return await client.get("/metrics", headers=sent)


async def values(app: Litestar) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, in the order of their names."""
    answer = await ask(app)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["cache-control"] == "no-store"
    families = text_string_to_metric_families(answer.text)
    samples = [each for family in families for each in family.samples]
    return {(each.name, *(each.labels[name] for name in sorted(each.labels))): each.value for each in samples}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
async def test_callers_on_this_machine_may_read_them(app: Litestar, guarded: Litestar, address: str):
    assert (await ask(app, address)).status_code == 200
    assert (await ask(guarded, address)).status_code == 200


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-proto", "via"])
async def test_behind_a_proxy_they_are_not_there_without_a_token(app: Litestar, guarded: Litestar, header: str):
    assert (await ask(app, **{header: "127.0.0.1"})).status_code == 404
    assert (await ask(guarded, **{header: "127.0.0.1"})).status_code == 401
    assert (await ask(guarded, **{header: "127.0.0.1"}, authorization=f"Bearer {TOKEN}")).status_code == 200


async def test_from_elsewhere_only_the_token_opens_them(app: Litestar, guarded: Litestar):
    assert (await ask(app, "203.0.113.7")).status_code == 404
    assert (await ask(app, "203.0.113.7", authorization=f"Bearer {TOKEN}")).status_code == 404
    refused = await ask(guarded, "203.0.113.7")
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    for wrong in (f"Bearer {TOKEN}x", "Bearer ", "Basic eDp5", f"Token {TOKEN}", b"Bearer \xfc"):
        answer = await ask(guarded, "203.0.113.7", authorization=wrong)
        assert answer.status_code == 401
    assert (await ask(guarded, "203.0.113.7", authorization=f"bearer {TOKEN}")).status_code == 200


async def test_a_wrong_token_is_refused_on_this_machine_too(app: Litestar, guarded: Litestar):
    assert (await ask(guarded, authorization="Bearer nonsense")).status_code == 401


async def test_every_process_tells_what_all_have_served(app: Litestar, guarded: Litestar):
    studio = Studio(app.state.parts.store, app.state.parts.pool)
    image_id = await studio.add(await make_entity())
    visitor, picture = await caller(app, None), b""
    for _ in range(3):
        picture = (await visitor.get(f"/api/images/serve/{image_id}?size=card")).content
    guarded.state.usage.count(image_id, "card", b"image/webp", 100, True)
    for each in (app, guarded):
        await each.state.usage.flush()
    for each in (app, guarded):
        found = await values(each)
        assert found["portal_served_requests_total", "jpeg", "card"] == 3
        assert found["portal_served_cache_hits_total", "jpeg", "card"] == 2
        assert found["portal_served_cache_misses_total", "jpeg", "card"] == 1
        assert found["portal_served_bytes_total", "jpeg", "card"] == 3 * len(picture)
        assert found["portal_served_requests_total", "webp", "card"] == 1
        assert found["portal_images", "ready"] == 1
        assert found["portal_images", "trash"] == 0


async def test_queue_uploads_decoders_and_the_process_itself_are_told(app: Litestar):
    studio = Studio(app.state.parts.store, app.state.parts.pool)
    await studio.add(await make_entity(), ready=False)
    found = await values(app)
    assert found["portal_database_up",] == 1
    assert (found["portal_jobs", "waiting"], found["portal_jobs", "active"], found["portal_jobs", "failed"]) == (
        1,
        0,
        0,
    )
    assert found["portal_images", "pending"] == 1
    assert found["portal_uploads_in_hand",] == 0
    assert (found["portal_decoders_busy", "render"], found["portal_decoders_limit", "render"]) == (0, 1)
    assert found["process_resident_memory_bytes",] > 1_000_000
    assert found["process_cpu_seconds_total",] > 0


async def test_without_a_database_the_process_still_tells_of_itself(app: Litestar):
    pool, database.DB.pool = database.DB.pool, None
    try:
        found = await values(app)
    finally:
        database.DB.pool = pool
    assert found["portal_database_up",] == 0
    assert found["process_resident_memory_bytes",] > 1_000_000
    assert not [name for name in found if name[0].startswith("portal_served")]
