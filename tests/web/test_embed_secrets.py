"""What no key gives away: originals, what a camera wrote into them, other sizes; and the key itself."""

from __future__ import annotations

import hashlib
import io
import itertools
import logging
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from litestar import Litestar
from PIL import Image

from portal.imaging.presets import READY
from tests import samples
from tests.factories import make_entity
from tests.waiting import eventually
from tests.web.raw import Answer, ask
from tests.web.whole_app import render, working_app

SHOP: Final = "https://shop.example.com"
PICTURES: Final = {
    "camera.jpg": samples.with_location(),
    "camera.png": samples.with_location_in("PNG"),
    "camera.webp": samples.with_location_in("WEBP"),
    "remark.gif": samples.gif_comment(b"\x0eSECRET-COMMENT"),
}
ORIGINALS: Final = {hashlib.sha256(data).digest() for data in PICTURES.values()}
TELLTALE: Final = re.compile(rb"SECRET-|Exif\0\0|EXIF|GPS|xmpmeta|ns\.adobe\.com|Photoshop|Canon|Pixel 9")
LINK: Final = re.compile(r"(?:https?://[^/\s\"'<>]+)?(/api/images/serve/[^\s\"'<>,]+)")
FORMATS: Final = ("jpeg", "webp", "avif")


@pytest.fixture(scope="module")
async def app(pool: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litestar]:
    async with working_app(tmp_path_factory.mktemp("data")) as app:
        yield app


async def fill(app: Litestar, editor: httpx.AsyncClient, kind: str) -> list[str]:
    """A gallery of this type with every kind of talkative picture; the ids."""
    await make_entity(kind, "A-1")
    ids = []
    for name, data in PICTURES.items():
        form = {"entity_type": kind, "entity_id": "A-1", "caption": "What is to be seen"}
        answer = await editor.post("/api/images/upload", data=form, files={"file": (name, data)})
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
        await render(app, ids[-1])
    return ids


async def issue(editor: httpx.AsyncClient, kind: str, **more: Any) -> str:
    asked = {"scope": {"type": kind, "id": "A-1"}, "parents": [SHOP], **more}
    answer = await editor.post("/api/embeds", json=asked)
    assert answer.status_code == 201, answer.text
    return answer.json()["key"]


def pages_of(app: Litestar, key: str, kind: str) -> list[str]:
    """Everything that is to be seen under a key."""
    base = app.state.settings.base_url
    pages = [f"/embed/k/{key}?layout={layout}" for layout in ("grid", "strip", "carousel")]
    pages += [f"/embed/k/{key}/sheet.{form}" for form in ("jpg", "pdf")]
    pages.append(f"/oembed?url={quote(f'{base}/embed/k/{key}', safe='')}")
    if kind in ("invoices", "inventory_items", "customers"):
        pages += [f"/cards/k/{key}", f"/qr/k/{key}.svg", f"/qr/k/{key}.png"]
    return pages


async def links_under(app: Litestar, key: str, kind: str) -> set[str]:
    """Each picture's URL in each page: href, src, srcset and meta."""
    found: set[str] = set()
    for path in pages_of(app, key, kind):
        answer = await ask(app, path)
        assert answer.status == 200, (path, answer.status)
        if answer.headers["content-type"].startswith(("text/html", "application/json")):
            text = unescape(answer.body.decode()).replace("\\/", "/")
            found |= {unescape(link) for link in LINK.findall(text)}
        else:
            assert hashlib.sha256(answer.body).digest() not in ORIGINALS
            assert b"SECRET-" not in answer.body
    return found


def check_bytes(answer: Answer) -> None:
    assert hashlib.sha256(answer.body).digest() not in ORIGINALS
    assert TELLTALE.search(answer.body[:4096]) is None
    assert b"SECRET-" not in answer.body
    with Image.open(io.BytesIO(answer.body)) as picture:
        assert not picture.getexif()
        assert not {"exif", "xmp", "comment", "photoshop", "XML:com.adobe.xmp"} & set(picture.info)


