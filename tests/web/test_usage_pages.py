"""What was served, as people and scripts are told: the API, the page about use and a picture's own line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.media.usage import Usage
from portal.tables import TABLES
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, whole_app, working_app

STATISTICS = "/api/images/statistics"
LISTS = "/api/images/usage"


@pytest.fixture(scope="module")
async def running(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def app(running: Litestar, db: None) -> AsyncIterator[Litestar]:
    """Nothing counted, nothing remembered."""
    yield running
    await running.state.usage.flush()
    running.state.figures.forget()


@pytest.fixture
def studio(app: Litestar) -> Studio:
    return Studio(app.state.parts.store, app.state.parts.pool)


@pytest.fixture
async def viewer(app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "viewer")


def url(image_id: UUID, size: str = "card", **query: str) -> str:
    return str(httpx.URL(f"/api/images/serve/{image_id}", params={"size": size} | query))


async def use(image_id: UUID, preset: str, served: int, weight: int, days: int = 0) -> None:
    """Somebody else's process served this so many days ago."""
    usage = Usage()
    await database.execute(
        "INSERT INTO image_usage (image, preset, day, served, bytes) VALUES ($1, $2, $3, $4, $5)",
        *(image_id, preset, today() - timedelta(days=days), served, served * weight),
    )
    await usage.flush()


async def serve_days(days: int, *presets: str) -> None:
    """Counted for so many days until today, now and then in these sizes."""
    for preset in presets:
        for each in (0, days):
            day = today() - timedelta(days=each)
            await database.execute(
                "INSERT INTO served_day (day, preset, format, hits, bytes) VALUES ($1, $2, 'jpeg', 1, 10)", day, preset
            )


async def make_older(image_id: UUID, days: int) -> None:
    await database.execute(
        "UPDATE image SET created_at = now() - make_interval(days => $2) WHERE id = $1", image_id, days
    )


def today() -> Any:
    return datetime.now(UTC).date()


async def said(client: httpx.AsyncClient, path: str = STATISTICS) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_is_read_is_a_miss_and_what_memory_holds_or_the_asker_knows_is_a_hit(
    app: Litestar, studio: Studio, viewer: httpx.AsyncClient
):
    image_id = await studio.add(await make_entity())
    assert (await said(viewer))["cache"]["ratio"] is None  # nothing was served
    first = await viewer.get(url(image_id))
    size = len(first.content)
    cache = (await said(viewer))["cache"]
    assert (cache["hits"], cache["misses"], cache["ratio"], cache["bytes"]) == (0, 1, 0.0, size)
    await viewer.get(url(image_id))
    assert (await viewer.get(url(image_id), headers={"if-none-match": first.headers["etag"]})).status_code == 304
    part = await viewer.get(url(image_id), headers={"range": "bytes=0-9"})
    assert part.status_code == 206
    cache = (await said(viewer))["cache"]
    assert (cache["hits"], cache["misses"], cache["ratio"], cache["bytes"]) == (3, 1, 0.75, 2 * size + 10)
    assert cache["by_size"]["card"] == cache["today"]
    assert cache["by_format"]["jpeg"]["served"] == 4


async def test_heads_and_refusals_are_not_counted(app: Litestar, studio: Studio, viewer: httpx.AsyncClient):
    image_id = await studio.add(await make_entity())
    await viewer.head(url(image_id))
    for refused in (url(image_id, "huge"), url(image_id, v="9.9")):
        assert (await viewer.get(refused)).status_code == 404
    assert (await viewer.get(url(image_id), headers={"range": "bytes=99999999-"})).status_code == 416
    assert (await viewer.get(url(image_id), headers={"if-match": '"another"'})).status_code == 412
    visitor = await caller(app, None)
    assert (await visitor.get(url(image_id, "original"))).status_code == 404
    cache = (await said(viewer))["cache"]
    assert (cache["hits"], cache["misses"], cache["bytes"]) == (0, 0, 0)


async def test_originals_and_prints_are_counted_as_sizes(app: Litestar, studio: Studio, viewer: httpx.AsyncClient):
    image_id = await studio.add(await make_entity(), samples.jpeg(640, 480))
    for size in ("original", "print", "print"):
        assert (await viewer.get(url(image_id, size))).status_code == 200
    sizes = (await said(viewer))["cache"]["by_size"]
    assert (sizes["original"]["served"], sizes["original"]["misses"]) == (1, 1)
    assert (sizes["print"]["hits"], sizes["print"]["misses"]) == (1, 1)


async def test_the_jpeg_that_stands_in_for_a_format_not_made_yet_is_a_miss(
    app: Litestar, studio: Studio, viewer: httpx.AsyncClient
):
    image_id = await studio.add(await make_entity())
    await viewer.get(url(image_id))
    await viewer.get(url(image_id), headers={"accept": "image/webp"})
    formats = (await said(viewer))["cache"]["by_format"]
    assert (formats["jpeg"]["hits"], formats["jpeg"]["misses"]) == (0, 2)


async def test_what_other_processes_served_is_counted_with_what_this_one_did(
    app: Litestar, studio: Studio, viewer: httpx.AsyncClient, tmp_path: Path
):
    image_id = await studio.add(await make_entity())
    other = await whole_app(tmp_path)
    other.state.usage.count(image_id, "card", b"image/jpeg", 100, True)
    await viewer.get(url(image_id))
    assert (await said(viewer))["cache"]["hits"] == 0  # not written down by that one
    await other.state.usage.flush()
    for _ in range(2):
        cache = (await said(viewer))["cache"]
        assert (cache["hits"], cache["misses"]) == (1, 1)
        await app.state.usage.flush()
    assert (await said(viewer, f"/api/images/{image_id}/usage"))["served"] == 2


async def test_statistics_say_what_is_stored(app: Litestar, studio: Studio, viewer: httpx.AsyncClient):
    item, invoice = await make_entity(), await make_entity("invoices", "RE-1")
    noisy, plain = samples.jpeg(1200, 900), samples.jpeg(64, 48)
    large = await studio.add(item, noisy)
    small = await studio.add(item, plain)
    await studio.add(invoice, samples.png(50, 40), filename="a.png", ready=False)
    trashed = await studio.add(item, samples.jpeg(70, 50))
    await database.execute("UPDATE image SET trashed_at = now(), sort_order = NULL WHERE id = $1", trashed)
    found = await said(viewer)
    assert found["images"]["count"] == 3
    assert found["by_entity_type"]["inventory_items"] == {"count": 2, "bytes": len(noisy) + len(plain)}
    assert found["by_entity_type"]["invoices"]["count"] == 1
    assert found["by_entity_type"]["customers"] == {"count": 0, "bytes": 0}
    counts = {status: each["count"] for status, each in found["by_status"].items()}
    assert counts == {"pending": 1, "processing": 0, "ready": 2, "failed": 0}
    assert found["trash"]["count"] == 1
    pictures = [await said(viewer, f"/api/images/{each}") for each in (large, small)]
    for name in ("icon", "optimized"):
        weights = [picture["renditions"][name]["bytes"] for picture in pictures]
        assert found["by_rendition"][name] == {"count": 2, "bytes": sum(weights)}
    saved = {
        picture["id"]: round(100 - 100 * picture["renditions"]["optimized"]["bytes"] / picture["bytes"], 1)
        for picture in pictures
    }
    compression = found["compression"]
    assert compression["original_bytes"] == len(noisy) + len(plain)
    assert compression["optimized_bytes"] == found["by_rendition"]["optimized"]["bytes"]
    for extreme, pick in (("best", max), ("worst", min)):
        image_id = pick(saved, key=lambda each: saved[each])
        assert compression[extreme]["image_id"] == image_id
        assert compression[extreme]["saved_percent"] == pytest.approx(saved[image_id], abs=0.1)
    assert found["queue"]["waiting"] >= 1
    assert set(found["queue"]) == {"waiting", "active", "failed"}


async def test_an_empty_portal_has_statistics_too(viewer: httpx.AsyncClient):
    found = await said(viewer)
    assert found["images"] == {"count": 0, "bytes": 0}
    assert found["compression"]["saved_percent"] is None
    assert found["compression"]["best"] is None
    assert (found["cache"]["hits"], found["cache"]["ratio"]) == (0, None)


async def test_the_lists_name_what_nobody_sees_what_weighs_too_much_and_unasked_sizes(
    app: Litestar, studio: Studio, viewer: httpx.AsyncClient
):
    ref = await make_entity()
    quiet, shown, young, hot = [await studio.add(ref, samples.jpeg(900 + each, 700)) for each in range(4)]
    for each in (quiet, shown, hot):
        await make_older(each, 91)
    await make_older(young, 89)
    await serve_days(90, "card", "optimized", "gallery")
    await use(quiet, "card", 5, 100, days=91)
    await use(quiet, "icon", 5, 100)  # in a list such as this one
    await use(shown, "card", 1, 100, days=90)
    await use(hot, "optimized", 5000, 40_000)
    await use(shown, "optimized", 99, 10_000_000)  # heavy, and not hot
    report = await said(viewer, LISTS)
    assert (report["known_from"], report["never_shown"]["total"]) == (None, 1)
    assert [image["id"] for image in report["never_shown"]["images"]] == [str(quiet)]
    (heavy,) = report["heavy"]["pictures"]
    assert (heavy["image"]["id"], heavy["served"]) == (str(hot), 5000)
    assert (heavy["size"], heavy["instead"]) == ("optimized", "gallery")
    renditions = heavy["image"]["renditions"]
    share = 1 - renditions["gallery"]["bytes"] / renditions["optimized"]["bytes"]
    assert heavy["saved"] == pytest.approx(5000 * 40_000 * share, rel=0.01)
    assert [each["size"] for each in report["unasked"]] == ["icon", "small", "medium", "large", "print"]
    assert len(report["days"]) == 30
    page = (await viewer.get("/maintenance/usage")).text
    for words in (
        "Never shown in 90 days",
        f"/images/{quiet}",
        "as gallery",
        f"/images/{hot}",
        "Sizes nobody asks for",
    ):
        assert words in page


