"""Requests of exactly these bytes, as a server hands them on: a client would refuse to send some, and tidy others."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

_strangers = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


async def ask(app: Any, url: str, method: str = "GET", **headers: str) -> Answer:
    """`url` is path and query, a letter a byte; header names with _ for -. Each time somebody else asks, from another address."""
    number = next(_strangers)
    path, _, query = url.partition("?")
    given = {"host": "127.0.0.1"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 4711),
        "server": ("127.0.0.1", 80),
    }
    starts: list[Any] = []
    body = bytearray()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            starts.append(message)
        body.extend(message.get("body", b""))

    await app(scope, receive, send)
    found = {name.decode().lower(): value.decode("latin-1") for name, value in starts[0]["headers"]}
    return Answer(starts[0]["status"], found, bytes(body))