@pytest.mark.parametrize("kind", ["inventory_items", "invoices"])
async def test_no_key_in_any_size_and_format_gives_an_original_or_what_a_camera_wrote(
    app: Litestar, editor: httpx.AsyncClient, kind: str
):
    ids = await fill(app, editor, kind)
    links: set[str] = set()
    for presets in (None, *([name] for name in READY)):
        key = await issue(editor, kind, presets=presets)
        under = await links_under(app, key, kind)
        sizes = {parse_qs(urlsplit(link).query)["size"][0] for link in under}
        assert sizes <= set(presets or READY)
        assert sizes, presets
        assert all(("sig=" in link) == (kind == "invoices") for link in under)
        links |= under
    assert {id for id in ids if any(id in link for link in links)} == set(ids)
    for link, form in itertools.product(sorted(links), FORMATS):
        answer = await ask(app, f"{link}&format={form}", accept="image/avif,image/webp,*/*")
        assert answer.status == 200, link
        check_bytes(answer)


@pytest.mark.parametrize("form", ["webp", "avif"])
async def test_formats_made_later_hold_nothing_of_the_camera_either(
    app: Litestar, editor: httpx.AsyncClient, form: str
):
    """Asked for before they are made, the JPEG is sent: here is waited for them."""
    await fill(app, editor, "invoices")
    key = await issue(editor, "invoices", presets=["optimized"])
    made: set[str] = set()
    for link in await links_under(app, key, "invoices"):

        async def is_settled(link: str = link) -> bool:
            answer = await ask(app, f"{link}&format={form}")
            check_bytes(answer)
            made.add(answer.headers["content-type"])
            return "max-age=60" not in answer.headers["cache-control"] or form == "avif"

        await eventually(is_settled)
    assert made & {"image/webp", "image/avif", "image/jpeg"}


async def test_what_is_signed_for_a_keys_sizes_opens_no_other(app: Litestar, editor: httpx.AsyncClient):
    await fill(app, editor, "invoices")
    key = await issue(editor, "invoices", presets=["small"])
    for link in await links_under(app, key, "invoices"):
        for size in (*READY, "print", "original"):
            expected = 200 if size == "small" else 404
            assert (await ask(app, link.replace("size=small", f"size={size}"))).status == expected


def spellings(id: str) -> list[str]:
    """Ways to write the address of a picture that may be seen by nobody."""
    root = "/api/images/serve"
    ids = [id, id.upper(), f"{{{id}}}", f"urn:uuid:{id}", id.replace("-", ""), f"%{ord(id[0]):02x}{id[1:]}"]
    ids += [
        f"{id}/",
        f"{id}/.",
        f"{id}/..",
        f"{id}.",
        f"{id};",
        f"{id};a=b",
        f"{id}%00",
        f"{id}%2f",
        f"{id}%20",
        f"./{id}",
    ]
    ids += [f"../serve/{id}", f"x/../{id}", f"/{id}", f"%2e/{id}", f"{id}.jpg", f"{id}?", f"{id}%3fsize=card"]
    paths = [f"{root}/{each}" for each in ids]
    paths += [f"/{root}/{id}", f"{root}//{id}", f"/api//images/serve/{id}", f"/API/images/serve/{id}"]
    paths += [
        f"/api/images/./serve/{id}",
        f"/api/%69mages/serve/{id}",
        f"/static/..{root}/{id}",
        f"/embed/..{root}/{id}",
    ]
    queries = ["size=original", "size=original&download=1", "size=icon&size=card", "v=1", "v=1.1", "v=1.1&v=1.1"]
    queries += [
        "format=jpeg",
        "format=webp",
        "format=avif",
        "format=auto&format=jpeg",
        "fallback=invoices",
        "size=card&fallback=categories",
        "size=print",
    ]
    queries += [
        "sig=",
        "exp=9999999999",
        "exp=9999999999&sig=",
        "exp=9999999999&sig=A",
        "size=card&v=1.1&exp=9999999999&sig=A",
    ]
    queries += [f"size={name}" for name in READY]
    return [*paths, *(f"{root}/{id}?{query}" for query in queries)]


