"""Galleries and cards in foreign frames, and the keys that open private ones."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from portal import database
from portal.audit.actors import SYSTEM
from portal.embed.keys import revoke_key
from portal.entities.kinds import EntityRef
from portal.gallery.forms import PictureFields
from portal.settings import Settings
from tests.factories import Studio, make_entity
from tests.waiting import eventually
from tests.web.embedding_app import SmallPortal, small_portal

SHOP = "https://shop.example.com"


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


@pytest.fixture
async def editor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with await portal.caller("editor") as client:
        yield client


async def add(portal: SmallPortal, ref: EntityRef, **fields: Any) -> str:
    return str(await portal.studio.add(ref, fields=PictureFields(**fields)))


async def make_key(editor: httpx.AsyncClient, ref: EntityRef, **more: Any) -> dict[str, Any]:
    asked = {"scope": {"type": ref.type, "id": ref.id}, "parents": [SHOP], **more}
    answer = await editor.post("/api/embeds", json=asked)
    assert answer.status_code == 201, answer.text
    return answer.json()


def path_of(made: dict[str, Any]) -> str:
    return httpx.URL(made["url"]).path


def pictures(page: httpx.Response) -> list[str]:
    return [unescape(url) for url in re.findall(r'(?:src|href)="(/api/images/serve/[^"]+)"', page.text)]


def ancestors(page: httpx.Response) -> str:
    (policy,) = page.headers.get_list("content-security-policy")
    return policy.partition("frame-ancestors ")[2].partition(";")[0]


async def test_a_public_gallery_can_be_framed_by_all_and_shows_what_is_ready(
    portal: SmallPortal, visitor: httpx.AsyncClient
):
    ref = await make_entity()
    ready = await add(portal, ref, alt_text="Mug from the front")
    pending = str(await portal.studio.add(ref, ready=False))
    page = await visitor.get(f"/embed/{ref}")
    assert page.status_code == 200
    assert ready in page.text
    assert pending not in page.text
    assert ancestors(page) == "* 'self'"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "public, max-age=60"
    assert page.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "x-frame-options" not in page.headers
    assert "set-cookie" not in page.headers
    assert portal.settings.base_url in page.headers["content-security-policy"]
    for url in pictures(page):
        assert (await visitor.get(url)).status_code == 200


async def test_only_these_sites_may_frame_public_galleries_where_the_settings_say_so(config: Settings, studio: Studio):
    portal = small_portal(config.replace(embed_parents="https://a.example, https://b.example"), studio)
    ref = await make_entity()
    async with portal.visitor() as visitor:
        assert ancestors(await visitor.get(f"/embed/{ref}")) == "https://a.example https://b.example 'self'"


async def test_a_private_gallery_and_none_at_all_look_the_same(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity("invoices", "A-1")
    for path in ("/embed", "/cards"):
        said = [
            (await visitor.get(f"{path}/invoices/{id}", headers={"accept": "application/json"})).json()
            for id in (ref.id, "A-2")
        ]
        assert [answer["status"] for answer in said] == [404, 404]
        assert said[0]["detail"].replace("A-1", "A-2") == said[1]["detail"]
        assert said[0]["code"] == said[1]["code"]
    async with await portal.caller("viewer") as viewer:
        page = await viewer.get(f"/embed/{ref}")
    assert (page.status_code, page.headers["cache-control"]) == (200, "private, no-store")
    assert ancestors(page) == "'self'"


async def test_a_key_opens_a_private_gallery_for_its_sites(
    portal: SmallPortal, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    ref = await make_entity("invoices")
    await add(portal, ref, caption="Delivered so")
    made = await make_key(editor, ref)
    assert set(made) >= {"id", "key", "url", "snippet"}
    page = await visitor.get(path_of(made))
    assert page.status_code == 200
    assert ancestors(page) == f"{SHOP} 'self'"
    assert page.headers["x-robots-tag"] == "noindex"
    assert page.headers["cache-control"] == "private, no-store"
    assert pictures(page)
    for url in pictures(page):
        assert "sig=" in url
        assert (await visitor.get(url)).status_code == 200
        assert (await visitor.get(url.partition("&exp=")[0])).status_code == 404


async def test_a_key_shows_only_its_presets_and_hides_captions(
    portal: SmallPortal, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    ref = await make_entity("invoices")
    await add(portal, ref, caption="Secret")
    made = await make_key(editor, ref, presets=["medium"], captions=False)
    for layout in ("grid", "strip", "carousel"):
        page = await visitor.get(f"{path_of(made)}?layout={layout}&captions=1")
        assert page.status_code == 200
        assert {dict(httpx.URL(url).params)["size"] for url in pictures(page)} == {"medium"}
        assert "<figcaption>" not in page.text
    assert (await visitor.get(path_of(made).replace("/embed/", "/cards/"))).status_code == 200


async def test_a_key_of_a_type_opens_the_entity_that_the_url_names(
    portal: SmallPortal, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    ref, other = await make_entity("invoices"), await make_entity("companies")
    made = (await editor.post("/api/embeds", json={"scope": {"type": "invoices"}, "parents": [SHOP]})).json()
    for path in ("embed", "cards"):
        keyed = path_of(made).replace("/embed/", f"/{path}/")
        assert (await visitor.get(f"{keyed}?id={ref.id}")).status_code == 200
        assert (await visitor.get(f"{keyed}?entity={ref}")).status_code == 200
        for query in ("", f"?id={other.id}", f"?entity={other}", "?id=../x", "?id=%00"):
            assert (await visitor.get(keyed + query)).status_code == 404
    one = path_of(await make_key(editor, ref))
    assert (await visitor.get(f"{one}?id=other")).status_code == 404


async def test_a_key_ends_when_it_expires_or_is_revoked(
    portal: SmallPortal, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    ref = await make_entity("invoices")
    await add(portal, ref)
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    made = await make_key(editor, ref, expires=soon)
    page = await visitor.get(path_of(made))
    ends = {int(dict(httpx.URL(url).params)["exp"]) for url in pictures(page)}
    assert all(end <= datetime.fromisoformat(soon).timestamp() for end in ends)
    await database.execute("UPDATE embed_key SET expires_at = now() - interval '1 second'")
    assert (await visitor.get(path_of(made))).status_code == 410
    second = await make_key(editor, ref)
    assert (await editor.delete(f"/api/embeds/{second['id']}")).status_code == 204
    assert (await visitor.get(path_of(second))).status_code == 404
    assert (await editor.delete(f"/api/embeds/{second['id']}")).status_code == 404
    assert (await visitor.get(path_of(second)[:-1] + "~")).status_code == 404


async def test_keys_are_made_listed_and_revoked_by_editors(
    portal: SmallPortal, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    ref = await make_entity("invoices")
    made = await make_key(editor, ref)
    assert f'src="{made["url"]}"' in made["snippet"]
    assert 'sandbox="allow-scripts"' in made["snippet"]
    assert f'<script src="{portal.settings.base_url}/embed.js"' in made["snippet"]
    listed = (await editor.get("/api/embeds")).json()
    assert (listed["total"], listed["next"]) == (1, None)
    assert listed["embeds"][0]["id"] == made["id"]
    assert made["key"] not in str(listed)
    for wrong in (
        {},
        {"scope": "invoices"},
        {"scope": {"type": "invoices", "id": 7}},
        {"scope": {"type": "pets"}, "parents": [SHOP]},
        {"scope": {"type": ref.type, "id": ref.id}},
        {"scope": {"type": ref.type, "id": ref.id}, "parents": SHOP},
        {"scope": {"type": ref.type, "id": ref.id}, "parents": [SHOP], "expires": "tomorrow"},
        {"scope": {"type": ref.type, "id": ref.id}, "parents": [SHOP], "expires": "2001-01-01T00:00:00Z"},
        {"scope": {"type": ref.type, "id": ref.id}, "parents": [SHOP], "expires": "2999-01-01T00:00:00"},
        {"scope": {"type": ref.type, "id": ref.id}, "parents": [SHOP], "presets": ["original"]},
        {"scope": {"type": ref.type, "id": ref.id}, "parents": [SHOP], "captions": 1},
        {"scope": {"type": ref.type, "id": ref.id}, "parents": [SHOP], "more": 1},
        {"scope": {"type": ref.type, "id": "A\u0000"}, "parents": [SHOP]},
    ):
        assert (await editor.post("/api/embeds", json=wrong)).status_code == 422, wrong
    missing = {"scope": {"type": ref.type, "id": "nobody"}, "parents": [SHOP]}
    assert (await editor.post("/api/embeds", json=missing)).json()["code"] == "no_such_entity"
    assert (await editor.delete("/api/embeds/x")).status_code == 404
    assert (await editor.delete(f"/api/embeds/{uuid4()}")).status_code == 404
    async with await portal.caller("viewer") as viewer:
        assert (await viewer.get("/api/embeds")).status_code == 403
    assert (await visitor.get("/api/embeds")).status_code == 401


async def test_a_public_invoice_shows_visitors_nothing_of_private_items(config: Settings, studio: Studio):
    portal = small_portal(config.replace(private_types=frozenset({"inventory_items"})), studio)
    item, invoice = await make_entity(name="Secret mug"), await make_entity("invoices")
    picture = await add(portal, item)
    await database.execute(
        """INSERT INTO invoice_line (invoice, position, item, description, quantity)
           SELECT pk, 0, $1, 'Sold as seen', 1 FROM entity WHERE type = 'invoices'""",
        item.id,
    )
    async with portal.visitor() as visitor, await portal.caller("viewer") as viewer:
        seen, shown = (await visitor.get(f"/cards/{invoice}")).text, (await viewer.get(f"/cards/{invoice}")).text
    assert "Sold as seen" in seen
    assert "Secret mug" not in seen
    assert picture not in seen
    assert picture in shown


async def test_an_invoices_card_has_its_lines_their_pictures_and_a_code_to_scan(
    portal: SmallPortal, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    mug, customer = await make_entity(name="Fjord mug"), await make_entity("customers", name="Café Lindqvist")
    await add(portal, mug, alt_text="Blue mug")
    invoice = await make_entity("invoices", name="Spring terrace")
    await database.execute(
        """UPDATE entity SET number = '2026-0438', date = '2026-11-22', currency = 'EUR', total = 35, parent_type = $1,
           parent_id = $2 WHERE type = 'invoices'""",
        customer.type,
        customer.id,
    )
    await database.execute(
        """INSERT INTO invoice_line (invoice, position, item, description, quantity, unit_price)
           SELECT pk, 0, $1, 'Fjord mug, blue', 2, 14 FROM entity WHERE type = 'invoices'
           UNION ALL SELECT pk, 1, 'NOT-YET', 'Freight', 1, NULL FROM entity WHERE type = 'invoices'""",
        mug.id,
    )
    made = await make_key(editor, invoice)
    page = await visitor.get(path_of(made).replace("/embed/", "/cards/"))
    assert page.status_code == 200
    for said in (
        "Invoice 2026-0438",
        "Café Lindqvist",
        "Fjord mug",
        "Freight",
        "€28.00",
        "€35.00",
        'alt="Blue mug"',
        "<svg",
    ):
        assert said in page.text
    assert f'href="{path_of(made)}"' in page.text
    assert ancestors(page) == f"{SHOP} 'self'"
    for url in pictures(page):
        assert (await visitor.get(url)).status_code == 200
    assert (await visitor.get(f"/cards/{invoice}")).status_code == 404
    assert (await editor.get(f"/cards/{invoice}")).status_code == 200


async def test_a_public_card_tells_visitors_nothing_that_only_staff_may_read(
    portal: SmallPortal, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    customer = await make_entity("customers", name="Café Lindqvist")
    item = await make_entity(name="Fjord mug")
    await database.execute(
        """UPDATE entity SET attributes = '{"purchase_price": "4.10"}', reference = 'internal 7', parent_type = $1,
           parent_id = $2 WHERE type = 'inventory_items'""",
        customer.type,
        customer.id,
    )
    await add(portal, item)
    public, staff = (await visitor.get(f"/cards/{item}")).text, (await editor.get(f"/cards/{item}")).text
    for secret in ("4.10", "internal 7", "Café Lindqvist"):
        assert secret not in public
        assert secret in staff
        assert secret not in (await visitor.get(f"/embed/{item}")).text


async def test_there_are_no_cards_of_other_types(visitor: httpx.AsyncClient, editor: httpx.AsyncClient, db: None):
    company = await make_entity("companies")
    assert (await visitor.get(f"/cards/{company}")).status_code == 404
    made = await make_key(editor, company)
    assert (await visitor.get(path_of(made).replace("/embed/", "/cards/"))).status_code == 404
    assert (await visitor.get(f"/qr/{company}.svg")).status_code == 404


async def test_a_code_leads_to_the_card_and_is_for_who_may_see_the_card(
    portal: SmallPortal, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    item, invoice = await make_entity(id="A.1"), await make_entity("invoices")
    svg, png = await visitor.get(f"/qr/{item}.svg"), await visitor.get(f"/qr/{item}.png")
    assert (svg.headers["content-type"], svg.text[:5]) == ("image/svg+xml", "<svg ")
    assert (png.headers["content-type"], png.content[:4]) == ("image/png", b"\x89PNG")
    assert svg.headers["content-security-policy"] == "default-src 'none'; sandbox"
    zxingcpp = pytest.importorskip("zxingcpp")
    assert read_code(zxingcpp, png.content) == f"{portal.settings.base_url}/cards/{item}"
    for path in (f"/qr/{invoice}.svg", "/qr/inventory_items/none.svg", f"/qr/{item}", f"/qr/{item}.gif"):
        assert (await visitor.get(path)).status_code == 404
    mine = await editor.get(f"/qr/{invoice}.png")
    assert (mine.status_code, mine.headers["cache-control"]) == (200, "private, max-age=300")


def read_code(zxingcpp: Any, data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as picture:
        return zxingcpp.read_barcodes(picture.convert("L"))[0].text


async def test_revoking_is_heard_by_a_portal_that_knows_the_key(
    portal: SmallPortal, visitor: httpx.AsyncClient, editor: httpx.AsyncClient
):
    ref = await make_entity("invoices")
    made = await make_key(editor, ref)
    task = asyncio.create_task(portal.grants.run())

    async def is_closed() -> bool:
        return (await visitor.get(path_of(made))).status_code == 404

    try:
        await eventually(lambda: portal.grants.is_trusted)
        assert not await is_closed()
        await revoke_key(made["id"], SYSTEM)
        await eventually(is_closed)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
