"""Serves the bytes of pictures: the hot path, without session, form or database where it can do without them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import quote, unquote_plus
from uuid import UUID

from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from portal.audit.actors import Actor
from portal.errors import FormError, Gone, NotFound, NotReady, PortalError, Stale, Unauthenticated
from portal.imaging.pool import RenderPool
from portal.imaging.presets import PRESETS
from portal.imaging.turnstile import Turnstile
from portal.media.catalogue import Catalogue, Entry, Source, load_old_version
from portal.media.conditional import Representation, Slice, choose
from portal.media.formats import MEDIA_TYPE as WEBP
from portal.media.formats import WebpRoom, takes_webp
from portal.media.hot import HotBytes, PrintRoom, read_source
from portal.storage.cache import Cache
from portal.storage.links import Links
from portal.storage.store import Store
from portal.web.exceptions import MethodNotAllowed, problem

Authenticate = Callable[[Scope], Awaitable[Actor | None]]
MOUNT: Final = "/api/images/serve"
ORIGINAL: Final = "original"
FORMATS: Final = ("auto", "jpeg", "webp", "avif")
_VERSION: Final = re.compile(r"([1-9][0-9]{0,8})(?:\.([1-9][0-9]{0,8}))?", re.ASCII)
_ALWAYS: Final = (
    (b"accept-ranges", b"bytes"),
    (b"vary", b"Accept"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)
_RETRY: Final = 2
_SHORT: Final = 200  # bytes of a query worth remembering

Freshness = Literal["never", "minute", "day", "immutable"]
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


class RangeBeyond(PortalError):
    status, code, title = 416, "bad_request", "No such range"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the URL asks for. `v`, `exp` and `sig` as they stand there; `version` is what `v` says, None where it says nothing."""

    image_id: UUID
    size: str
    format: str
    v: str | None
    version: tuple[int, int | None] | None
    exp: str | None
    sig: str | None
    is_download: bool


