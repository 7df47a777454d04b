"""Words of the pages' own files come squeezed to who takes them so; pictures and fonts as they are."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar

from portal.web import static_files
from portal.web.assets import STATIC_ROOT, static_url


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar([static_files.router])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:  # type: ignore[arg-type]
        yield client


@pytest.mark.parametrize(
    ("takes", "gets"),
    [
        ("gzip, deflate, br", "gzip"),
        ("GZIP", "gzip"),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.0, br", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_a_stylesheet_comes_squeezed_to_who_takes_it_so(
    browser: httpx.AsyncClient, takes: str, gets: str | None
) -> None:
    address = static_url("css/tokens.css")
    async with browser.stream("GET", address, headers={"accept-encoding": takes}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == gets
    assert answer.headers["vary"] == "Accept-Encoding"
    assert (gzip.decompress(raw) if gets else raw) == (STATIC_ROOT / "css/tokens.css").read_bytes()
    assert answer.headers["content-length"] == str(len(raw))


async def test_both_forms_have_an_etag_of_their_own(browser: httpx.AsyncClient) -> None:
    address = static_url("js/portal.js")
    etags = {}
    for takes in ("gzip", "identity"):
        answer = await browser.get(address, headers={"accept-encoding": takes})
        etags[takes] = answer.headers["etag"]
        again = await browser.get(address, headers={"accept-encoding": takes, "if-none-match": etags[takes]})
        assert (again.status_code, again.content) == (304, b"")
        assert "content-encoding" not in again.headers
    assert etags["gzip"] != etags["identity"]
    other = await browser.get(address, headers={"accept-encoding": "gzip", "if-none-match": etags["identity"]})
    assert other.status_code == 200


@pytest.mark.parametrize("name", ["fonts/inter-latin-opsz.woff2", "img/mug-front.jpg"])
async def test_what_is_dense_already_comes_as_it_is(browser: httpx.AsyncClient, name: str) -> None:
    answer = await browser.get(static_url(name), headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers
    assert answer.content == (STATIC_ROOT / name).read_bytes()
