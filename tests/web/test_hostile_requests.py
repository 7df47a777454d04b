"""Odd and hostile requests for bytes: a clean 4xx or the default, whatever they say, and nothing is made for them."""

from __future__ import annotations

import itertools
from uuid import UUID

import httpx
import pytest

from portal.settings import Settings
from tests.factories import Studio, make_entity
from tests.web.embedding_app import SmallPortal, small_portal

LONG = 60_000  # bytes; a request's whole head is no longer
CLEAN = {200, 206, 304, 404, 412, 416, 422}
VALUES = {
    "letters": b"a" * LONG,
    "quotes": b'"' * LONG,
    "stars": b"*, " * (LONG // 3),
    "ranges": b"bytes=" + b"0-0," * (LONG // 4),
    "types": b"image/webp;q=0.001, " * (LONG // 20),
    "weights": b"image/webp;" + b"q=1;" * (LONG // 4),
    "wildcards": b"*/*;q=0.1," * (LONG // 10),
    "high bytes": b"\xff\x80" * (LONG // 2),
    "dates": b"Thu, 05 Mar 2026 10:20:30 GMT " * (LONG // 30),
}
HEADERS = [
    "accept",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "range",
    "accept-encoding",
    "cookie",
    "x-forwarded-for",
]


@pytest.fixture
def portal(config: Settings, studio: Studio) -> SmallPortal:
    return small_portal(config, studio)


@pytest.fixture
async def image_id(portal: SmallPortal) -> UUID:
    return await portal.studio.add(await make_entity())


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_headers_of_60_kb_are_answered_cleanly(portal: SmallPortal, image_id: UUID, value: bytes):
    async with portal.visitor() as visitor, await portal.caller("viewer") as viewer:
        for name, client, size in itertools.product(HEADERS, (visitor, viewer), ("card", "original")):
            headers = [(name.encode(), value), *([(b"range", b"bytes=0-9")] if name == "if-range" else [])]
            answer = await client.get(f"/api/images/serve/{image_id}?size={size}", headers=headers)
            assert answer.status_code in CLEAN, (name, size, answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["cache-control"] == "no-store"


async def test_however_it_is_asked_there_are_no_more_answers_than_formats(portal: SmallPortal, image_id: UUID):
    """What Accept and the query say beyond our few words makes no other variant."""
    accepts = ["*/*", "image/*", "image/jxl", "text/html", "image/webp;q=0", "image/*;q=0", "x" * 900, "image/jpeg;v=9"]
    queries = ["size=card", "size=card&size=card", "size=card&width=17", "size=card&q=99&fit=fill", "x&size=card&&="]
    seen: set[tuple[str, bytes]] = set()
    async with portal.visitor() as visitor:
        for accept, query in itertools.product(accepts, queries):
            answer = await visitor.get(f"/api/images/serve/{image_id}?{query}", headers={"accept": accept})
            assert answer.status_code == 200, (accept, query)
            seen.add((answer.headers["etag"], answer.content))
    assert len(seen) == 1
    assert list(portal.settings.cache_dir.rglob("*.*")) == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("size=huge", 404),
        ("size=CARD", 404),
        ("size=card%00", 404),
        ("size=../original", 404),
        ("size=" + "a" * LONG, 404),
        ("format=bmp", 422),
        ("format=WEBP", 422),
        ("format=", 422),
        ("format=" + "a" * LONG, 422),
        ("v=2", 404),
        ("v=1.9", 404),
        ("v=" + "9" * LONG, 404),
        ("v=1.1.1", 404),
        ("v=-1", 404),
        ("exp=1&sig=x", 404),
        ("sig=" + "a" * LONG, 404),
    ],
)
async def test_what_cannot_be_had_is_refused_in_short(portal: SmallPortal, image_id: UUID, query: str, status: int):
    for client in (portal.visitor(), await portal.caller("viewer")):
        async with client:
            url = httpx.URL(f"http://127.0.0.1/api/images/serve/{image_id}", query=query.encode())
            answer = await client.get(url)
            if "sig=" in query and "authorization" in client.headers:  # who may see it anyway needs no signature
                assert answer.status_code == 200
                continue
            assert answer.status_code == status, answer.text
            assert len(answer.content) < 1000


async def test_a_range_beyond_the_end_says_where_the_end_is(portal: SmallPortal, image_id: UUID):
    async with portal.visitor() as visitor, await portal.caller("viewer") as viewer:
        for client, size in ((visitor, "card"), (viewer, "original")):
            url = f"/api/images/serve/{image_id}?size={size}"
            whole = await client.get(url)
            for wanted in (f"bytes={len(whole.content)}-", "bytes=99999999999999999999-", "bytes=-0"):
                answer = await client.get(url, headers={"range": wanted})
                assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
                assert answer.json()["code"] == "bad_request"
            for absurd in ("bytes=0-0," * 5000 + "1-1", "bytes=5-4", "lines=1-2", "bytes=--1", "bytes=0-1;x"):
                assert (await client.get(url, headers={"range": absurd})).content == whole.content
            for known in ("*", f'"a", W/"b", {whole.headers["etag"]}'):
                assert (await client.get(url, headers={"if-none-match": known})).status_code == 304
