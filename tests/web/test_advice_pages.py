"""Advice and sizes over HTTP: pages, tables, the API, and who may change what."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.gallery.presets import changes_in_force
from portal.gallery.renditions import render_all
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, working_app

PAGES = "/maintenance/presets"
API = "/api/presets"
WISH = {"width": "640", "height": "480", "quality": "70"}


@pytest.fixture(scope="module")
async def running(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
def app(running: Litestar, db: None) -> Litestar:
    return running


@pytest.fixture
def studio(app: Litestar) -> Studio:
    return Studio(app.state.parts.store, app.state.parts.pool)


@pytest.fixture
async def admin(app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "admin")


@pytest.fixture
async def viewer(app: Litestar) -> httpx.AsyncClient:
    return await caller(app, "viewer")


async def test_the_page_of_advice_tells_of_each_list_and_leads_to_the_whole(
    studio: Studio, viewer: httpx.AsyncClient
) -> None:
    here, there = await make_entity(name="=HYPERLINK(1)"), await make_entity(name="There")
    data = samples.noisy(1500, 1000, quality=98)
    for ref in (here, there):
        await studio.add(ref, data, filename="fine.jpg")
    await studio.add(there, samples.jpeg(300, 200), filename="small.jpg")
    page = await viewer.get("/maintenance/advice")
    assert page.status_code == 200
    for words in ("saved less finely", "25 × 17 mm", "to win", "small.jpg"):
        assert words in page.text
    for name in ("originals", "print", "duplicates", "lookalikes", "alt-text"):
        listed = await viewer.get(f"/maintenance/advice/{name}")
        assert listed.status_code == 200
        table = await viewer.get(f"/maintenance/advice/{name}/csv")
        assert table.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
        rows = list(csv.reader(io.StringIO(table.content.decode("utf-8-sig"))))
        assert not any(cell.startswith("=") for row in rows for cell in row)
    assert (await viewer.get("/maintenance/advice/others")).status_code == 404
    assert (await viewer.get("/maintenance/advice/print", params={"cursor": "x"})).status_code == 422
    assert (await viewer.get("/maintenance/advice/print/csv")).status_code == 200


async def test_the_api_gives_all_lists_or_one_page_by_page(studio: Studio, viewer: httpx.AsyncClient) -> None:
    ref = await make_entity()
    for _ in range(3):
        await studio.add(ref)
    report = (await viewer.get("/api/images/advice")).json()
    assert set(report) == {"originals", "print", "duplicates", "lookalikes", "alt_text"}
    assert (report["print"]["about"]["total"], report["alt_text"]["first"][0]["missing"]) == (3, 3)
    first = (await viewer.get("/api/images/advice", params={"list": "print", "limit": "2"})).json()
    assert (len(first["items"]), first["total"]) == (2, 3)
    rest = await viewer.get("/api/images/advice", params={"list": "print", "limit": "2", "cursor": first["next"]})
    assert (len(rest.json()["items"]), rest.json()["next"]) == (1, None)
    assert (await viewer.get("/api/images/advice", params={"list": "none"})).status_code == 422


async def test_a_change_is_estimated_first_then_decided_and_reset_over_the_api(
    studio: Studio, admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    await studio.add(await make_entity(), samples.noisy(1000, 750))
    listed = {each["name"]: each for each in (await viewer.get(API)).json()["presets"]}
    assert listed["gallery"]["in_force"] == listed["gallery"]["default"] == {"width": 800, "height": 600, "quality": 82}
    tried = await admin.post(f"{API}/gallery", json={"width": 640, "height": 480})
    assert (tried.status_code, tried.json()["images"], tried.json()["after"]["quality"]) == (200, 1, 82)
    assert await changes_in_force() == {}
    begun = await admin.post(f"{API}/gallery", json={"width": 640, "height": 480, "dry_run": False})
    assert (begun.status_code, begun.headers["location"]) == (202, f"/api/jobs/{begun.json()['id']}")
    assert await changes_in_force() == {"gallery": (640, 480, 82)}
    listed = {each["name"]: each for each in (await viewer.get(API)).json()["presets"]}
    assert (listed["gallery"]["state"], listed["gallery"]["job"]) == ("rolling", begun.json()["id"])
    assert (await admin.delete(f"{API}/gallery")).status_code == 409
    assert (await admin.post(f"{API}/gallery/cancel")).status_code == 204
    assert (await admin.post(f"{API}/gallery/cancel")).status_code == 409
    assert await changes_in_force() == {}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"width": 15}, {"width"}),
        ({"quality": 96, "height": "x"}, {"quality", "height"}),
        ({"width": 1.5}, {"width"}),
        ({"box": 1}, {"box"}),
        ({"dry_run": "no"}, {"dry_run"}),
    ],
)
async def test_what_is_beyond_the_bounds_is_refused_by_field(
    admin: httpx.AsyncClient, body: dict[str, object], fields: set[str]
) -> None:
    refused = await admin.post(f"{API}/gallery", json=body)
    assert (refused.status_code, {each["field"] for each in refused.json()["errors"]}) == (422, fields)


async def test_only_an_admin_tries_changes_or_takes_back(app: Litestar, viewer: httpx.AsyncClient) -> None:
    editor = await caller(app, "editor")
    for who in (viewer, editor):
        assert (await who.get(API)).status_code == 200
        for path in (f"{API}/gallery", f"{API}/gallery/cancel"):
            assert (await who.post(path, json={})).status_code == 403
        assert (await who.delete(f"{API}/gallery")).status_code == 403
        for path in ("", "/gallery", "/gallery/estimate", "/gallery/reset", "/gallery/cancel"):
            assert (await who.post(PAGES + path, data=WISH)).status_code == 403
        assert "Only an admin" in (await who.get(f"{PAGES}/gallery")).text
    assert await changes_in_force() == {}


async def test_the_form_works_without_script_from_the_trial_to_the_way_back(
    studio: Studio, admin: httpx.AsyncClient
) -> None:
    image_id = await studio.add(await make_entity(), samples.noisy(1000, 750))
    wrong = await admin.post(f"{PAGES}/gallery/estimate", data=WISH | {"width": ""})
    assert (wrong.status_code, "Use a whole number from 16 to 4096." in wrong.text) == (422, True)
    tried = await admin.post(f"{PAGES}/gallery/estimate", data=WISH)
    assert tried.status_code == 200
    assert len(re.findall(r'src="data:image/jpeg;base64,', tried.text)) == 2
    assert "Change it, and make 1 picture anew" in tried.text
    assert await changes_in_force() == {}
    changed = await admin.post(f"{PAGES}/gallery", data=WISH)
    assert (changed.status_code, changed.headers["location"]) == (303, PAGES)
    assert "Cancel and take the change back" in (await admin.get(PAGES)).text
    await make_anew(studio, image_id)
    assert (await admin.post(f"{PAGES}/gallery/cancel")).status_code == 303
    await database.execute("UPDATE job SET state = 'cancelled'")
    assert "1 picture is made otherwise" in (await admin.get(f"{PAGES}/list")).text
    assert (await admin.post(PAGES)).status_code == 303
    assert (await admin.get(f"{PAGES}/poster")).status_code == 404
    actions = await database.fetch("SELECT action FROM audit WHERE action LIKE 'preset.%' ORDER BY pk")
    assert [row["action"] for row in actions] == ["preset.change", "preset.cancel", "preset.catch_up"]


async def test_urls_and_tags_of_a_picture_change_with_what_it_is_made_by(
    studio: Studio, admin: httpx.AsyncClient
) -> None:
    image_id = await studio.add(await make_entity("customers"), samples.noisy(1000, 750))
    before = (await admin.get(f"/api/images/{image_id}")).json()["renditions"]["gallery"]
    sent = await admin.get(before["url"])
    await admin.post(f"{PAGES}/gallery", data=WISH)
    held = await admin.get(before["url"])
    assert (held.content, held.headers["etag"]) == (sent.content, sent.headers["etag"])
    await make_anew(studio, image_id)
    after = (await admin.get(f"/api/images/{image_id}")).json()["renditions"]["gallery"]
    assert (after["width"], after["height"]) == (640, 480)
    assert after["url"] != before["url"]
    assert (await admin.get(after["url"])).headers["etag"] != sent.headers["etag"]


async def make_anew(studio: Studio, image_id: UUID) -> None:
    """What the roll-out has the worker do."""
    await database.execute("UPDATE image SET rendering = rendering + 1 WHERE id = $1", image_id)
    await render_all(image_id, store=studio.store, pool=studio.pool)
