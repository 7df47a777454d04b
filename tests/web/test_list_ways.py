"""Kept lists, the way through what is missing, the coverage board and the rows that follow: as a browser sees them."""

from __future__ import annotations

import html
import re

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.gallery.forms import PictureFields
from tests import samples
from tests.factories import Studio, make_entity
from tests.web.deeds import World, world_of
from tests.web.whole_app import whole_app

PAGE = {"accept": "text/html"}
HTMX = {"accept": "text/html", "hx-request": "true"}


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return await whole_app(tmp_path_factory.mktemp("data"))


@pytest.fixture
async def world(db: None, app: Litestar) -> World:
    return await world_of(app)


async def page_of(world: World, path: str, status: int = 200) -> str:
    answer = await world.person.get(path, headers=PAGE)
    assert answer.status_code == status, answer.text
    return answer.text


async def way_from(world: World, path: str) -> str:
    answer = await world.person.get(path, headers=PAGE)
    assert answer.status_code == 303
    return answer.headers["location"]


def links(text: str, pattern: str) -> list[str]:
    found = (html.unescape(link) for link in re.findall(r'href="([^"]+)"', text))
    return [link for link in found if re.fullmatch(pattern, link)]


async def test_the_way_leads_from_gallery_to_gallery_and_says_how_many_are_left(world: World, studio: Studio) -> None:
    refs = [await make_entity("customers", id, id) for id in ("A", "B")]
    first = await way_from(world, "/entity-next/customers?missing=image")
    assert first == "/entities/customers/A?missing=image"
    text = await page_of(world, first)
    assert "This customer wants a picture." in text
    assert "2 left" in text
    [onward] = set(links(text, r"/entity-next/.*after=A"))
    assert await way_from(world, onward) == "/entities/customers/B?missing=image"
    await studio.add(refs[0], ready=False)
    renewed = await page_of(world, "/entity-flow/customers/A?missing=image")
    assert "<html" not in renewed
    assert "has a picture now." in renewed
    assert "1 left" in renewed
    await studio.add(refs[1], ready=False)
    assert await way_from(world, "/entity-next/customers?missing=image&after=B") == "/entities/customers?missing=image"
    text = await page_of(world, "/entities/customers?missing=image")
    assert "Each one has a picture" in text


@pytest.mark.parametrize("missing", ["primary", "alt", "low_resolution"])
async def test_each_filter_has_its_way(world: World, studio: Studio, missing: str) -> None:
    await studio.add(await make_entity("customers", "A", "Ana"), ready=False)
    await database.execute("UPDATE image SET is_primary = false") if missing == "primary" else None
    there = await way_from(world, f"/entity-next/customers?missing={missing}&sort=most&q=an")
    assert there == f"/entities/customers/A?q=an&missing={missing}&sort=most"
    assert "This customer wants" in await page_of(world, there)
    answer = await world.person.get(f"/entity-next/customers?missing={missing}&after=A", headers=PAGE)
    assert answer.headers["location"] == f"/entities/customers?missing={missing}"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/entity-next/customers?missing=all", 422),
        ("/entity-next/customers?sort=price", 422),
        ("/entity-next/things", 404),
        ("/entity-next/customers?after=a%20b", 404),
        ("/entities/customers/A?missing=all", 422),
        ("/entity-flow/customers/A?missing=all", 422),
        ("/entities/customers?missing=all", 422),
    ],
)
async def test_what_no_list_knows_is_refused(world: World, path: str, status: int) -> None:
    await make_entity("customers", "A", "Ana")
    await page_of(world, path, status)


async def test_the_board_leads_to_who_lacks_it(world: World, studio: Studio) -> None:
    await make_entity("companies", "BARE", "Bare")
    fields = PictureFields(alt_text="Said")
    await studio.add(await make_entity("companies", "FULL", "Full"), samples.jpeg(1100, 90), fields=fields, ready=False)
    text = await page_of(world, "/coverage")
    for missing, words in [("image", "1 without"), ("primary", "1 without"), ("alt", "all of them")]:
        assert links(text, rf"/entities/companies\?missing={missing}")
        assert words in text
    assert links(text, r"/entity-next/companies\?missing=image")


async def test_rows_that_follow_are_those_of_the_next_page(world: World) -> None:
    for number in range(60):
        await make_entity("customers", f"c{number:02}", f"Customer {number:02}")
    text = await page_of(world, "/entities/customers?sort=fewest")
    more = html.unescape(re.findall(r'hx-get="(/entity-results/customers[^"]+cursor[^"]+)"', text)[0])
    answer = await world.person.get(more, headers=HTMX)
    assert "hx-replace-url" not in answer.headers
    assert len(links(answer.text, r"/entities/customers/c\d\d")) == 10
    answer = await world.person.get("/entity-results/customers?q=customer&sort=most", headers=HTMX)
    assert answer.headers["hx-replace-url"] == "/entities/customers?q=customer&sort=most"


async def test_rows_say_what_they_want(world: World, studio: Studio) -> None:
    await make_entity("customers", "BARE", "Bare")
    ref = await make_entity("customers", "POOR", "Poor")
    for _ in range(2):
        await studio.add(ref, ready=False)
    text = await page_of(world, "/entities/customers")
    for want in ("a picture", "2 alt texts", "print size"):
        assert f">{want}<" in text
    assert "Too small for print" in text


async def test_a_list_is_kept_renamed_and_let_go(world: World) -> None:
    fields = {"name": "Poor ones", "missing": "image", "q": "", "sort": "most"}
    answer = await world.form("/entity-views/customers", **fields, shared="true")
    assert (answer.status_code, answer.headers["location"]) == (303, "/entities/customers?missing=image&sort=most")
    view = await database.fetch_value("SELECT id FROM saved_view")
    text = await page_of(world, "/entities/customers?missing=image&sort=most")
    assert len(links(text, r"/entities/customers\?missing=image&sort=most")) >= 2
    assert "Poor ones" in text
    answer = await world.form(f"/entity-views/customers/{view}", name="Rich ones")
    assert answer.status_code == 303
    assert "Rich ones" in await page_of(world, "/entities/customers")
    await world.form(f"/entity-views/customers/{view}/delete")
    assert "Rich ones" not in (await page_of(world, "/entities/customers")).partition("toast")[0]


async def test_a_name_that_is_taken_comes_back_with_its_reason(world: World) -> None:
    await world.form("/entity-views/customers", name="Mine")
    for headers in (PAGE, HTMX):
        data = {"csrf_token": world.csrf, "name": "Mine", "missing": "alt"}
        answer = await world.person.post("/entity-views/customers", data=data, headers=headers)
        assert answer.status_code == 422
        assert "You have a view of this name already." in answer.text
        assert 'value="Mine"' in answer.text
        assert "autofocus" in answer.text
    assert await database.fetch_value("SELECT count(*) FROM saved_view") == 1


@pytest.mark.parametrize(
    "fields", [{"missing": "all"}, {"sort": "price"}, {"q": "😀" * 200}], ids=["filter", "order", "length"]
)
async def test_a_list_that_cannot_be_is_not_kept(world: World, fields: dict[str, str]) -> None:
    assert (await world.form("/entity-views/customers", name="Odd", **fields)).status_code == 422
    assert await database.fetch_value("SELECT count(*) FROM saved_view") == 0


async def test_a_script_has_no_views_of_its_own(world: World) -> None:
    answer: httpx.Response = await world.script.post("/entity-views/customers", data={"name": "Mine"})
    assert answer.status_code == 401
    listed = await world.script.get("/api/entities?type=customers&missing=low_resolution&sort=most")
    assert listed.json()["total"] == 0