async def test_before_90_days_are_counted_nothing_is_called_never_shown(
    app: Litestar, studio: Studio, viewer: httpx.AsyncClient
):
    await make_older(await studio.add(await make_entity()), 200)
    report = await said(viewer, LISTS)
    assert (report["counted_since"], report["never_shown"]["total"], report["unasked"]) == (None, 0, [])
    await serve_days(89, "card")
    app.state.figures.forget()
    report = await said(viewer, LISTS)
    assert report["known_from"] == (today() + timedelta(days=1)).isoformat()
    assert report["never_shown"]["total"] == 0
    assert "can be told from" in (await viewer.get("/maintenance/usage")).text


async def test_long_lists_say_how_many_more(app: Litestar, studio: Studio, viewer: httpx.AsyncClient):
    ref = await make_entity()
    first = await studio.add(ref)
    await database.execute(
        """INSERT INTO image (id, entity, filename, media_type, extension, bytes, width, height, sha256, status, sort_order,
                              created_at)
           SELECT gen_random_uuid(), entity, 'x.jpg', 'image/jpeg', 'jpg', 10, 4, 3, md5(n::text), 'ready', n,
                  now() - interval '1 year'
           FROM image, generate_series(1, 24) AS n WHERE id = $1""",
        first,
    )
    await serve_days(100, "card")
    report = await said(viewer, LISTS)
    assert (report["never_shown"]["total"], len(report["never_shown"]["images"])) == (24, 20)
    assert "and 4 more" in (await viewer.get("/maintenance/usage")).text


async def test_a_pictures_page_asks_for_its_own_usage(app: Litestar, studio: Studio, viewer: httpx.AsyncClient):
    image_id = await studio.add(await make_entity())
    line = f"/images/{image_id}/usage"
    assert f'hx-get="{line}"' in (await viewer.get(f"/images/{image_id}")).text
    assert "Not yet" in (await viewer.get(line)).text
    await use(image_id, "card", 1204, 100)
    await use(image_id, "icon", 3, 100, days=3)
    words = (await viewer.get(line)).text
    for each in ("1,207 times", "in 30 days", "mostly card", "last today"):
        assert each in words
    usage = await said(viewer, f"/api{line}")
    assert (usage["served"], usage["days"], usage["last"]) == (1207, 30, today().isoformat())
    assert usage["by_size"] == {"card": {"served": 1204, "bytes": 120_400}, "icon": {"served": 3, "bytes": 300}}
    nobody = UUID(int=7)
    for path in (f"/images/{nobody}/usage", f"/api/images/{nobody}/usage", "/api/images/x/usage"):
        assert (await viewer.get(path)).status_code == 404


async def test_strangers_learn_nothing_of_use(app: Litestar):
    visitor = await caller(app, None)
    for path in (STATISTICS, LISTS, f"/api/images/{UUID(int=7)}/usage"):
        assert (await visitor.get(path)).status_code == 401
    assert (await visitor.get("/maintenance/usage")).status_code in (303, 401)


async def test_nothing_of_who_asked_is_kept(app: Litestar, studio: Studio):
    image_id = await studio.add(await make_entity())
    transport = httpx.ASGITransport(app=app, client=("203.0.113.77", 4711))  # type: ignore[arg-type] - an ASGI app
    headers = {"user-agent": "Tell-Tale/1.0", "referer": "https://shop.example/secret-page"}
    async with httpx.AsyncClient(transport=transport, base_url=app.state.settings.base_url, headers=headers) as client:
        answer = await client.get(url(image_id))
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)
    await app.state.usage.flush()
    assert await database.fetch_value("SELECT count(*) FROM image_usage") == 1
    for table in TABLES:
        rows = str([dict(row) for row in await database.fetch(f"SELECT * FROM {table._meta.tablename}")])
        for told in ("203.0.113.77", "Tell-Tale", "secret-page"):
            assert told not in rows, table._meta.tablename
