"""The page of embed keys, as plain forms and for htmx: the key is said once and stands nowhere else."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from litestar import Litestar

from portal import database
from portal.embed.keys import Scope, issue_key
from portal.gallery.forms import PictureFields
from portal.imaging.presets import READY
from tests.factories import EDITOR, Studio, make_entity
from tests.web.whole_app import caller, working_app

PATH = "/settings/embeds"
SHOP = "https://shop.example.com"
PLAIN = {"accept": "text/html"}
HTMX = {"hx-request": "true"}
HOSTILE = '"><svg onload=alert(1)>{{7*7}}'


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


def form(**changes: Any) -> dict[str, Any]:
    return {
        "scope": "one",
        "type": "invoices",
        "id": "A-1",
        "sites": SHOP,
        "sizes": list(READY),
        "ends": "never",
        "captions": "true",
    } | changes


async def post(client: httpx.AsyncClient, path: str, headers: dict[str, str], **fields: Any) -> httpx.Response:
    body = urlencode(fields, doseq=True).encode()
    return await client.post(
        path, content=body, headers={"content-type": "application/x-www-form-urlencoded", **headers}
    )


def key_in(answer: httpx.Response) -> str:
    (key,) = set(re.findall(r"/embed/k/([A-Za-z0-9_-]{22})", answer.text))
    return key


async def everything_stored() -> str:
    """Every row of every table that a key could have slipped into, as text."""
    said = ""
    for name in ("embed_key", "audit", "audit_change", "idempotency", "session"):
        said += await database.fetch_value(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {name} AS t") or ""
    return said


@pytest.mark.parametrize("headers", [PLAIN, HTMX], ids=["plain", "htmx"])
async def test_a_new_key_is_shown_once_and_stands_nowhere_else(
    editor: httpx.AsyncClient,
    visitor: httpx.AsyncClient,
    headers: dict[str, str],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.WARNING, "httpx")  # the client's own log names the address
    await make_entity("invoices", "A-1", name="Spring terrace")
    answer = await post(editor, PATH, headers, **form())
    assert answer.status_code == 200
    key = key_in(answer)
    assert (await visitor.get(f"/embed/k/{key}")).status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert key not in str(answer.headers)
    page = await editor.get(PATH, headers=PLAIN)
    assert key not in page.text
    assert "Spring terrace" in page.text
    assert key not in await everything_stored()
    said = capfd.readouterr()
    assert key not in said.out + said.err


async def test_a_new_key_to_an_invoice_without_pictures_of_its_own_leads_to_the_card(
    editor: httpx.AsyncClient, studio: Studio
):
    ref = await make_entity("invoices", "A-1")
    bare = await post(editor, PATH, HTMX, **form())
    assert "choose Card" in bare.text
    await studio.add(ref)
    assert "choose Card" not in (await post(editor, PATH, HTMX, **form())).text


async def test_the_snippet_and_the_preview_are_those_of_the_key(editor: httpx.AsyncClient, app: Litestar):
    await make_entity("invoices", "A-1")
    answer = await post(editor, PATH, PLAIN, **form())
    key, base = key_in(answer), app.state.settings.base_url
    text = re.search(r"<textarea[^>]+made-snippet[^>]+>(.*?)</textarea>", answer.text, re.DOTALL)
    assert text is not None
    snippet = unescape(text[1])
    assert f'<iframe src="{base}/embed/k/{key}" sandbox="allow-scripts"' in snippet
    assert f'<script src="{base}/embed.js" async></script>' in snippet
    assert f'<iframe src="/embed/k/{key}" sandbox="allow-scripts"' in answer.text
    for shown in (answer, await editor.get(PATH, headers=PLAIN)):
        assert "frame-src 'self'" in shown.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    framed = await editor.get(f"/embed/k/{key}")
    assert f"frame-ancestors {SHOP} 'self'" in framed.headers["content-security-policy"]
    assert "frame-src" not in (await editor.get("/trash", headers=PLAIN)).headers["content-security-policy"]


async def test_a_key_for_a_whole_type_is_previewed_with_a_gallery_that_has_pictures(
    editor: httpx.AsyncClient, studio: Studio
):
    await make_entity("invoices", "BARE")
    await studio.add(await make_entity("invoices", "A-1", name="Spring terrace"))
    answer = await post(editor, PATH, PLAIN, **form(scope="type", id=""))
    key = key_in(answer)
    assert f'src="/embed/k/{key}?id=A-1"' in answer.text
    assert f"/embed/k/{key}?id=ID" in unescape(answer.text)
    assert "Key to all invoices" in answer.text
    assert "All invoices" in answer.text


async def test_a_refused_form_says_so_beside_each_field_and_loses_nothing(editor: httpx.AsyncClient):
    await make_entity("invoices", "A-1")
    wrong = form(id="nobody", sites=f"{SHOP}/path", sizes=["icon"], ends="date", until="2001-01-01")
    plain, fragment = await post(editor, PATH, PLAIN, **wrong), await post(editor, PATH, HTMX, **wrong)
    assert plain.status_code == fragment.status_code == 422
    for text in (plain.text, fragment.text):
        assert "is not a site" in text
        assert "Choose a day to come" in text
        assert f"{SHOP}/path" in text
        assert re.search(r'value="icon" checked', text)
        assert not re.search(r'value="card" checked', text)
        assert 'value="2001-01-01"' in text
    assert "<html" not in fragment.text
    missing = await post(editor, PATH, PLAIN, **form(id="nobody"))
    assert (missing.status_code, "There is no invoice with this id" in missing.text) == (422, True)
    assert await database.fetch_value("SELECT count(*) FROM embed_key") == 0


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "pets"},
        {"type": ""},
        {"scope": "all"},
        {"id": "x" * 10_000},
        {"id": HOSTILE},
        {"sites": HOSTILE},
        {"sites": "\n".join(f"https://s{number}.example.com" for number in range(21))},
        {"sites": ""},
        {"sites": "*"},
        {"sites": "https://*.com"},
        {"sizes": "original"},
        {"sizes": ["print"]},
        {"sizes": []},
        {"ends": "99999d"},
        {"ends": "date", "until": HOSTILE},
    ],
)
async def test_whatever_is_sent_is_a_form_again(editor: httpx.AsyncClient, odd: dict[str, Any]):
    answer = await post(editor, PATH, PLAIN, **form(**odd))
    assert answer.status_code == 422
    assert "<svg onload" not in answer.text
    assert 'class="error"' in answer.text


async def test_a_link_from_a_gallery_fills_the_form_in(editor: httpx.AsyncClient, studio: Studio):
    ref = await make_entity("inventory_items", "MUG.1", name="Fjord mug")
    await studio.add(ref)
    gallery = await editor.get(f"/entities/{ref}", headers=PLAIN)
    found = re.search(rf'href="({PATH}\?[^"]+)"', gallery.text)
    assert found is not None
    page = await editor.get(unescape(found[1]), headers=PLAIN)
    assert "New key to Fjord mug" in page.text
    assert 'value="MUG.1"' in page.text
    assert '<option value="inventory_items" selected>' in page.text
    for query in ("type=pets&id=x", f"type=invoices&id={HOSTILE}", "type=invoices&id=%00", "id=nobody"):
        odd = await editor.get(f"{PATH}?{query}", headers=PLAIN)
        assert odd.status_code == 200
        assert "<svg onload" not in odd.text


async def test_the_field_for_an_id_offers_what_is_meant(editor: httpx.AsyncClient):
    await make_entity("invoices", "A-1", name="Spring terrace")
    await make_entity("invoices", "A-2", name="Autumn")
    offered = await editor.get(f"{PATH}/galleries?type=invoices&id=spring")
    assert '<option value="A-1">Spring terrace</option>' in offered.text
    assert "A-2" not in offered.text
    assert (await editor.get(f"{PATH}/galleries?type=pets")).status_code == 422


async def issue(scope: Scope, *parents: str, **given: Any) -> str:
    values: dict[str, Any] = {"presets": None, "expires_at": None, "captions": True} | given
    id, _ = await issue_key(scope, parents=parents or (SHOP,), private_types=(), actor=EDITOR, **values)
    return str(id)


async def test_the_list_says_what_each_key_shows_where_and_how_long(editor: httpx.AsyncClient, studio: Studio):
    ref = await make_entity("customers", "C-1", name=HOSTILE)
    await studio.add(ref, fields=PictureFields())
    await issue(Scope("customers", "C-1"), SHOP, "https://b.example", presets=["icon", "card"], captions=False)
    await issue(Scope("invoices"))
    gone = await make_entity("invoices", "GONE")
    await issue(Scope(gone.type, gone.id))
    await database.execute("DELETE FROM entity WHERE id = 'GONE'")
    await database.execute("UPDATE embed_key SET expires_at = now() + interval '3 days 1 hour' WHERE scope_id = 'C-1'")
    await database.execute("UPDATE embed_key SET expires_at = now() - interval '3 days 1 hour' WHERE scope_id = 'GONE'")
    text = unescape((await editor.get(PATH, headers=PLAIN)).text)
    for said in (
        "3 keys",
        "All invoices",
        "Invoice GONE, deleted",
        "Expires soon",
        "Expires in 3 days",
        "Expired 3 days ago",
        "Never expires",
        "and 1 more",
        "Icon, card, no captions",
        "by ed@example.com",
        f"its picture goes dark on {SHOP}, https://b.example",
    ):
        assert said in text, said
    assert "<svg onload" not in (await editor.get(PATH, headers=PLAIN)).text


async def test_the_list_is_paged(editor: httpx.AsyncClient):
    for number in range(51):
        await make_entity("invoices", f"N-{number}", name=f"Number {number}")
        await issue(Scope("invoices", f"N-{number}"))
    first = (await editor.get(PATH, headers=PLAIN)).text
    assert "51 keys" in first
    assert ("Number 50<" in first, "Number 0<" in first) == (True, False)
    older = re.search(rf'href="({PATH}\?cursor=[^"]+)"', first)
    assert older is not None
    second = (await editor.get(older[1], headers=PLAIN)).text
    assert ("Number 50<" in second, "Number 0<" in second) == (False, True)
    assert (await editor.get(f"{PATH}?cursor=bm9wZQ", headers=PLAIN)).status_code == 422


@pytest.mark.parametrize("headers", [PLAIN, HTMX], ids=["plain", "htmx"])
async def test_a_key_is_revoked_by_its_form(
    editor: httpx.AsyncClient, visitor: httpx.AsyncClient, headers: dict[str, str], app: Litestar
):
    await make_entity("invoices", "A-1")
    key = key_in(await post(editor, PATH, PLAIN, **form()))
    assert (await visitor.get(f"/embed/k/{key}")).status_code == 200
    id = await database.fetch_value("SELECT id FROM embed_key")
    answer = await post(editor, f"{PATH}/{id}/revoke", headers)
    if headers is HTMX:
        assert (answer.status_code, "No keys yet" in answer.text) == (200, True)
    else:
        assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    assert (await visitor.get(f"/embed/k/{key}")).status_code == 404
    assert (await post(editor, f"{PATH}/{id}/revoke", PLAIN)).status_code == 404


async def test_only_editors_see_the_page_and_its_link(app: Litestar, visitor: httpx.AsyncClient):
    viewer = await caller(app, "viewer")
    await make_entity("inventory_items", "MUG")
    assert (await viewer.get(PATH, headers=PLAIN)).status_code == 403
    assert (await post(viewer, PATH, PLAIN, **form())).status_code == 403
    gallery = (await viewer.get("/entities/inventory_items/MUG", headers=PLAIN)).text
    assert PATH not in gallery
    assert 'href="/embed/inventory_items/MUG"' in gallery
    stranger = await visitor.get(PATH, headers=PLAIN)
    assert (stranger.status_code, stranger.headers["location"].startswith("/login")) == (303, True)