def image_server(
    *,
    catalogue: Catalogue,
    store: Store,
    cache: Cache,
    pool: RenderPool,
    links: Links,
    authenticate: Authenticate,
    address_of: Callable[[Scope], str],
) -> ASGIRouteHandler:
    """The route. `authenticate` tells who asks, and is called only for what not everybody may see."""
    hot, slot = HotBytes(), Turnstile()
    prints = PrintRoom(pool, store, hot, slot)
    webps = WebpRoom(pool, store, cache, hot, slot, catalogue.find)

    @asgi(MOUNT, name="media:serve", is_mount=True, opt={"permission": "scoped"}, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(MOUNT):  # cut off by the router; whole again for the log and for errors
            scope["path"] = MOUNT + scope["path"]
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            error = MethodNotAllowed("Pictures are only read here, with GET or HEAD.")
            await _refuse(scope, send, error, (b"allow", b"GET, HEAD"))
            return
        query = scope["query_string"]
        wish = (_known_wish if len(query) <= _SHORT else read_wish)(scope["path"], query)
        entry = await catalogue.find(wish.image_id)
        try:
            await answer(scope, send, wish, entry)
        except Gone:  # raised before a byte was sent; a new rendering may have replaced the old one just now
            catalogue.forget(wish.image_id)
            fresh = await catalogue.find(wish.image_id)
            if fresh == entry:
                raise
            await answer(scope, send, wish, fresh)

    async def answer(scope: Any, send: Send, wish: Wish, entry: Entry | None) -> None:
        is_public = await _check_right(entry, wish, scope, links, authenticate)
        assert entry is not None  # else _check_right has raised
        entry, freshness = await _version_asked_for(wish, entry, scope, authenticate)
        source, data, freshness = await _what_is_sent(wish, entry, freshness, scope, prints, webps, address_of)
        what = Representation(source.etag, entry.updated_at, source.bytes)
        part = choose(scope["method"], scope["headers"], what)
        if part.status == 412:
            raise Stale("The picture has changed since.")
        if part.status == 416:
            error = RangeBeyond(f"The picture has {what.length} bytes; this range lies beyond them.")
            await _refuse(scope, send, error, (b"content-range", b"bytes */%d" % what.length))
            return
        if data is None and part.status in (200, 206):
            data = await read_source(source, store, hot)
        headers = _headers(wish, entry, source, is_public, freshness)
        await _send(send, part, headers, what, None if scope["method"] == "HEAD" else data)

    return serve


class TakeTheLongWay(Exception):
    """Raised on the short way by what needs more than it has, as who the reader is."""


def straight_to(images: ASGIRouteHandler, app: ASGIApp) -> ASGIApp:
    """The short way: a picture that everybody (or a signature) may see is answered before anything else looks at the request.

    Whatever cannot be answered so, errors included, goes the long way through `app`, which comes to the same route again
    with a request id, security headers, sessions and the log.
    """

    async def choose_way(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(MOUNT + "/"):
            await app(scope, receive, send)
            return
        has_begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await images.fn(scope, receive, send_and_note)
        except Exception:
            if has_begun:
                raise
            await app(scope, receive, send)

    return choose_way


def read_wish(path: str, query: bytes) -> Wish:
    """Raises NotFound for an id or size that cannot be, FormError for an unknown format. A name given twice: the last."""
    asked = _parse(query)
    size, form = asked.get("size", "optimized"), asked.get("format", "auto")
    if size != ORIGINAL and size not in PRESETS:
        raise NotFound(f"There is no size of this name. The sizes are {', '.join(PRESETS)}.")
    if form not in FORMATS:
        raise FormError({"format": f"Use one of {', '.join(FORMATS)}."})
    text = path[len(MOUNT) + 1 :].removesuffix("/")
    try:
        image_id = UUID(text)
    except ValueError as error:
        raise _unknown() from error
    if str(image_id) != text:  # one spelling alone: a signed URL with any other byte is no signed URL
        raise _unknown()
    v = asked.get("v")
    is_download = asked.get("download") == "1"
    return Wish(image_id, size, form, v, _version_of(v), asked.get("exp"), asked.get("sig"), is_download)


def _version_of(v: str | None) -> tuple[int, int | None] | None:
    match = _VERSION.fullmatch(v or "")
    return None if match is None else (int(match[1]), int(match[2]) if match[2] else None)


_known_wish = lru_cache(maxsize=8192)(read_wish)  # a page asks for the same pictures again and again


def _parse(query: bytes) -> dict[str, str]:
    asked: dict[str, str] = {}
    for pair in query.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        asked[name] = unquote_plus(value) if "%" in value or "+" in value else value
    return asked


def _unknown() -> NotFound:
    return NotFound("There is no picture with this id.")


async def _check_right(entry: Entry | None, wish: Wish, scope: Scope, links: Links, authenticate: Authenticate) -> bool:
    """Is the answer everybody's? Raises NotFound, alike for what is not there and what is not theirs; Gone, Unauthenticated."""
    refusal: NotFound | Gone = _unknown()
    if entry is not None and not entry.is_trashed and wish.size != ORIGINAL:
        is_public = entry.entity_type not in links.private_types
        if wish.sig is None and wish.exp is None:
            if is_public:
                return True
        else:
            try:
                if links.check(wish.image_id, wish.size, wish.v or "", wish.exp or "", wish.sig or "", time.time()):
                    return False
            except Gone as error:
                refusal = error
    if not _has_credentials(scope) or await authenticate(scope) is None or entry is None:
        raise refusal
    return False


def _freshness(wish: Wish, entry: Entry) -> Freshness:
    """How long this answer stays true. Raises NotFound for a version that never was, NotReady for one that will be."""
    late: Freshness = "minute" if wish.format == "avif" else "day"
    if wish.v is None:
        return late
    if wish.version is None:
        raise NotFound("There is no such version of this picture.")
    version, rendering = wish.version
    if version > entry.wanted[0] or (rendering is not None and (version, rendering) > entry.wanted):
        raise NotFound("There is no such version of this picture.")
    if wish.size == ORIGINAL:
        return "day" if version == entry.wanted[0] else "minute"
    if entry.current is None:
        return "day"
    if rendering is not None and (version, rendering) > entry.current:
        raise NotReady("This version is being rendered. Ask again in a moment.", retry_after=_RETRY)
    if (version, rendering) == entry.current and late == "day":
        return "immutable"
    return "minute"


def _names_old_version(wish: Wish, entry: Entry) -> bool:
    """Is the version that the URL names neither shown nor coming?"""
    if wish.version is None or wish.version[0] >= entry.wanted[0]:
        return False
    return wish.size == ORIGINAL or (wish.version[1] is not None and wish.version != entry.current)


async def _version_asked_for(
    wish: Wish, entry: Entry, scope: Scope, authenticate: Authenticate
) -> tuple[Entry, Freshness]:
    """The old version for editors, what is shown for everybody else; and how long that stays the answer."""
    if not _names_old_version(wish, entry):
        return entry, _freshness(wish, entry)
    old = await _find_old_version(wish, entry, scope, authenticate)
    return (entry, _freshness(wish, entry)) if old is None else (old, "never")


async def _find_old_version(wish: Wish, entry: Entry, scope: Scope, authenticate: Authenticate) -> Entry | None:
    """The old version that the URL names, for editors; only then the database is asked. Everybody else gets what is shown.

    Raises NotFound for an original that is not kept: another file is no answer.
    """
    if wish.version is None or not await _is_editor(scope, authenticate):
        return None
    old = await load_old_version(wish.image_id, wish.version[0])
    if wish.size == ORIGINAL:
        if old is None:
            raise NotFound("This version is not kept (any more).")
        return old
    return old if old is not None and old.current == wish.version else None


async def _is_editor(scope: Scope, authenticate: Authenticate) -> bool:
    if not _has_credentials(scope):
        return False
    try:
        actor = await authenticate(scope)
    except Unauthenticated:  # a picture that everybody may see is shown to them too
        return False
    return actor is not None and actor.may("editor")


def _has_credentials(scope: Scope) -> bool:
    return any(name in (b"cookie", b"authorization") for name, _ in scope["headers"])


async def _what_is_sent(
    wish: Wish,
    entry: Entry,
    freshness: Freshness,
    scope: Scope,
    prints: PrintRoom,
    webps: WebpRoom,
    address_of: Callable[[Scope], str],
) -> tuple[Source, bytes | None, Freshness]:
    """The WebP for who takes it; until there is one, the JPEG for a minute. Raises what `_source_of` raises."""
    if not _wants_webp(wish, freshness, scope):
        return *await _source_of(wish, entry, prints), freshness
    made = await webps.find(entry, wish.size)
    if made is not None:
        return *made, freshness
    source, data = await _source_of(wish, entry, prints)
    webps.want(entry, wish.size, address_of(scope))
    return source, data, "minute"


async def _source_of(wish: Wish, entry: Entry, prints: PrintRoom) -> tuple[Source, bytes | None]:
    """Which object is sent; its bytes too where they had to be made. Raises NotReady, Gone, Busy."""
    if wish.size == ORIGINAL:
        return entry.original, None
    if entry.current is None:
        if entry.status == "failed":
            raise NotReady("This picture could not be rendered.")
        raise NotReady("This picture is being rendered. Ask again in a moment.", retry_after=_RETRY)
    source = entry.renditions.get(wish.size)
    if source is not None:
        return source, None
    if wish.size != "print":
        raise NotReady("This size is being rendered. Ask again in a moment.", retry_after=_RETRY)
    data = await prints.print_of(entry)
    like = entry.renditions["optimized"]
    etag = like.etag.replace(b"-optimized", b"-print")  # made of the same original by the same rendering
    return Source("", len(data), "", etag, like.media_type), data


def _wants_webp(wish: Wish, freshness: Freshness, scope: Scope) -> bool:
    if wish.size == ORIGINAL or freshness == "never":  # an old version: it is compared, not kept
        return False
    return wish.format == "webp" or (wish.format == "auto" and takes_webp(scope["headers"]))


def _headers(
    wish: Wish, entry: Entry, source: Source, is_public: bool, freshness: Freshness
) -> list[tuple[bytes, bytes]]:
    headers = [
        *_ALWAYS,
        (b"etag", source.etag),
        (b"last-modified", entry.last_modified),
        (b"cache-control", (_PUBLIC if is_public else _PRIVATE)[freshness]),
        (b"cross-origin-resource-policy", b"same-origin" if wish.size == ORIGINAL else b"cross-origin"),
    ]
    if wish.size == ORIGINAL or wish.is_download:
        headers.append((b"content-disposition", attachment(_file_name(wish, entry, source)).encode()))
    headers.append((b"content-type", source.media_type))
    return headers


def _file_name(wish: Wish, entry: Entry, source: Source) -> str:
    if wish.size == ORIGINAL:
        return entry.filename
    stem = entry.filename.rpartition(".")[0] or entry.filename
    return f"{stem}-{wish.size}.{'webp' if source.media_type == WEBP else 'jpg'}"


def attachment(filename: str) -> str:
    """Content-Disposition by RFC 6266: the true name, and before it one that every browser can read."""
    plain = re.sub(r"[^ !#$&-\[\]-~]", "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"


async def _send(
    send: Send, part: Slice, headers: list[tuple[bytes, bytes]], what: Representation, data: bytes | None
) -> None:
    body = b"" if data is None or part.status == 304 else data
    if part.status == 206:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (part.start, part.stop - 1, what.length)))
        body = body[part.start : part.stop]
    if part.status == 304:
        headers.remove((b"content-type", dict(headers)[b"content-type"]))
    else:
        headers.append((b"content-length", b"%d" % (part.stop - part.start)))
    await send({"type": "http.response.start", "status": part.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _refuse(scope: Scope, send: Send, error: PortalError, header: tuple[bytes, bytes]) -> None:
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
