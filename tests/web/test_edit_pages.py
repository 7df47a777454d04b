"""Edits, another file and old versions by the page's own forms: as a plain POST, for htmx, and what is said of them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from portal.entities.kinds import EntityRef
from portal.gallery.image_pages import parts_of
from portal.gallery.queries import get_image
from portal.gallery.renditions import fail_image
from portal.gallery.seen import words_of
from portal.imaging.edits import Edits, parse_edits
from tests import samples
from tests.factories import EDITOR, Studio, make_entity
from tests.web.whole_app import caller, render, working_app

HTMX = {"hx-request": "true"}
PLAIN = {"accept": "text/html"}
PARTS = ("preview", "presets", "renditions", "versions", "file", "history")


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture
async def id(db: None, app: Litestar) -> str:
    """A picture of 640 × 480 that is ready."""
    parts = app.state.parts
    studio = Studio(parts.store, parts.pool)
    return str(await studio.add(await make_entity(), samples.jpeg(640, 480), filename="lamp.jpg"))


async def post(client: httpx.AsyncClient, path: str, headers: dict[str, str], /, **fields: Any) -> httpx.Response:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return await client.post(path, content=urlencode(fields).encode(), headers=kind | headers)


async def replace(
    client: httpx.AsyncClient, id: str, data: bytes, headers: dict[str, str], /, **fields: str
) -> httpx.Response:
    return await client.post(f"/images/{id}/file", data=fields, files={"file": ("next.jpg", data)}, headers=headers)


async def page(client: httpx.AsyncClient, id: str) -> str:
    answer = await client.get(f"/images/{id}", headers=PLAIN)
    assert answer.status_code == 200, answer.text
    return answer.text


def ring(text: str) -> tuple[float, float, float, float]:
    """Where the focal ring is drawn, in a drawing of this width and height."""
    drawing = re.search(r'class="focal" viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    circle = re.search(r'class="ring" cx="([\d.]+)" cy="([\d.]+)"', text)
    assert drawing
    assert circle
    return float(circle[1]), float(circle[2]), float(drawing[1]), float(drawing[2])


async def test_a_plain_form_comes_back_to_the_page_which_says_it(editor: httpx.AsyncClient, id: str):
    answer = await post(editor, f"/images/{id}/edits", PLAIN, turn="right")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/images/{id}")
    text = await page(editor, id)
    assert "<b>Turned right.</b>" in text
    assert "Being rendered…" in text
    assert "Back to the original" in text
    assert "edited the picture: turned right" in text


async def test_htmx_gets_every_part_that_follows_the_picture_once(editor: httpx.AsyncClient, id: str):
    answer = await post(editor, f"/images/{id}/edits", HTMX, mirror="horizontal")
    assert answer.status_code == 200
    assert [answer.text.count(f'id="{part}"') for part in PARTS] == [1] * len(PARTS)
    assert "<html" not in answer.text
    assert "Mirrored" in answer.text
    assert "data-changed-here" in answer.text


async def test_the_form_of_another_file_may_say_what_it_was_made_of_and_that_a_copy_is_meant(
    app: Litestar, editor: httpx.AsyncClient, id: str
):
    parts, data = app.state.parts, samples.jpeg(320, 200)
    image = (await editor.get(f"/api/images/{id}")).json()
    ref = EntityRef(image["entity"]["type"], image["entity"]["id"])
    await Studio(parts.store, parts.pool).add(ref, data, ready=False)
    form = {"allow_duplicate": "true", "revision": str(image["revision"])}
    for changed, status in (({"revision": "99"}, 412), ({"allow_duplicate": ""}, 409), ({}, 303)):
        answer = await replace(editor, id, data, PLAIN, **form | changed)
        assert answer.status_code == status, changed


async def test_a_page_that_waits_hears_nothing_until_all_is_rendered(app: Litestar, editor: httpx.AsyncClient, id: str):
    await post(editor, f"/images/{id}/edits", HTMX, turn="left")
    assert (await editor.get(f"/images/{id}/rendered", headers=HTMX)).status_code == 204
    await render(app, id)
    answer = await editor.get(f"/images/{id}/rendered", headers=HTMX)
    assert answer.status_code == 200
    assert "data-rendering" not in answer.text
    assert "480 × 640" in answer.text


async def test_renditions_are_made_again_for_who_asks_and_those_before_stay_until_then(
    app: Litestar, editor: httpx.AsyncClient, id: str
):
    before = (await editor.get(f"/api/images/{id}")).json()["renditions"]["card"]["url"]
    answer = await post(editor, f"/images/{id}/rerender", HTMX)
    assert answer.status_code == 200
    assert "Being rendered again" in answer.text
    assert (await editor.get(f"/api/images/{id}")).json()["renditions"]["card"]["url"] == before
    await render(app, id)
    after = (await editor.get(f"/api/images/{id}")).json()
    assert (after["renditions"]["card"]["url"] != before, after["version"], after["status"]) == (True, 1, "ready")
    assert "rendered it again" in await page(editor, id)
    assert (await post(editor, f"/images/{UUID(int=1)}/rerender", HTMX)).status_code == 404


async def test_the_ring_lies_where_the_focal_point_is_in_what_one_sees(editor: httpx.AsyncClient, id: str):
    edits = {"rotate": 90, "crop": {"x": 0.5, "y": 0, "width": 0.5, "height": 1}}
    said = {"focal_point": {"x": 0.75, "y": 0.25}, "edits": edits}
    answer = await editor.put(f"/api/images/{id}/metadata", json=said)
    assert answer.status_code == 200, answer.text
    x, y, width, height = ring(await page(editor, id))
    assert (x / width, y / height) == pytest.approx((0.75, 0.5))
    assert width / height == pytest.approx(480 / 320, rel=0.001)


async def test_a_focal_point_that_was_cut_off_lies_at_the_edge(editor: httpx.AsyncClient, id: str):
    edits = {"crop": {"x": 0.5, "y": 0.5, "width": 0.5, "height": 0.5}}
    await editor.put(f"/api/images/{id}/metadata", json={"focal_point": {"x": 0.1, "y": 0.75}, "edits": edits})
    x, y, _, height = ring(await page(editor, id))
    assert (x, y / height) == (0, pytest.approx(0.5))


async def test_a_crop_that_leaves_too_little_is_refused_in_words(editor: httpx.AsyncClient, id: str):
    fields = {"crop_x": "0", "crop_y": "0", "crop_width": "0.01", "crop_height": "1"}
    answer = await post(editor, f"/images/{id}/edits", HTMX, **fields)
    assert answer.status_code == 422
    assert "The crop leaves 6 × 480 pixels." in answer.text
    assert (await editor.get(f"/api/images/{id}")).json()["edits"] == {}


async def test_edits_that_cannot_be_rendered_are_said_and_not_waited_for(editor: httpx.AsyncClient, id: str):
    await post(editor, f"/images/{id}/edits", HTMX, turn="left")
    await fail_image(UUID(id), "not_an_image", "The original can't be decoded any more.")
    text = await page(editor, id)
    assert "It could not be rendered as it is wanted" in text
    assert "What was shown before is still shown" in text
    assert "Being rendered…" not in text
    assert "Back to the original" in text
    assert f'action="/images/{id}/retry"' in text
    assert (await post(editor, f"/images/{id}/retry", PLAIN)).status_code == 303
    assert "Being rendered…" in await page(editor, id)


async def test_a_refused_file_is_said_beside_the_field(editor: httpx.AsyncClient, id: str):
    answer = await replace(editor, id, samples.FOREIGN["page.pdf"], PLAIN)
    assert 400 <= answer.status_code < 500
    assert "It was not replaced" in answer.text
    assert re.search(r'<details class="adder" id="replace" open>', answer.text)
    assert (await editor.get(f"/api/images/{id}")).json()["version"] == 1


async def test_the_way_to_a_twin_is_shown(editor: httpx.AsyncClient, id: str):
    entity = (await editor.get(f"/api/images/{id}")).json()["entity"]
    form = {"entity_type": entity["type"], "entity_id": entity["id"]}
    data = samples.jpeg(200, 100)
    twin = (await editor.post("/api/images/upload", data=form, files={"file": ("twin.jpg", data)})).json()["id"]
    answer = await replace(editor, id, data, PLAIN)
    assert answer.status_code == 409
    assert f'href="/images/{twin}">See that picture' in answer.text


async def test_versions_are_told_newest_first_and_come_back(app: Litestar, editor: httpx.AsyncClient, id: str):
    await post(editor, f"/images/{id}/edits", PLAIN, turn="right")
    assert (await replace(editor, id, samples.jpeg(200, 100), PLAIN)).status_code == 303
    await render(app, id)
    text = await page(editor, id)
    assert re.findall(r'<span class="strong">Version (\d)</span>', text) == ["2", "1"]
    assert "replaced the file: next.jpg" in text
    answer = await post(editor, f"/images/{id}/versions/1/restore", PLAIN)
    assert answer.status_code == 303
    text = await page(editor, id)
    assert re.findall(r'<span class="strong">Version (\d)</span>', text) == ["3", "2", "1"]
    assert "brought back: version 1" in text
    assert "<b>Turned right.</b>" in text
    missing = await post(editor, f"/images/{id}/versions/9/restore", HTMX)
    assert missing.status_code == 404


async def test_a_viewer_is_shown_no_versions_and_no_tools(app: Litestar, editor: httpx.AsyncClient, id: str):
    await replace(editor, id, samples.jpeg(200, 100), PLAIN)
    text = await page(await caller(app, "viewer"), id)
    for words in ('id="versions"', "Replace file", "Turn left", 'id="crop-form"'):
        assert words not in text
    assert "Original" in text


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ({}, ""),
        ({"rotate": 180}, "Turned upside down"),
        ({"rotate": 270, "flip": "horizontal"}, "Mirrored, turned left"),
        ({"flip": "vertical", "crop": {"x": 0, "y": 0, "width": 0.5, "height": 1}}, "Flipped, cropped to 320 × 480"),
    ],
    ids=json.dumps,
)
def test_edits_are_told_as_people_say_them(edits: dict[str, Any], said: str):
    assert words_of(parse_edits(edits) if edits else Edits(), (640, 480)) == said


async def test_a_rendering_that_ends_while_the_page_is_made_is_shown(editor: httpx.AsyncClient, id: str, app: Litestar):
    """Else the page would show the picture from before, and ask no more."""
    links = app.state.parts.links
    await post(editor, f"/images/{id}/edits", PLAIN, turn="right")
    read_before = await get_image(UUID(id), links)
    await render(app, id)
    request: Any = SimpleNamespace(scope={"user": EDITOR}, app=app)
    shown = await parts_of(request, read_before, links)
    large = shown["image"].renditions["optimized"]
    assert (large.width, large.height, shown["seen"].is_rendering) == (480, 640, False)