CONDITIONS: Final[list[dict[str, str]]] = [
    {},
    {"range": "bytes=0-99"},
    {"accept": "image/avif,image/webp,*/*"},
    {"if_modified_since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    {"cookie": "portal_session=nobody"},
    {"x_forwarded_for": "127.0.0.1"},
    {"x_original_url": "/health/live"},
]


async def test_bytes_of_private_types_are_refused_to_strangers_in_every_spelling(
    app: Litestar, editor: httpx.AsyncClient
):
    ids = await fill(app, editor, "invoices")
    id, token = ids[0], {"authorization": editor.headers["authorization"]}
    etags = [(await ask(app, f"/api/images/serve/{id}?size={size}", **token)).headers["etag"] for size in READY]
    await editor.put(
        f"/api/images/{id}/file", files={"file": ("other.jpg", samples.distinct(7))}
    )  # version 1 is old now
    await render(app, id)
    conditions = [*CONDITIONS, {"if_none_match": "*"}, {"if_none_match": ", ".join(etags)}, {"if_match": etags[0]}]
    for url in spellings(id):
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            for headers in conditions if method != "POST" else [{}]:
                answer = await ask(app, url, method, **headers)
                refused = {"GET": {404}, "HEAD": {404}, "OPTIONS": {204, 404, 405}, "POST": {401, 403, 404, 405}}[
                    method
                ]
                placeholder = "fallback=" in url and answer.status in (200, 206, 304)  # the type's own, nobody's
                assert answer.status in refused or placeholder, (method, url, headers, answer.status)
                assert answer.headers.get("etag") not in etags
                assert hashlib.sha256(answer.body).digest() not in ORIGINALS


async def test_a_stranger_is_not_told_whether_a_private_picture_is_there(app: Litestar, editor: httpx.AsyncClient):
    id = (await fill(app, editor, "invoices"))[0]
    other = id[:-4] + ("0000" if id[-4:] != "0000" else "1111")
    for query in ("", "?size=card", "?size=original", "?v=7", "?size=card&v=1.1&exp=1&sig=A"):
        there, nowhere = [await ask(app, f"/api/images/serve/{each}{query}") for each in (id, other)]
        mask = re.compile(rb'"request_id": ?"[0-9a-f]+"')
        assert (there.status, mask.sub(b"", there.body)) == (nowhere.status, mask.sub(b"", nowhere.body))


@pytest.mark.parametrize("kind", ["inventory_items", "invoices"])
async def test_pages_under_a_key_are_for_no_cache_no_index_and_send_no_referrer(
    app: Litestar, editor: httpx.AsyncClient, kind: str
):
    await fill(app, editor, kind)
    key, ended = await issue(editor, kind), await issue(editor, kind)
    (id,) = [each["id"] for each in (await editor.get("/api/embeds?limit=1")).json()["embeds"]]
    assert (await editor.delete(f"/api/embeds/{id}")).status_code == 204
    for path in pages_of(app, key, kind):
        answer = await ask(app, path)
        assert answer.status == 200, path
        for each in (answer, await ask(app, path, "HEAD")):
            assert "public" not in each.headers["cache-control"], path
            assert "private" in each.headers["cache-control"] or "no-store" in each.headers["cache-control"], path
            assert each.headers["x-content-type-options"] == "nosniff"
            assert "set-cookie" not in each.headers
    for path in [each for each in pages_of(app, key, kind) if each.startswith(("/embed/", "/cards/"))]:
        answer = await ask(app, path)
        assert answer.headers["referrer-policy"] == "no-referrer", path
        assert answer.headers["x-robots-tag"] == "noindex", path
        assert f"{SHOP} 'self'" in answer.headers["content-security-policy"], path
    for path in pages_of(app, ended, kind):
        answer = await ask(app, path)
        assert (answer.status, answer.headers["cache-control"]) == (404, "no-store"), path
        assert not LINK.search(answer.body.decode())


async def test_no_key_and_no_signature_is_in_the_log(
    app: Litestar,
    editor: httpx.AsyncClient,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.WARNING, "httpx")  # the client's own log
    await fill(app, editor, "invoices")
    key = await issue(editor, "invoices")
    link = next(iter(await links_under(app, key, "invoices")))
    signature = link.rpartition("sig=")[2]
    for path in pages_of(app, key, "invoices"):
        for odd in (path, path.replace("/k/", "//k/"), path.replace("/k/", "/%6b/"), f"{path}&x=1", path + "/nothing"):
            await ask(app, odd)
    for odd in (
        f"{link}A",
        link.replace("sig=", "sig=A"),
        link.replace("size=card", "size=large"),
        f"{link}&sig={signature}",
    ):
        await ask(app, odd, "POST")
        await ask(app, odd)
    said = capfd.readouterr()
    text = said.out + said.err + caplog.text
    assert "/embed/k/…" in text
    assert "sig=…" in text
    assert key not in text
    assert signature not in text
