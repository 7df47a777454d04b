"""`?for=print`: where the print rendition is, its very pixels, and its millimetres."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from PIL import Image

from portal import database
from portal.entities.forms import parse_entity
from portal.entities.kinds import EntityRef
from portal.entities.service import put_entity
from portal.gallery.disposal import trash_image
from portal.gallery.forms import read_metadata
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from tests import samples
from tests.factories import EDITOR, Studio, make_entity
from tests.web.whole_app import caller, working_app

PORTRAIT = {"rotate": 90, "crop": {"x": 0.1, "y": 0.2, "width": 0.7, "height": 0.3}}


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("prints")) as app:
        yield app


@pytest.fixture
def studio(db: None, app: Litestar) -> Studio:
    return Studio(app.state.parts.store, app.state.parts.pool)


@pytest.fixture
async def visitor(db: None, app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with await caller(app, None) as client:
        yield client


@pytest.fixture
async def viewer(db: None, app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with await caller(app, "viewer") as client:
        yield client


async def printed(client: httpx.AsyncClient, ref: object) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/images/entity/{ref}?for=print")
    assert answer.status_code == 200, answer.text
    return [image["print"] for image in answer.json()["images"]]


async def size_of(client: httpx.AsyncClient, url: str) -> tuple[int, int]:
    answer = await client.get(url)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content)).size


@pytest.mark.parametrize(
    ("data", "edits"),
    [
        (samples.jpeg(2000, 1500), {}),
        (samples.jpeg(1501, 2003), {}),
        (samples.jpeg(200, 151), {}),
        (samples.jpeg(3001, 999), PORTRAIT),
        (samples.exif_rotated(6, 1234, 777), {"flip": "horizontal"}),
    ],
)
async def test_what_is_said_of_a_print_is_what_its_url_gives(
    studio: Studio, visitor: httpx.AsyncClient, data: bytes, edits: dict[str, Any]
) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, data, ready=not edits)
    if edits:
        await change_image(image_id, read_metadata({"edits": edits}), actor=EDITOR)
        await render_all(image_id, store=studio.store, pool=studio.pool)
    (said,) = await printed(visitor, ref)
    assert (said["width"], said["height"]) == await size_of(visitor, said["url"])
    assert (said["box"], said["dpi"]) == ({"width_mm": 90, "height_mm": 68}, 300)
    assert said["width_mm"] == pytest.approx(said["width"] * 25.4 / 300, abs=0.051)
    assert said["height_mm"] == pytest.approx(said["height"] * 25.4 / 300, abs=0.051)
    assert said["width_mm"] <= 90
    assert said["height_mm"] <= 68


async def test_it_is_of_the_file_that_is_shown_until_the_next_one_is_rendered(
    studio: Studio, visitor: httpx.AsyncClient
) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, samples.jpeg(1200, 600))
    before = await printed(visitor, ref)
    await studio.replace(image_id, samples.jpeg(300, 900), ready=False)
    assert await printed(visitor, ref) == before
    assert await size_of(visitor, before[0]["url"]) == (before[0]["width"], before[0]["height"])
    await render_all(image_id, store=studio.store, pool=studio.pool)
    assert [(each["width"], each["height"]) for each in await printed(visitor, ref)] == [(268, 803)]


async def test_private_prints_are_for_staff_and_their_urls_are_signed(
    studio: Studio, visitor: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    ref = await make_entity("invoices")
    await studio.add(ref)
    await studio.add(ref, ready=False)
    assert (await visitor.get(f"/api/images/entity/{ref}?for=print")).status_code == 404
    ready, waiting = await printed(viewer, ref)
    assert waiting is None
    assert "&sig=" in ready["url"]
    assert await size_of(visitor, ready["url"]) == (ready["width"], ready["height"])
    assert (await visitor.get(ready["url"].replace("size=print", "size=gallery"))).status_code == 404


async def test_an_invoice_gives_the_prints_of_its_lines(studio: Studio, viewer: httpx.AsyncClient) -> None:
    item, invoice = await make_entity(), await make_entity("invoices")
    await studio.add(item, samples.jpeg(1200, 900))
    await database.execute(
        """INSERT INTO invoice_line (invoice, position, item, description, quantity)
           SELECT pk, n, CASE n WHEN 0 THEN $2 END, 'x', 1 FROM entity, generate_series(0, 1) AS n WHERE type = $1 AND id = $3""",
        "invoices",
        item.id,
        invoice.id,
    )
    first, second = (await viewer.get(f"/api/entities/{invoice}?for=print")).json()["lines"]
    assert second["picture"] is None
    assert (first["picture"]["print"]["width"], first["picture"]["print"]["height"]) == (1063, 797)
    assert "print" not in (await viewer.get(f"/api/entities/{invoice}")).json()["lines"][0]["picture"]


async def test_another_purpose_is_refused_and_none_is_the_usual_answer(
    studio: Studio, visitor: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    ref = await make_entity()
    assert UUID(str(await studio.add(ref)))
    for path in (f"/api/images/entity/{ref}", f"/api/entities/{ref}"):
        refused = await viewer.get(f"{path}?for=web")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "for")
    assert "print" not in (await visitor.get(f"/api/images/entity/{ref}")).json()["images"][0]


async def test_the_description_tells_of_it(visitor: httpx.AsyncClient) -> None:
    described = (await visitor.get("/docs/openapi.json")).json()
    for path in ("/api/images/entity/{type}/{id}", "/api/entities/{type}/{id}"):
        assert "for" in {each["name"] for each in described["paths"][path]["get"]["parameters"]}
    assert any(name.endswith("PrintView") for name in described["components"]["schemas"])


async def test_a_pinned_invoice_prints_the_pictures_that_it_was_issued_with(
    studio: Studio, app: Litestar, visitor: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    item, later, invoice = await make_entity(), await make_entity(), EntityRef("invoices", "R-1")
    sold = await studio.add(item, samples.jpeg(1200, 600))
    own = [await studio.add(await put_invoice(invoice, item), samples.jpeg(900, 900)), await studio.add(invoice)]
    answers = [await viewer.get(f"/api/{path}/{invoice}?for=print") for path in ("entities", "images/entity")]
    assert [answer.json()["pinned_at"] for answer in answers] == [None, None]
    editor = await caller(app, "editor")
    pinned = (await editor.post(f"/api/entities/{invoice}/pin")).json()
    await change_image(own[0], read_metadata({"edits": PORTRAIT}), actor=EDITOR)
    await render_all(own[0], store=studio.store, pool=studio.pool)
    await studio.replace(sold, samples.jpeg(300, 900))
    await trash_image(own[1], actor=EDITOR, deletes_per_hour=500)
    await studio.add(later)
    await put_invoice(invoice, item, later)

    entity = (await viewer.get(f"/api/entities/{invoice}?for=print")).json()
    gallery = (await viewer.get(f"/api/images/entity/{invoice}?for=print")).json()
    assert entity["pinned_at"] == gallery["pinned_at"] == pinned["pinned_at"]
    first, second = [line["picture"] for line in entity["lines"]]
    assert [image["id"] for image in gallery["images"]] == [str(each) for each in own]
    sizes = [(each["print"]["width"], each["print"]["height"]) for each in (first, *gallery["images"])]
    assert sizes[:2] == [(1063, 532), (803, 803)]
    for each, size in zip((first, *gallery["images"]), sizes, strict=True):
        assert "v=1.1&exp=" in each["print"]["url"]
        assert await size_of(visitor, each["print"]["url"]) == size
    assert "sig=" not in second["print"]["url"]  # a line that came later is live
    pages = [(await viewer.get(f"/api/images/entity/{invoice}?for=print&limit=1")).json()]
    pages.append((await viewer.get(f"/api/images/entity/{invoice}?for=print&cursor={pages[0]['next']}")).json())
    assert [[image["id"] for image in page["images"]] for page in pages] == [[str(own[0])], [str(own[1])]]
    assert (pages[0]["total"], pages[1]["next"]) == (2, None)
    live = (await viewer.get(f"/api/images/entity/{invoice}")).json()  # what is managed stays what is there now
    assert "pinned_at" not in live
    assert [image["id"] for image in live["images"]] == [str(own[0])]


async def put_invoice(ref: EntityRef, *items: EntityRef) -> EntityRef:
    lines = [{"item": item.id, "description": "x", "quantity": 1} for item in items]
    await put_entity(ref, parse_entity(ref, {"name": "Invoice", "lines": lines}), EDITOR)
    return ref
