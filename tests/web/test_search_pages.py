"""The search as people and scripts see it: pages, parts of them, a photo that is looked for."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.gallery.forms import PictureFields
from portal.overview import search_pages
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, working_app

HTML = {"accept": "text/html"}
HTMX = {**HTML, "hx-request": "true"}


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        app.state.settings.temp_dir.mkdir(parents=True, exist_ok=True)
        yield app


async def text_of(client: httpx.AsyncClient, path: str, status: int = 200, **params: str) -> str:
    answer = await client.get(path, params=params or None, headers=HTML)
    assert answer.status_code == status, answer.text
    return answer.text


def links(text: str, start: str) -> list[str]:
    return [found for each in re.findall(r'href="([^"]+)"', text) if (found := html.unescape(each)).startswith(start)]


def temp_files(app: Litestar) -> list[Path]:
    return list(app.state.settings.temp_dir.iterdir())


async def test_the_page_and_its_parts_show_the_same(viewer: httpx.AsyncClient, studio: Studio) -> None:
    image_id = await studio.add(await make_entity(id="MUG-1"), fields=PictureFields(alt_text="Mug <from> above"))
    for path in ("/search", "/search/results", "/search/quick"):
        text = await text_of(viewer, path, q="mug")
        assert links(text, "/entities/inventory_items/MUG-1"), path
        assert links(text, f"/images/{image_id}"), path
        assert "Mug &lt;from&gt; above" in text
        assert ("<html" in text) == (path == "/search")
        assert "Nothing matches" in await text_of(viewer, path, q="teapot")
    for asked, why in (
        ("tag:no", "meets this filter"),
        ("tag:no missing:alt", "meets all of these"),
        ("tag:no mug", "may hide"),
    ):
        assert why in await text_of(viewer, "/search", q=asked)
    answer = await viewer.get("/search/results", params={"q": "mug "})
    assert answer.headers["hx-replace-url"] == "/search?q=mug"


async def test_a_filter_that_there_is_none_of_comes_back_with_what_was_typed(viewer: httpx.AsyncClient) -> None:
    text = await text_of(viewer, "/search", 422, q="mug type:foo")
    assert 'value="mug type:foo"' in text
    assert 'aria-invalid="true"' in text
    assert "There is no type:foo" in text
    await text_of(viewer, "/search/results", q="mug type:fo")  # it is still being written
    refused = await viewer.get("/api/search", params={"q": "type:foo"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "q")


async def test_a_filter_is_taken_off_by_its_chip_and_suggestions_are_links(viewer: httpx.AsyncClient) -> None:
    await make_entity("invoices", "INV-1", "Fjord")
    text = await text_of(viewer, "/search", q="fjord type:invoices")
    assert "/search?q=fjord" in links(text, "/search")
    assert "/search?q=fjord+type%3Ainvoices" in links(await text_of(viewer, "/search", q="fjord inv"), "/search?")


async def test_what_follows_is_a_page_without_script_and_a_part_with_it(
    viewer: httpx.AsyncClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_pages, "MOST_FOUND", 2)
    monkeypatch.setattr(search_pages, "_GALLERIES", 1)
    refs = [await make_entity(id=f"MUG-{number}", name=f"Mug {number}") for number in range(3)]
    ids = [await studio.add(refs[0], ready=False, fields=PictureFields(alt_text="Mug")) for _ in range(3)]
    text = await text_of(viewer, "/search", q="mug")
    following = links(text, "/search?q=mug&part=")
    assert [re.search(r"part=(\w+)", link)[1] for link in following] == ["entities", "images"]  # type: ignore[index]
    galleries, pictures = [await text_of(viewer, link) for link in following]
    assert links(galleries, "/entities/inventory_items/MUG-1")
    assert links(galleries, "/entities/inventory_items/MUG-2")
    assert links(pictures, "/images/") == [f"/images/{ids[0]}"]
    part = await text_of(viewer, following[1].replace("/search?", "/search/more?"))
    assert (links(part, "/images/"), "<html" in part) == ([f"/images/{ids[0]}"], False)


async def test_the_api_takes_the_same_words_and_pages_on(
    viewer: httpx.AsyncClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.overview.api.MOST_FOUND", 1)
    ref = await make_entity("invoices", "INV-1", "Mug")
    ids = [str(await studio.add(ref, ready=False, fields=PictureFields(tags=("mug",)))) for _ in range(2)]
    found = (await viewer.get("/api/search", params={"q": "mug type:invoices"})).json()
    assert [each["id"] for each in found["entities"]] == ["INV-1"]
    assert [each["id"] for each in found["images"]] == [ids[1]]
    assert found["next"]["entities"] is None
    params = {"q": "mug", "part": "images", "cursor": found["next"]["images"]}
    more = (await viewer.get("/api/search", params=params)).json()
    assert ([each["id"] for each in more["images"]], more["entities"]) == ([ids[0]], [])
    for wrong in ({"q": "mug", "part": "x"}, {"q": "mug", "part": "images", "cursor": "x"}):
        assert (await viewer.get("/api/search", params=wrong)).status_code == 422


async def test_a_photo_finds_the_items_that_have_it_or_nearly_and_is_not_kept(
    app: Litestar, viewer: httpx.AsyncClient, studio: Studio
) -> None:
    same, near, other = [await make_entity(id=name, name=name) for name in ("SAME", "NEAR", "OTHER")]
    await studio.add(same, samples.shapes(1), ready=False)
    await studio.add(near, samples.shapes(1, 200, 150), ready=False)
    await studio.add(other, samples.shapes(2), ready=False)
    before = await database.fetch_value("SELECT count(*) FROM image")
    answer = await viewer.post("/search/photo", files={"file": ("a.jpg", samples.shapes(1))}, headers=HTML)
    assert answer.status_code == 303
    address = answer.headers["location"]
    text = await text_of(viewer, address)
    assert [each.rpartition("/")[2] for each in links(text, "/entities/inventory_items/")[-2:]] == ["SAME", "NEAR"]
    assert text.index("The same file") < text.index("Nearly the same")
    assert "OTHER" not in text
    quick = await viewer.post("/search/photo", files={"file": ("a.jpg", samples.shapes(1))}, headers=HTMX)
    assert (quick.status_code, quick.headers["hx-replace-url"], "<html" in quick.text) == (200, address, False)
    assert "SAME" in quick.text
    assert temp_files(app) == []
    assert await database.fetch_value("SELECT count(*) FROM image") == before


async def test_a_script_finds_pictures_by_a_photo_and_is_told_how_near_they_are(
    app: Litestar, viewer: httpx.AsyncClient, studio: Studio
) -> None:
    same = await studio.add(await make_entity(name="Mug"), samples.shapes(1), ready=False)
    near = await studio.add(await make_entity("invoices", "INV-1"), samples.shapes(1, 200, 150), ready=False)
    answer = await viewer.post("/api/search/photo", files={"file": ("a.jpg", samples.shapes(1))})
    found = answer.json()["found"]
    assert [(each["image"]["id"], each["same_file"]) for each in found] == [(str(same), True), (str(near), False)]
    assert (found[0]["entity_name"], found[0]["bits"], found[1]["bits"] <= 6) == ("Mug", 0, True)
    assert found[1]["image"]["entity"] == {"type": "invoices", "id": "INV-1"}
    none = await viewer.post("/api/search/photo", files={"file": ("a.jpg", samples.shapes(2))})
    assert (none.status_code, none.json()) == (200, {"found": []})
    wrong = {"files": ("a.jpg", samples.shapes(1))}, {"file": ("page.jpg", samples.FOREIGN["page.pdf"])}
    for files, code in zip(wrong, ("bad_field", "unsupported_format"), strict=True):
        refused = await viewer.post("/api/search/photo", files=files)
        assert refused.json()["code"] == code
    assert (await (await caller(app, None)).post("/api/search/photo", files=wrong[0])).status_code == 401
    assert temp_files(app) == []


async def test_what_is_no_safe_picture_is_not_looked_at(app: Litestar, viewer: httpx.AsyncClient) -> None:
    for name, data in {"page.jpg": samples.FOREIGN["page.pdf"], "empty.jpg": b"", "x.exe": samples.jpeg()}.items():
        for headers in (HTML, HTMX):
            answer = await viewer.post("/search/photo", files={"file": (name, data)}, headers=headers)
            assert answer.status_code == 422, name
            assert 'aria-invalid="true"' in answer.text
            assert ("<html" in answer.text) == (headers is HTML)
    assert "the picture in the clipboard" in await text_of(viewer, "/search/photo")  # among the keys that `?` lists
    answer = await viewer.post("/search/photo", data={"x": ""}, files={"file": ("", b"")}, headers=HTML)
    assert answer.status_code == 422
    assert temp_files(app) == []


async def test_a_photo_is_only_looked_for_by_who_is_signed_in(app: Litestar) -> None:
    visitor = await caller(app, None)
    answer = await visitor.post("/search/photo", files={"file": ("a.jpg", samples.shapes(1))})
    assert answer.status_code in (303, 401)


@pytest.mark.parametrize("query", ["sha256=x", "sha256=" + "a" * 64 + "&like=zz", "image=x"])
async def test_an_address_that_is_none_is_refused(viewer: httpx.AsyncClient, query: str) -> None:
    assert (await viewer.get(f"/search/photo?{query}", headers=HTML)).status_code in (404, 422)


async def test_pictures_like_one_are_part_of_its_page_and_a_page_of_their_own(
    viewer: httpx.AsyncClient, studio: Studio
) -> None:
    mine = await studio.add(await make_entity(), samples.shapes(5), ready=False)
    assert "No other picture looks like this one" in await text_of(viewer, f"/images/{mine}/similar")
    twin = await studio.add(await make_entity(name="Teapot"), samples.shapes(5, 160, 120), ready=False)
    part = await text_of(viewer, f"/images/{mine}/similar")
    assert links(part, f"/images/{twin}")
    assert "Nearly the same" in part
    whole = await text_of(viewer, links(part, "/search/photo")[0])
    assert "Teapot" in whole
    await text_of(viewer, f"/images/{mine.hex[::-1]}/similar", 404)
