"""The lists, the overview and the search as people see them; every form works as a plain POST."""

from __future__ import annotations

import html
import re
from urllib.parse import urlencode

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.entities.queries import forget_counts
from portal.gallery.forms import PictureFields
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, whole_app

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return await whole_app(tmp_path_factory.mktemp("data"))


@pytest.fixture
async def viewer(db: None, app: Litestar) -> httpx.AsyncClient:
    forget_counts()
    return await caller(app, "viewer")


@pytest.fixture
async def editor(db: None, app: Litestar) -> httpx.AsyncClient:
    forget_counts()
    return await caller(app, "editor")


async def page_of(client: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


async def post(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    return await client.post(path, content=urlencode(fields).encode(), headers={**FORM, "accept": "text/html"})


def links_in(text: str, pattern: str) -> list[str]:
    found = (html.unescape(link) for link in re.findall(r'href="([^"]+)"', text))
    return [link for link in found if re.fullmatch(pattern, link)]


@pytest.mark.parametrize("path", ["/", "/search", "/search?q=mug", "/entities/customers", "/entity-results/customers"])
async def test_visitors_are_sent_to_sign_in_and_come_back(visitor: httpx.AsyncClient, path: str) -> None:
    answer = await visitor.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


async def test_empty_portal_says_what_to_do_first(viewer: httpx.AsyncClient) -> None:
    assert "Nothing here yet" in await page_of(viewer, "/")
    assert "No customers yet" in await page_of(viewer, "/entities/customers")
    assert "One search over all" in await page_of(viewer, "/search")


async def test_overview_says_what_needs_a_person(viewer: httpx.AsyncClient, studio: Studio) -> None:
    await make_entity()
    failed = await studio.add(await make_entity(), filename="broken.jpg", ready=False)
    await database.execute(
        'UPDATE image SET status = \'failed\', error = \'{"code": "failed", "message": "It was too odd."}\' WHERE id = $1',
        failed,
    )
    text = await page_of(viewer, "/")
    assert "Three things need" in text
    assert "broken.jpg" in text
    assert "It was too odd." in text


async def test_list_leads_to_each_gallery_and_to_the_next_page(viewer: httpx.AsyncClient) -> None:
    for number in range(55):
        await make_entity("customers", f"c{number:02}", f"Customer {number:02}")
    first = await page_of(viewer, "/entities/customers")
    seen = links_in(first, r"/entities/customers/c\d\d")
    following = links_in(first, r"/entities/customers\?.*cursor=.+")
    assert len(seen) == 50
    assert len(following) == 1
    seen += links_in(await page_of(viewer, following[0]), r"/entities/customers/c\d\d")
    assert seen == [f"/entities/customers/c{number:02}" for number in range(55)]


async def test_fragment_holds_what_the_page_holds(viewer: httpx.AsyncClient) -> None:
    await make_entity("customers", "ana", "Ana")
    await make_entity("customers", "bo", "Bo")
    fragment = await page_of(viewer, "/entity-results/customers?q=an")
    assert fragment.lstrip().startswith("<div") or "<div" in fragment[:200]
    assert "<html" not in fragment
    assert links_in(fragment, r"/entities/customers/\w+") == ["/entities/customers/ana"]
    whole = await page_of(viewer, "/entities/customers?q=an")
    assert links_in(whole, r"/entities/customers/\w+") == ["/entities/customers/ana"]


async def test_filters_count_and_show_what_is_missing(viewer: httpx.AsyncClient, studio: Studio) -> None:
    await make_entity(id="BARE")
    await studio.add(await make_entity(id="SHOWN"), fields=PictureFields(alt_text="A mug"))
    text = await page_of(viewer, "/entities/inventory_items?missing=image")
    assert links_in(text, r"/entities/inventory_items/[A-Z]+.*") == ["/entities/inventory_items/BARE?missing=image"]
    assert "Without a picture" in text
    text = await page_of(viewer, "/entities/inventory_items?missing=alt")
    assert "Each picture has its alt text" in text


async def test_private_entities_are_listed_with_their_pictures_signed(
    viewer: httpx.AsyncClient, studio: Studio
) -> None:
    await studio.add(await make_entity("invoices", "INV-1", "Invoice 1"))
    assert "&amp;sig=" in await page_of(viewer, "/entities/invoices")


async def test_unknown_lists_are_not_found(viewer: httpx.AsyncClient) -> None:
    await page_of(viewer, "/entities/things", 404)
    await page_of(viewer, "/entity-results/things", 404)
    await page_of(viewer, "/entities/customers?cursor=x", 422)


async def test_adding_one_opens_its_gallery(editor: httpx.AsyncClient) -> None:
    answer = await post(editor, "/entities/customers", id="C-1", name=" Ana ", reference="RE/1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/entities/customers/C-1")
    row = await database.fetch_row("SELECT id, name, reference FROM entity")
    assert row is not None
    assert tuple(row) == ("C-1", "Ana", "RE/1")


async def test_refused_form_comes_back_with_what_was_written(editor: httpx.AsyncClient) -> None:
    answer = await post(editor, "/entities/customers", id="RE/1", name="", reference="kept <b>")
    assert answer.status_code == 422
    assert "Give it a name." in answer.text
    assert "put any other name into the reference" in answer.text
    assert 'value="RE/1"' in answer.text
    assert 'value="kept &lt;b&gt;"' in answer.text
    assert await database.fetch_value("SELECT count(*) FROM entity") == 0


async def test_adding_never_overwrites_what_is_there(editor: httpx.AsyncClient) -> None:
    await make_entity("customers", "C-1", "Ana")
    answer = await post(editor, "/entities/customers", id="C-1", name="Somebody else")
    assert answer.status_code == 422
    assert "There is a customer with this id already." in answer.text
    assert await database.fetch_value("SELECT name FROM entity") == "Ana"


async def test_viewers_may_neither_add_nor_delete(viewer: httpx.AsyncClient) -> None:
    await make_entity("customers", "C-1", "Ana")
    assert "Add customer" not in await page_of(viewer, "/entities/customers")
    assert (await post(viewer, "/entities/customers", id="C-2", name="Bo")).status_code == 403
    assert (await post(viewer, "/entities/customers/C-1/delete", confirm="C-1")).status_code == 403
    assert await database.fetch_value("SELECT count(*) FROM entity") == 1


async def test_deleting_asks_for_the_id(editor: httpx.AsyncClient, studio: Studio) -> None:
    await studio.add(await make_entity("customers", "C-1", "Ana"), ready=False)
    assert (await post(editor, "/entities/customers/C-1/delete", confirm="C-2")).status_code == 422
    assert await database.fetch_value("SELECT count(*) FROM image") == 1
    answer = await post(editor, "/entities/customers/C-1/delete", confirm="C-1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/entities/customers")
    assert await database.fetch_value("SELECT count(*) FROM entity") == 0


async def test_search_page_shows_entities_and_pictures(viewer: httpx.AsyncClient, studio: Studio) -> None:
    image_id = await studio.add(await make_entity(id="MUG-1"), fields=PictureFields(alt_text="Mug from above"))
    text = await page_of(viewer, "/search?q=mug")
    assert links_in(text, "/entities/inventory_items/MUG-1")
    assert links_in(text, f"/images/{image_id}")
    assert "Nothing matches" in await page_of(viewer, "/search?q=teapot")


@pytest.mark.parametrize(
    "name", ["<svg onload=alert(1)>", '" onmouseover="x', "{{7777*7777}}", "<b hx-get=/x>", "'; --"]
)
async def test_names_appear_as_text_everywhere(viewer: httpx.AsyncClient, studio: Studio, name: str) -> None:
    ref = await make_entity("customers", "C-1", name)
    await studio.add(ref, fields=PictureFields(alt_text=name), ready=False)
    for path in ("/", "/entities/customers", f"/search?{urlencode({'q': name})}", "/search?q=c-1"):
        text = await page_of(viewer, path)
        assert "<svg onload" not in text
        assert '" onmouseover="x' not in text
        assert "<b hx-get" not in text
        assert "60481729" not in text


@pytest.mark.parametrize("text", ["'", "&|!:*()\\", "\0", "\u202e", "a" * 3000], ids=lambda text: ascii(text)[:16])
async def test_search_survives_whatever_is_typed(viewer: httpx.AsyncClient, text: str) -> None:
    await make_entity("customers", "C-1", "Mug")
    for path in ("/search", "/entities/customers", "/entity-results/customers"):
        await page_of(viewer, f"{path}?{urlencode({'q': f'mug {text}'})}")


async def test_where_nothing_needs_anybody_the_overview_says_so(viewer: httpx.AsyncClient, studio: Studio) -> None:
    await studio.add(await make_entity(), fields=PictureFields(alt_text="A mug"))
    assert "Nothing needs you" in await page_of(viewer, "/")
