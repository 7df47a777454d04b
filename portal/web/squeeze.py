"""Pages go out squeezed to who takes them so. What a page echoes beside a secret could be guessed by the length of the whole
(BREACH): each answer is longer by a random number of bytes, and the session's cookie comes with no other site's requests
(SameSite), so that nobody can ask often enough to average that out."""

from __future__ import annotations

import re
import secrets
import zlib
from typing import TYPE_CHECKING, Any, Final

from litestar.datastructures import Headers

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

LEAST: Final = 1024  # bytes; what is shorter fits one packet anyhow
MOST: Final = 1024 * 1024  # what is longer would hold everything else up
_LEVEL: Final = 4
_PADDING: Final = 100  # bytes at most
_SQUEEZED: Final = (b"content-encoding", b"gzip")
_TAKES_GZIP: Final = re.compile(
    r"(?:^|,)\s*gzip\s*(?:;\s*q=(?:1(?:\.0*)?|0\.\d*[1-9]\d*)\s*)?(?:,|$)", re.IGNORECASE | re.ASCII
)
# RFC 1952: magic, deflate, a file name follows, no time, no extra flags, unknown system
_HEAD: Final = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"


def takes_gzip(accepted: str) -> bool:
    return _TAKES_GZIP.search(accepted) is not None


def squeeze(data: bytes) -> bytes:
    """As gzip with a name of random length."""
    name = b"p" * secrets.randbelow(_PADDING)
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    ends = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return b"".join((_HEAD, name, b"\0", deflate.compress(data), deflate.flush(), ends))


class SqueezeMiddleware:
    """Whole pages and fragments only: not what comes in pieces, nor what has an ETag of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not takes_gzip(Headers.from_scope(scope).get("accept-encoding", "")):
            await self._app(scope, receive, send)
            return
        held: Any = None

        async def send_squeezed(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_page(message):
                held = message
                return
            if held is not None:
                message = _squeezed(held, message)
                if scope.get("is_head") and held["headers"][-1] == _SQUEEZED:  # the next one has another length
                    held["headers"] = [each for each in held["headers"] if each[0].lower() != b"content-length"]
                await send(held)
                held = None
            await send(message)

        await self._app(scope, receive, send_squeezed)


def _is_page(start: Any) -> bool:
    headers = {name.lower(): value for name, value in start["headers"]}
    is_plain = b"etag" not in headers and b"content-encoding" not in headers
    return is_plain and headers.get(b"content-type", b"").startswith(b"text/html")


def _squeezed(start: Any, message: Any) -> Any:
    """The body's message; `start` then says what it is. As they are, where it comes in pieces or is no gain."""
    body = message.get("body", b"")
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"vary"]
    varies = [value for name, value in start["headers"] if name.lower() == b"vary"]
    start["headers"] = [*headers, (b"vary", b", ".join([*varies, b"Accept-Encoding"]))]
    if message["type"] != "http.response.body" or message.get("more_body") or not LEAST <= len(body) <= MOST:
        return message
    squeezed = squeeze(body)
    others = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    length = (b"content-length", str(len(squeezed)).encode())
    start["headers"] = [*others, length, _SQUEEZED]
    return {**message, "body": squeezed}
