"""What is sent of a picture: headers, bytes, refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from litestar.types import HTTPScope, Scope, Send

from portal.errors import PortalError
from portal.media.catalogue import Entry, Source
from portal.media.conditional import Representation, Slice
from portal.media.originals import Originals, pieces
from portal.media.rights import Freshness
from portal.media.wish import ORIGINAL, Wish
from portal.web.exceptions import problem

_RANGES: Final = (b"accept-ranges", b"bytes")
_ALWAYS: Final = (
    _RANGES,
    (b"vary", b"Accept"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)
# Who holds a picture has these with it; each header costs as much as a tenth of all else that we do for a picture.
_HELD_ALREADY: Final = frozenset(
    {b"accept-ranges", b"content-type", b"content-disposition", b"content-security-policy", b"x-content-type-options"}
)
_ENDINGS: Final = {b"image/webp": "webp", b"image/avif": "avif"}
_PUBLIC: Final[Mapping[Freshness, bytes]] = {
    "never": b"private, no-store",
    "minute": b"public, max-age=60",
    "day": b"public, max-age=86400",
    "immutable": b"public, max-age=31536000, immutable",
}
_PRIVATE: Final[Mapping[Freshness, bytes]] = {
    "never": b"private, no-store",
    "minute": b"private, max-age=60",
    "day": b"private, max-age=300",
    "immutable": b"private, max-age=300",
}

# nginx can't be told to forget: so long it keeps what was taken away meanwhile. It tells nobody this header.
_NGINX_ASKS_AGAIN: Final = (b"x-accel-expires", b"600")


class TakeTheLongWay(Exception):
    """Raised on the short way by what needs more than it has, as who the reader is."""


def headers_of(
    wish: Wish, entry: Entry, source: Source, is_public: bool, freshness: Freshness, *, by_nginx: bool = False
) -> list[tuple[bytes, bytes]]:
    headers = [
        *_ALWAYS,
        (b"etag", source.etag),
        (b"last-modified", entry.last_modified),
        (b"cache-control", (_PUBLIC if is_public else _PRIVATE)[freshness]),
        (b"cross-origin-resource-policy", b"same-origin" if wish.size == ORIGINAL else b"cross-origin"),
    ]
    if is_public and freshness != "never":
        headers += entry.edge_tags
        if by_nginx and freshness != "minute":
            headers.append(_NGINX_ASKS_AGAIN)
    if wish.size == ORIGINAL or wish.is_download:
        headers.append((b"content-disposition", attachment(_file_name(wish, entry, source)).encode()))
    headers.append((b"content-type", source.media_type))
    return headers


def _file_name(wish: Wish, entry: Entry, source: Source) -> str:
    if wish.size == ORIGINAL:
        return entry.filename
    stem = entry.filename.rpartition(".")[0] or entry.filename
    return f"{stem}-{wish.size}.{_ENDINGS.get(source.media_type, 'jpg')}"


def attachment(filename: str) -> str:
    """Content-Disposition by RFC 6266: the true name, and before it one that every browser can read."""
    plain = re.sub(r"[^ !#$&-\[\]-~]", "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"


async def send_part(
    send: Send, part: Slice, headers: list[tuple[bytes, bytes]], what: Representation, data: bytes | None
) -> None:
    body = b"" if data is None or part.status == 304 else data
    if part.status == 206:
        body = body[part.start : part.stop]
    await _start(send, part, headers, what.length)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _start(send: Send, part: Slice, headers: list[tuple[bytes, bytes]], length: int) -> None:
    if part.status == 206:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, length)))
    if part.status == 304:
        headers = unchanged_headers(headers)
    else:
        headers.append((b"content-length", b"%d" % (part.stop - part.start)))
    await send({"type": "http.response.start", "status": part.status, "headers": headers})


def unchanged_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those that a 304 repeats."""
    return [pair for pair in headers if pair[0] not in _HELD_ALREADY]


async def send_original(
    scope: HTTPScope, send: Send, part: Slice, headers: list[tuple[bytes, bytes]], source: Source, originals: Originals
) -> None:
    """A 200 or 206 piece by piece, or by the web server in front. Raises Gone before anything is sent."""
    async with originals.opened(source) as file:
        left = originals.left_to_proxy(source, scope)
        if left is not None:  # whole, with no body of ours: ranges are cut there, and promised
            headers.remove(_RANGES)
            await _start(send, Slice(200, 0, 0), [*headers, left], source.bytes)
        else:
            await _start(send, part, headers, source.bytes)
        if left is None and scope["method"] == "GET":
            async for piece in pieces(file, part.start, part.stop):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def refuse(scope: Scope, send: Send, error: PortalError, header: tuple[bytes, bytes]) -> None:
    """Not raised, because the answer needs a header that only this place knows."""
    if "request_id" not in scope:
        raise TakeTheLongWay
    body = json.dumps(problem(error, scope.get("request_id"))).encode()  # type: ignore[arg-type] - our own key of the scope
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        header,
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
