"""oEmbed: what other systems are told when they ask how to show one of our addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from portal import database
from portal.entities.kinds import EntityRef
from portal.gallery.forms import PictureFields
from portal.settings import Settings
from portal.web.security import redacted
from tests.factories import Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal

SHOP = "https://shop.example.com"


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def visitor(portal: SmallPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.visitor() as client:
        yield client


async def add(portal: SmallPortal, ref: EntityRef, **fields: Any) -> str:
    return str(await portal.studio.add(ref, fields=PictureFields(**fields)))


async def make_key(portal: SmallPortal, ref: EntityRef) -> dict[str, Any]:
    async with await portal.caller("editor") as editor:
        asked = {"scope": {"type": ref.type, "id": ref.id}, "parents": [SHOP]}
        return (await editor.post("/api/embeds", json=asked)).json()


async def test_a_public_gallery_and_its_card_have_a_frame_of_the_size_asked_for(
    portal: SmallPortal, visitor: httpx.AsyncClient
):
    ref = await make_entity(name="Mug & <b>saucer</b>")
    await add(portal, ref)
    base = portal.settings.base_url
    for path in ("embed", "cards"):
        url = f"{base}/{path}/{ref}?theme=dark&utm=x"
        answer = await visitor.get("/oembed", params={"url": url, "maxwidth": "500", "maxheight": "300"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "set-cookie" not in answer.headers
        said = answer.json()
        assert (said["version"], said["type"], said["provider_url"]) == ("1.0", "rich", base)
        assert said["title"].endswith(ref_name := "Mug & <b>saucer</b>"), ref_name
        assert said["width"] <= 500
        assert said["height"] <= 300
        assert f'src="{base}/{path}/{ref}?theme=dark"' in said["html"]
        assert 'sandbox="allow-scripts"' in said["html"]
        assert f'<script src="{base}/embed.js" async>' in said["html"]
    free = (await visitor.get("/oembed", params={"url": f"{base}/embed/{ref}"})).json()
    assert free["thumbnail_url"].startswith(f"{base}/api/images/serve/")
    assert (free["thumbnail_width"], free["thumbnail_height"]) <= (800, 600)
    assert (await visitor.get(free["thumbnail_url"].removeprefix(base))).status_code == 200


async def test_a_private_gallery_is_told_only_to_who_has_its_key(portal: SmallPortal, visitor: httpx.AsyncClient):
    ref = await make_entity("invoices", "A-1")
    await add(portal, ref)
    base, made = portal.settings.base_url, await make_key(portal, ref)
    asked = [
        (
            await visitor.get(
                "/oembed", params={"url": f"{base}/embed/invoices/{id}"}, headers={"accept": "application/json"}
            )
        )
        for id in ("A-1", "A-2")
    ]
    assert [answer.status_code for answer in asked] == [404, 404]
    assert asked[0].json()["detail"].replace("A-1", "A-2") == asked[1].json()["detail"]
    said = await visitor.get("/oembed", params={"url": made["url"]})
    assert said.status_code == 200
    assert said.headers["cache-control"] == "private, no-store"
    assert made["url"] in said.json()["html"]
    assert "sig=" in said.json()["thumbnail_url"]
    await database.execute("UPDATE embed_key SET expires_at = now() - interval '1 second'")
    assert (await visitor.get("/oembed", params={"url": made["url"]})).status_code == 410
    await database.execute("UPDATE embed_key SET expires_at = NULL, revoked_at = now()")
    assert (await visitor.get("/oembed", params={"url": made["url"]})).status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("url=", 400),
        ("url=https://evil.example/embed/inventory_items/A", 404),
        ("url=/embed/inventory_items/A", 404),
        ("url={base}/embed/inventory_items/nobody", 404),
        ("url={base}/embed/pets/A", 404),
        ("url={base}/cards/companies/A", 404),
        ("url={base}/embed/k/%00%FF", 404),
        ("url={base}/embed/k/" + "x" * 5000, 404),
        ("url={base}/embed/inventory_items/%2e%2e", 404),
        ("url=http://[", 404),
        ("url={base}@evil.example/embed/inventory_items/A", 404),
        ("url={base}/embed/inventory_items/A&maxwidth=-1", 400),
        ("url={base}/embed/inventory_items/A&maxheight=1e9", 400),
        ("url={base}/embed/inventory_items/A&format=xml", 501),
    ],
)
async def test_what_cannot_be_answered_is_refused_cleanly(
    portal: SmallPortal, visitor: httpx.AsyncClient, db: None, query: str, status: int
):
    answer = await visitor.get(f"/oembed?{query.format(base=portal.settings.base_url)}")
    assert answer.status_code == status, answer.text


async def test_pages_tell_where_their_answer_is_and_what_picture_stands_for_them(
    portal: SmallPortal, visitor: httpx.AsyncClient
):
    public, private = await make_entity(name="Fjord mug"), await make_entity("invoices")
    await add(portal, public, alt_text='A "blue" mug')
    await add(portal, private)
    base, made = portal.settings.base_url, await make_key(portal, private)
    key_path = httpx.URL(made["url"]).path
    for path in (f"/embed/{public}", f"/cards/{public}", key_path, key_path.replace("/embed/", "/cards/")):
        page = (await visitor.get(f"{path}?layout=strip" if "/embed/" in path else path)).text
        found = unescape(page)
        assert f'<meta property="og:image" content="{base}/api/images/serve/' in found
        assert ("sig=" in found) == ("/k/" in path)
        assert '<meta name="robots" content="noindex">' in found
        link = f"{base}{path}?layout=strip" if "/embed/" in path else f"{base}{path}"
        assert f"{base}/oembed?url={quote(link, safe='')}" in found
    async with await portal.caller("viewer") as viewer:
        seen = (await viewer.get(f"/embed/{private}")).text
    assert "og:image" not in seen
    assert "oembed" not in seen


def test_a_key_in_the_address_asked_for_is_not_logged():
    scope: Any = {
        "path": "/oembed",
        "raw_path": b"/oembed",
        "query_string": b"maxwidth=9&url=https%3A%2F%2Fa%2Fembed%2Fk%2FSECRET",
    }
    assert redacted(scope) == "/oembed?maxwidth=9&url=…"
