"""Pages go out squeezed to who takes them so, each time a little longer or shorter."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar, Response, get
from litestar.response import Stream

from portal.web.squeeze import SqueezeMiddleware, takes_gzip

PAGE = "<!DOCTYPE html><title>Pictures</title>" + "<p>One and the same line</p>" * 200


@get("/page")
async def page() -> Response[str]:
    return Response(PAGE, media_type="text/html", headers={"vary": "Accept"})


@get("/short")
async def short() -> Response[str]:
    return Response("<p>short</p>", media_type="text/html")


@get("/tagged")
async def tagged() -> Response[str]:
    return Response(PAGE, media_type="text/html", headers={"etag": '"1"'})


@get("/words")
async def words() -> Response[str]:
    return Response(PAGE, media_type="text/plain")


@get("/pieces")
async def pieces() -> Stream:
    return Stream(iter([PAGE, PAGE]), media_type="text/html")


@get("/fails")
async def fails() -> None:
    raise RuntimeError("on purpose")


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    app: Any = SqueezeMiddleware(Litestar([page, short, tagged, words, pieces, fails]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client


async def raw(browser: httpx.AsyncClient, path: str) -> tuple[httpx.Response, bytes]:
    async with browser.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
        return answer, b"".join([piece async for piece in answer.aiter_raw()])


async def test_a_page_comes_squeezed_and_says_so(browser: httpx.AsyncClient) -> None:
    answer, data = await raw(browser, "/page")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert gzip.decompress(data).decode() == PAGE


async def test_the_same_page_has_many_lengths(browser: httpx.AsyncClient) -> None:
    assert len({len((await raw(browser, "/page"))[1]) for _ in range(20)}) > 5


async def test_who_does_not_take_it_gets_it_as_it_is(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/page", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.text == PAGE


@pytest.mark.parametrize("path", ["/short", "/tagged", "/words", "/pieces", "/fails", "/nowhere"])
async def test_all_else_comes_as_it_is(browser: httpx.AsyncClient, path: str) -> None:
    answer, data = await raw(browser, path)
    assert "content-encoding" not in answer.headers
    assert data[:2] != b"\x1f\x8b"
    assert path != "/pieces" or data.decode() == PAGE * 2


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip, deflate, br", True),
        ("GZIP", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("gzip;q=1.000", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, br", False),
        ("x-gzip", False),
        ("identity", False),
        ("", False),
    ],
)
def test_what_a_browser_takes(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes
