"""Pinned invoices over HTTP: what opens them, what their URLs give and to whom, and what pages say."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from litestar import Litestar
from PIL import Image

from portal import database
from portal.audit.actors import SYSTEM
from portal.embed.keys import Scope, issue_key
from portal.entities.forms import parse_entity
from portal.entities.kinds import EntityRef
from portal.entities.service import put_entity
from portal.gallery.pins import find_pin_line
from portal.gallery.versions import KEPT
from portal.storage.links import Links
from tests import samples
from tests.factories import EDITOR, Studio, make_entity
from tests.waiting import eventually
from tests.web.whole_app import caller, render, working_app

SERVE = "/api/images/serve"


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        app.state.is_ready = True
        yield app


@pytest.fixture
def studio(db: None, app: Litestar) -> Studio:
    return Studio(app.state.parts.store, app.state.parts.pool)


@pytest.fixture
def links(app: Litestar) -> Links:
    return app.state.parts.links


@dataclasses.dataclass(frozen=True)
class Sold:
    """An invoice with one picture of its own and one line, whose item has a picture of 640 x 480; opened by `key`."""

    invoice: EntityRef
    own: UUID
    item: EntityRef
    picture: UUID
    key: str

    @property
    def pin(self) -> str:
        return f"/api/entities/{self.invoice}/pin"


@pytest.fixture
async def sold(studio: Studio) -> Sold:
    item = await make_entity()
    picture = await studio.add(item, samples.jpeg(640, 480))
    invoice = EntityRef("invoices", "R-2026-0438")
    line = {"item": item.id, "description": "Mug", "quantity": 1}
    await put_entity(invoice, parse_entity(invoice, {"name": "Invoice", "number": "0438", "lines": [line]}), SYSTEM)
    own = await studio.add(invoice)
    return Sold(invoice, own, item, picture, await make_key(invoice))


async def make_key(ref: EntityRef, **more: Any) -> str:
    options = {"presets": None, "parents": ["https://shop.example.com"], "expires_at": None, "captions": True, **more}
    _, key = await issue_key(Scope(ref.type, ref.id), **options, private_types=(), actor=SYSTEM)
    return key


def pictures(page: httpx.Response) -> list[str]:
    """Every URL of a picture on the page, those of srcset too."""
    assert page.status_code == 200
    return list(dict.fromkeys(unescape(url) for url in re.findall(rf"{SERVE}/[^\"\s,]+", page.text)))


async def contents(client: httpx.AsyncClient, urls: list[str]) -> list[bytes]:
    answers = [await client.get(url) for url in urls]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.content for answer in answers]


def signed(links: Links, image_id: UUID, size: str = "card", v: tuple[int, int] = (1, 1), kind: Any = "pinned") -> str:
    return dataclasses.replace(links, kind=kind).signed(image_id, size, *v, int(time.time()) + 600)


@pytest.mark.parametrize("page", ["cards", "embed"])
async def test_an_invoice_opened_by_its_key_keeps_its_pictures_for_good(
    app: Litestar, studio: Studio, sold: Sold, visitor: httpx.AsyncClient, editor: httpx.AsyncClient, page: str
):
    path = f"/{page}/k/{sold.key}"
    first = pictures(await visitor.get(path))
    before = await contents(visitor, first)
    assert (await editor.get(sold.pin)).json()["pinned_by"] == "system"
    for image_id in (sold.own, sold.picture):
        await studio.replace(image_id)
    change = await editor.put(f"/api/images/{sold.own}/metadata", json={"edits": {"rotate": 90}, "caption": "Turned"})
    assert change.status_code == 200
    await render(app, str(sold.own))
    await editor.post(f"/api/images/{sold.picture}/trash")
    later = pictures(await visitor.get(path))
    assert [url.partition("&exp")[0] for url in later] == [url.partition("&exp")[0] for url in first]
    assert await contents(visitor, later) == before
    assert set(pictures(await editor.get(f"/{page}/{sold.invoice}"))) <= set(later)  # staff see what the customer sees
    assert (await visitor.get(f"{SERVE}/{sold.picture}?size=card")).status_code == 404  # elsewhere it is in the trash


async def test_pinned_urls_are_private_strong_and_exact(
    studio: Studio, sold: Sold, visitor: httpx.AsyncClient, editor: httpx.AsyncClient, links: Links
):
    assert (await editor.post(sold.pin)).status_code == 201
    await studio.replace(sold.picture, samples.jpeg(300, 400))
    url = signed(links, sold.picture)
    answer = await visitor.get(url)
    assert answer.status_code == 200
    assert answer.headers["cache-control"].startswith("private")
    assert Image.open(io.BytesIO(answer.content)).size == (400, 300)
    etag = answer.headers["etag"]
    assert (await visitor.get(url, headers={"if-none-match": etag})).status_code == 304
    part = await visitor.get(url, headers={"range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, answer.content[:10])
    head = await visitor.head(url)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    paper = await visitor.get(signed(links, sold.picture, "print"))
    assert Image.open(io.BytesIO(paper.content)).size == (640, 480)

    async def webp() -> bool:
        made = await visitor.get(url, headers={"accept": "image/webp"})
        assert made.status_code == 200
        return made.headers["content-type"] == "image/webp" and Image.open(io.BytesIO(made.content)).size == (400, 300)

    await eventually(webp)


async def test_a_signature_grants_what_it_names_and_nothing_else(
    studio: Studio, sold: Sold, visitor: httpx.AsyncClient, editor: httpx.AsyncClient, links: Links
):
    await editor.post(sold.pin)
    for image_id in (sold.picture, sold.own):
        await studio.replace(image_id)
    url = signed(links, sold.own)
    old = (await visitor.get(url)).content
    for spelled in (
        url.replace("size=card", "size=optimized"),
        url.replace("size=card", "size=original"),
        url.replace("v=1.1", "v=2.1"),
        url.replace("v=1.1", "v=1"),
        url.replace(str(sold.own), str(sold.picture)),
        url.replace("exp=1", "exp=2"),
        signed(links, sold.own, "original"),
        signed(links, sold.own, "original", (1, 1), "rendition"),
        signed(links, sold.own, v=(1, 7)),
        signed(links, await studio.add(sold.invoice), v=(1, 2)),
    ):
        assert (await visitor.get(spelled)).status_code == 404, spelled
    # the signature of a page that shows what is current, kept by somebody since
    assert (await visitor.get(signed(links, sold.own, kind="rendition"))).content != old
    late = dataclasses.replace(links, kind="pinned").signed(sold.own, "card", 1, 1, int(time.time()) - 5)
    assert (await visitor.get(late)).status_code == 410


async def test_unpinned_or_deleted_by_force_its_urls_are_dead_at_once(
    app: Litestar, studio: Studio, sold: Sold, visitor: httpx.AsyncClient, editor: httpx.AsyncClient, links: Links
):
    await editor.post(sold.pin)
    for image_id in (sold.picture, sold.own):
        await studio.replace(image_id)
        assert (await visitor.get(signed(links, image_id))).status_code == 200
    admin = await caller(app, "admin")
    assert (await admin.delete(f"/api/images/{sold.own}?force=1")).status_code == 204
    assert (await visitor.get(signed(links, sold.own))).status_code == 404
    assert (await visitor.get(signed(links, sold.picture))).status_code == 200
    assert (await editor.delete(sold.pin)).status_code == 204
    assert (await visitor.get(signed(links, sold.picture))).status_code == 404
    page = await visitor.get(f"/cards/k/{sold.key}")  # opened again, and pinned anew to what is there now
    assert all("v=2.1" in url for url in pictures(page))


async def test_the_keys_presets_and_end_hold_for_pinned_pictures(
    sold: Sold, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    await editor.post(sold.pin)
    end = datetime.now(UTC) + timedelta(minutes=5)
    key = await make_key(sold.invoice, presets=["card"], expires_at=end)
    for page in ("cards", "embed"):
        urls = [httpx.URL(url) for url in pictures(await visitor.get(f"/{page}/k/{key}"))]
        assert {url.params["size"] for url in urls} == {"card"}
        assert {int(url.params["exp"]) for url in urls} == {int(end.timestamp())}


async def test_a_pin_that_fails_or_would_have_to_wait_does_not_hurt_the_page(
    sold: Sold, visitor: httpx.AsyncClient, database_arguments: dict[str, Any]
):
    other = await asyncpg.connect(**database_arguments)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM entity WHERE id = $1 FOR NO KEY UPDATE", sold.item.id)
            page = await visitor.get(f"/cards/k/{sold.key}")
            assert len(pictures(page)) > 1
            assert await find_pin_line(sold.invoice) is None
    finally:
        await other.close()
    await visitor.get(f"/cards/k/{sold.key}")
    assert await find_pin_line(sold.invoice) is not None


async def test_twenty_first_openings_at_once_make_one_pin(sold: Sold, visitor: httpx.AsyncClient):
    paths = [f"/{page}/k/{sold.key}" for page in ("cards", "embed") for _ in range(10)]
    answers = await asyncio.gather(*(visitor.get(path) for path in paths))
    assert {answer.status_code for answer in answers} == {200}
    await visitor.get(paths[0])
    assert await database.fetch_value("SELECT count(*) FROM invoice_pin") == 1
    assert await database.fetch_value("SELECT count(*) FROM pinned_picture") == 2


async def test_the_api_pins_shows_and_unpins(app: Litestar, sold: Sold, visitor: httpx.AsyncClient):
    clients = {role: await caller(app, role) for role in ("viewer", "editor")}
    assert [(await client.post(sold.pin)).status_code for client in (visitor, clients["viewer"])] == [401, 403]
    assert (await clients["viewer"].get(sold.pin)).status_code == 404
    made = await clients["editor"].post(sold.pin)
    assert made.status_code == 201
    assert (await clients["editor"].post(sold.pin)).status_code == 200
    found = (await clients["viewer"].get(sold.pin)).json()
    assert found == made.json()
    assert found["invoice"] == {"type": "invoices", "id": sold.invoice.id}
    assert (found["items"], found["pinned_by"]) == ([sold.item.id], "token:editor")
    assert [(each["item"], each["image"]["id"]) for each in found["pictures"]] == [
        (None, str(sold.own)),
        (sold.item.id, str(sold.picture)),
    ]
    for each in found["pictures"]:
        assert (await visitor.get(each["image"]["renditions"]["card"]["url"])).status_code == 200
    assert [(await clients[role].delete(sold.pin)).status_code for role in ("viewer", "editor", "editor")] == [
        403,
        204,
        404,
    ]


async def test_the_api_says_why_it_does_not_pin(studio: Studio, sold: Sold, editor: httpx.AsyncClient):
    await studio.replace(sold.picture, ready=False)
    answer = await editor.post(sold.pin)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["detail"].startswith("1 picture is still being rendered")
    assert (await editor.post(f"/api/entities/{sold.item}/pin")).status_code == 404
    assert (await editor.post("/api/entities/invoices/none/pin")).json()["code"] == "no_such_entity"
    for method in ("GET", "POST", "DELETE"):
        assert (await editor.request(method, "/api/entities/unknown/x%00/pin")).status_code == 404


async def test_what_is_pinned_is_refused_with_the_reason_and_only_admins_force_it(
    app: Litestar, sold: Sold, editor: httpx.AsyncClient
):
    await editor.post(sold.pin)
    admin = await caller(app, "admin")
    for path in (f"/api/images/{sold.picture}", f"/api/entities/{sold.item}", f"/api/entities/{sold.invoice}"):
        refused = await admin.delete(path)
        assert (refused.status_code, refused.json()["code"]) == (409, "pinned")
        assert "pinned on invoice 0438" in refused.json()["detail"]
        assert refused.json()["invoices"] == [sold.invoice.id]
        assert (await editor.delete(f"{path}?force=1")).status_code == 403
        assert (await admin.delete(f"{path}?force=no")).status_code == 409
    assert (await editor.post(f"/api/images/{sold.picture}/trash")).status_code == 200
    assert (await editor.delete(f"/api/images/{sold.picture}")).json()["code"] == "pinned"
    assert (await admin.delete(f"/api/entities/{sold.item}?force=1")).status_code == 204
    assert (await admin.delete(f"/api/entities/{sold.invoice}?force=1")).status_code == 204


async def test_versions_say_which_of_them_are_pinned(studio: Studio, sold: Sold, editor: httpx.AsyncClient):
    await editor.post(sold.pin)
    for _ in range(KEPT + 1):
        await studio.replace(sold.own)
    listed = (await editor.get(f"/api/images/{sold.own}/versions")).json()["versions"]
    assert (len(listed), [each["version"] for each in listed if each["is_pinned"]]) == (KEPT + 2, [1])
    page = (await editor.get(f"/images/{sold.own}")).text
    assert page.count("Pinned</span>") == 1


async def test_pages_show_the_pin_and_offer_what_can_be_done(app: Litestar, sold: Sold, editor: httpx.AsyncClient):
    gallery = f"/entities/{sold.invoice}"
    viewer = await caller(app, "viewer")
    assert "Pin the pictures" in (await editor.get(gallery)).text
    seen = (await viewer.get(gallery)).text
    assert "Not pinned" in seen
    assert "Pin the pictures" not in seen
    assert 'id="pin"' not in (await editor.get(f"/entities/{sold.item}")).text
    pinned = await editor.post(f"{gallery}/pin", headers={"hx-request": "true"})
    assert pinned.status_code == 200
    assert "2 pictures are pinned" in pinned.text
    assert "Unpin…" in pinned.text
    assert "<html" not in pinned.text
    for path in (gallery, f"/images/{sold.picture}"):
        assert "Unpin…" not in (await viewer.get(path)).text
    back = await editor.post(f"{gallery}/unpin")
    assert (back.status_code, back.headers["location"]) == (303, gallery)
    assert "Not pinned" in (await editor.get(gallery)).text
    assert (await viewer.post(f"{gallery}/pin")).status_code == 403


async def test_pages_say_in_place_why_a_picture_is_not_deleted(sold: Sold, editor: httpx.AsyncClient):
    await editor.post(sold.pin)
    picture, item, trash = f"/images/{sold.picture}", f"/entities/{sold.item}", "/trash"
    link = f'<a class="link" href="/entities/{sold.invoice}">invoice 0438</a>'
    assert link in (await editor.get(picture)).text
    assert "Move to trash" in (await editor.get(picture)).text
    whole = (await editor.get(item)).text
    assert link in whole
    assert "delete-confirm" not in whole
    await editor.post(f"{picture}/trash")
    for path in (picture, trash):
        page = (await editor.get(path)).text
        assert link in page, path
        assert f'action="{picture}/delete"' not in page or path == trash
    assert "stays while it is pinned" in (await editor.get(trash)).text
    refused = await editor.post(f"{picture}/delete", headers={"accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (409, "pinned")


async def test_a_change_of_lines_keeps_the_pin_of_what_was_sold(studio: Studio, sold: Sold, editor: httpx.AsyncClient):
    await editor.post(sold.pin)
    later = await make_entity()
    await studio.add(later)
    await studio.replace(sold.picture, actor=EDITOR)
    lines = [{"item": each, "description": each, "quantity": 1} for each in (later.id, sold.item.id)]
    put = await editor.put(f"/api/entities/{sold.invoice}", json={"name": "Invoice", "lines": lines})
    assert put.status_code == 200
    urls = pictures(await editor.get(f"/cards/{sold.invoice}"))
    assert any(str(sold.picture) in url and "v=1.1" in url for url in urls)
    assert not any(str(sold.picture) in url and "v=2.1" in url for url in urls)
    assert any("sig=" not in url for url in urls)  # the new line's, as everybody sees it
