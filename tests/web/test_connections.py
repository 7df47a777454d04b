"""What comes before a request is one: heads that are too long, too slow, or never come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from portal.web import connection
from portal.web.connection import MAX_HEAD, Connection
from tests.waiting import PATIENCE


async def hello(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(hello, port=0, http=Connection, lifespan="off", log_config=None, timeout_keep_alive=30)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    await server.shutdown()


async def say(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """All that is answered until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), PATIENCE)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def assert_refused(said: bytes) -> None:
    """Who is still talking may find the connection reset before the answer is read."""
    assert said == b"" or said.startswith(b"HTTP/1.1 400 ")


HEAD = b"POST /?q HTTP/1.1\r\nHost: a\r\n"
LAST = b"Connection: close\r\n"


async def test_usual_requests_are_answered_one_after_the_other(port: int) -> None:
    body = b"Content-Length: 300000\r\n\r\n" + bytes(300_000)
    said = await say(port, HEAD + body, HEAD[:9], HEAD[9:] + b"X-A: " + b"a" * 30_000 + b"\r\n" + LAST + body)
    assert said.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "long",
    [
        b"GET /" + b"a" * MAX_HEAD + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD + b"X-A: " + b"a" * MAX_HEAD + b"\r\n\r\n",
        HEAD + b"X-A: b\r\n" * (MAX_HEAD // 4) + b"\r\n",
    ],
    ids=["address", "header", "headers"],
)
async def test_a_head_that_is_too_long_is_refused(port: int, long: bytes) -> None:
    assert_refused(await say(port, long))


async def test_a_head_that_never_ends_is_refused_before_it_fills_the_memory(port: int) -> None:
    said = await say(port, HEAD + b"X-A: ", *[b"a" * 10_000] * 10, pause=0.01)
    assert_refused(said)


@pytest.mark.parametrize("pieces", [[], [b"GET / HTT"], [HEAD, *[b"a"] * 100]], ids=["nothing", "half", "dribble"])
async def test_who_does_not_come_to_the_point_is_hung_up_on(
    port: int, pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    assert await say(port, *pieces, pause=0.01) == b""


async def test_also_after_a_first_request(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    said = await say(port, HEAD + b"Content-Length: 0\r\n\r\n", HEAD)
    assert said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("piece", [b"\r\n", b"\r"])
async def test_an_empty_line_instead_of_a_next_request_holds_no_connection(
    port: int, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    said = await say(port, HEAD + b"Content-Length: 0\r\n\r\n", piece, pause=0.05)
    assert said.count(b"HTTP/1.1") == 1
