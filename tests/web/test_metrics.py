"""Metrics for Prometheus: who may read them, and what they say."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from prometheus_client.parser import text_string_to_metric_families

from portal import database
from portal.environment import CHECKOUT
from portal.errors import Gone, Unavailable
from portal.histogram import Timings
from portal.maintenance.performance import forget_old_minutes, totals_by_stage
from portal.minutes import Minutes
from portal.storage.store import Store
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


_OF_PROXIES = (
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "x-forwarded-proto",
    "via",
    "cf-connecting-ip",
    "x-forwarded-port",
)


@pytest.mark.parametrize("header", _OF_PROXIES)
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


async def test_requests_are_counted_by_route_and_never_by_what_was_asked_for(app: Litestar):
    viewer, visitor = await caller(app, "viewer"), await caller(app, None)
    asked = [
        "/entities/customers/C-SECRET",
        "/api/images/0199aaaa-0000-7000-8000-00000000beef",
        "/no/such/SECRET?token=SECRET",
    ]
    for path in asked:
        await viewer.get(path)
    await visitor.request("BREW", "/pot/SECRET")
    text = (await ask(app)).text
    assert "SECRET" not in text
    assert "beef" not in text
    assert "BREW" not in text
    found = await values(app)
    assert found["portal_http_requests_total", "GET", "/entities/{type}/{id}", "4xx"] >= 1
    assert found["portal_http_requests_total", "GET", "none", "4xx"] >= 1
    assert found["portal_http_requests_total", "OTHER", "none", "4xx"] >= 1
    assert found["portal_errors_total", "not_found"] >= 2


async def test_pictures_on_the_short_way_are_counted_with_their_times(app: Litestar):
    studio = Studio(app.state.parts.store, app.state.parts.pool)
    image_id = await studio.add(await make_entity())
    visitor, label = await caller(app, None), ("GET", "/api/images/serve")
    before = await values(app)
    answers = [await visitor.get(f"/api/images/serve/{image_id}?size=card") for _ in range(3)]
    unchanged = {"if-none-match": answers[0].headers["etag"]}
    assert (await visitor.get(f"/api/images/serve/{image_id}?size=card", headers=unchanged)).status_code == 304
    assert (await visitor.get("/api/images/serve/0199aaaa-0000-7000-8000-000000000000")).status_code == 404
    after = await values(app)

    def gained(name: str, *labels: str) -> float:
        return after.get((name, *labels), 0) - before.get((name, *labels), 0)

    assert gained("portal_http_requests_total", *label, "2xx") == 3
    assert gained("portal_http_requests_total", *label, "3xx") == 1
    assert gained("portal_http_requests_total", *label, "4xx") == 1
    assert gained("portal_http_request_duration_seconds_count", *label) == 5
    assert gained("portal_http_request_duration_seconds_bucket", "+Inf", *label) == 5


async def test_what_a_picture_costs_is_told_by_stage_whichever_process_rendered_it(app: Litestar, guarded: Litestar):
    studio = Studio(app.state.parts.store, app.state.parts.pool)
    await studio.add(await make_entity())
    await Minutes(app.state.parts.timings).flush()
    for each in (app, guarded):
        found = await values(each)
        counts = [
            found["portal_stage_duration_seconds_count", stage] for stage in ("render", "decode", "resize", "encode")
        ]
        assert min(counts) == max(counts) >= 1
        parts = sum(found["portal_stage_duration_seconds_sum", stage] for stage in ("decode", "resize", "encode"))
        assert found["portal_stage_duration_seconds_sum", "render"] == pytest.approx(parts)
        assert found["portal_stage_duration_seconds_sum", "decode"] > 0
        assert found["portal_stage_duration_seconds_count", "verify"] >= 1
        assert found["portal_storage_operation_duration_seconds_count", "write"] >= 1
        assert found["portal_storage_errors_total", "write"] == 0


async def test_a_store_that_fails_is_counted_and_a_missing_object_is_not_its_failure(tmp_path: Path):
    store = Store(tmp_path / "store")
    await store.open_root()
    with pytest.raises(Gone):
        await store.read("inventory_items/00/missing.jpg")
    (store.root / "inventory_items").write_text("a file where a folder should be")
    with pytest.raises(Unavailable):
        await store.put("inventory_items/00/a.jpg", b"bytes")
    assert (store.timings["store read"].count, store.timings["store read"].errors) == (1, 0)
    assert (store.timings["store write"].count, store.timings["store write"].errors) == (1, 1)


async def test_counters_of_stages_never_fall_when_old_minutes_go(app: Litestar):
    timings = Timings()
    timings["stage render"].add(0.2)
    timings["GET /"].add(0.01)
    for days in (3, 4):
        await Minutes(timings).flush()
        await database.execute(
            "UPDATE request_minute SET minute = now() - $1::interval WHERE minute > now() - interval '1 day'",
            timedelta(days=days),
        )
    await Minutes(timings).flush()
    before = await totals_by_stage()
    assert await forget_old_minutes(dry_run=True) == 4
    assert await forget_old_minutes(dry_run=False) == 4
    await Minutes(timings).flush()
    assert await forget_old_minutes(dry_run=False) == 0
    (render,) = (await totals_by_stage()).values()
    assert (before["stage render"].count, render.count, round(render.seconds, 3)) == (3, 4, 0.8)
    assert await database.fetch_value("SELECT count(*) FROM request_minute") == 5


async def test_a_minute_said_twice_is_said_once(app: Litestar):
    timings = Timings()
    minutes = Minutes(timings)
    timings["GET /"].add(0.01)
    await minutes.flush()
    timings["GET /"].add(0.02, 503)
    await minutes.flush()
    await minutes.flush()
    row = await database.fetch_row("SELECT sum(requests) AS requests, sum(errors) AS errors FROM request_minute")
    assert row
    assert (row["requests"], row["errors"]) == (2, 1)


async def test_each_kind_of_job_is_told_with_how_long_its_oldest_waits(app: Litestar):
    studio = Studio(app.state.parts.store, app.state.parts.pool)
    await studio.add(await make_entity(), ready=False)
    await database.execute("UPDATE pgqueuer SET created = now() - interval '5 minutes'")
    found = await values(app)
    assert found["portal_queue_jobs", "render", "waiting"] == 1
    assert 300 <= found["portal_queue_oldest_seconds", "render"] < 400
    assert found["portal_queue_jobs", "cleanup", "waiting"] == found["portal_queue_oldest_seconds", "cleanup"] == 0


async def test_names_units_and_helps_follow_prometheus_conventions(app: Litestar):
    families = list(text_string_to_metric_families((await ask(app)).text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.documentation, family.name
        assert not re.search(r"_(ms|minutes|hours|kb|mb|percent)$", family.name)
        for sample in family.samples:
            assert (family.type == "counter") == sample.name.endswith("_total"), sample.name


async def test_dashboard_and_alerts_ask_only_for_metrics_that_there_are(app: Litestar):
    studio = Studio(app.state.parts.store, app.state.parts.pool)
    await studio.add(await make_entity())
    await Minutes(app.state.parts.timings).flush()
    families = list(text_string_to_metric_families((await ask(app)).text))
    known = {sample.name for family in families for sample in family.samples} | {family.name for family in families}
    parts = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    known |= {f"{family.name}{part}" for family in families for part in parts.get(family.type, ())}
    # those that are told only once there is something to tell
    known |= {"portal_health", "portal_disk_days_until_full", "portal_schedule_last_success_timestamp_seconds"}
    dashboard = json.loads((CHECKOUT / "docs" / "grafana-dashboard.json").read_text("utf-8"))
    rules = (CHECKOUT / "docs" / "alerts.yml").read_text("utf-8")
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [line for line in rules.splitlines() if "portal_" in line]
    names = set(re.findall(r"\b(?:portal|process)_[a-z_]+", " ".join(asked)))
    assert len(names) > 25
    assert names - known == set()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
