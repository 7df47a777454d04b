"""Serves the bytes of pictures: the hot path, without session, form or database where it can do without them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Final, NamedTuple

from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from portal.accounts.pace import Pace
from portal.errors import Gone, NotFound, NotReady, PortalError, Stale, Unauthenticated
from portal.histogram import Histogram
from portal.imaging.pool import RenderPool
from portal.imaging.turnstile import Turnstile
from portal.media.accept import Better, taken
from portal.media.answers import headers_of, refuse, send_original, send_part
from portal.media.catalogue import Catalogue, Entry, Source
from portal.media.conditional import Representation, Slice, choose
from portal.media.fallback import send_fallback
from portal.media.formats import MadeRoom
from portal.media.hot import read_source
from portal.media.originals import Originals
from portal.media.remembered import Remembered
from portal.media.rights import RETRY, Authenticate, Freshness, is_stranger, permitted
from portal.media.usage import Usage
from portal.media.wish import MOUNT, ORIGINAL, Wish, wish_of
from portal.storage.cache import Cache
from portal.storage.links import Links
from portal.storage.store import Store
from portal.web.exceptions import MethodNotAllowed

PRINT: Final = "print"
INSTEAD_OF_PRINT: Final = "gallery"


class Asker(NamedTuple):
    scope: Scope
    authenticate: Authenticate
    address_of: Callable[[Scope], str]

    async def payer(self) -> str | None:
        """The address that has only so many made; None for who has signed in."""
        return self.address_of(self.scope) if await is_stranger(self.scope, self.authenticate) else None


_READING: Final = ("GET", "HEAD")


class RangeBeyond(PortalError):
    status, code, title = 416, "bad_request", "No such range"


class Found(NamedTuple):
    """What is sent: `data` where it is known already. `is_made`: it was made just now, or stands in for what is to be made."""

    source: Source
    data: bytes | None
    is_made: bool = False


def image_server(
    *,
    catalogue: Catalogue,
    store: Store,
    cache: Cache,
    pool: RenderPool,
    links: Links,
    authenticate: Authenticate,
    address_of: Callable[[Scope], str],
    usage: Usage,
    slot: Turnstile,
    pace: Pace,
    remembered: Remembered,
    originals: Originals,
) -> ASGIRouteHandler:
    """The route. `authenticate` tells who asks, and is called only for what not everybody may see.

    `slot` and `pace` are for all that is made only because somebody looks.
    """
    hot = remembered.hot
    room = MadeRoom(pool, store, cache, hot, slot, pace, catalogue.find)

    @asgi(MOUNT, name="media:serve", is_mount=True, opt={"permission": "scoped"}, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        wish = await _wish_in(scope, send)
        if wish is not None:
            await _or_fallback(scope, send, wish, answer_twice(scope, send, wish))

    async def answer_twice(scope: Any, send: Send, wish: Wish) -> None:
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
        entry, freshness, is_public = await permitted(entry, wish, scope, links, authenticate)
        asker = Asker(scope, authenticate, address_of)
        (source, data, is_made), freshness = await _what_is_sent(wish, entry, freshness, room, asker)
        what = Representation(source.etag, entry.updated_at, source.bytes)
        part = await _part_asked_for(scope, send, what)
        if part is None:
            return
        is_hit = not is_made and (data is not None or hot.get(source.key) is not None)
        headers = headers_of(wish, entry, source, is_public, freshness, by_nginx=originals.are_sent_by_nginx)
        if wish.size == ORIGINAL and part.status in (200, 206):
            await send_original(scope, send, part, headers, source, originals)
            _count(usage, scope, wish, source, part, is_hit)
            return
        if data is None and part.status in (200, 206):
            data = await read_source(source, store, hot)
        _count(usage, scope, wish, source, part, is_hit)
        remembered.keep(scope, wish, entry, source, headers, freshness if is_public and not is_made else "never")
        await send_part(send, part, headers, what, None if scope["method"] == "HEAD" else data)

    return serve


def straight_to(images: ASGIRouteHandler, app: ASGIApp, taken: Histogram | None = None) -> ASGIApp:
    """The short way: a picture that everybody (or a signature) may see is answered before anything else looks at the request.

    Whatever cannot be answered so, errors included, goes the long way through `app`, which comes to the same route again
    with a request id, security headers, sessions and the log. What was answered is counted in `taken`.
    """

    counts = taken or Histogram()

    async def choose_way(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _READING or not scope["path"].startswith(MOUNT + "/"):
            await app(scope, receive, send)
            return
        began = perf_counter()
        has_begun = False

        async def send_and_note(message: Any) -> None:
            nonlocal has_begun
            if not has_begun:  # before it is sent: a reader may be slow
                has_begun = True
                counts.add(perf_counter() - began, message["status"])
            await send(message)

        try:
            await images.fn(scope, receive, send_and_note)
        except Exception:
            if has_begun:
                raise
            await app(scope, receive, send)

    return choose_way


async def _wish_in(scope: Scope, send: Send) -> Wish | None:
    """None where nothing is wished for that we do, and this has been said. Raises what `wish_of` raises."""
    if not scope["path"].startswith(MOUNT):  # cut off by the router; whole again for the log and for errors
        scope["path"] = MOUNT + scope["path"]
    if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
        return wish_of(scope["path"], scope["query_string"])
    error = MethodNotAllowed("Pictures are only read here, with GET or HEAD.")
    await refuse(scope, send, error, (b"allow", b"GET, HEAD"))
    return None


async def _or_fallback(scope: Any, send: Send, wish: Wish, answer: Awaitable[None]) -> None:
    """Where there is no picture for this reader, for whatever reason, what the wish names instead of it."""
    try:
        await answer
    except (NotFound, Gone, Unauthenticated):  # raised before a byte was sent
        if wish.fallback is None:
            raise
        await send_fallback(scope, send, wish.fallback, wish)


async def _part_asked_for(scope: Any, send: Send, what: Representation) -> Slice | None:
    """None where no such range is, and this has been said. Raises Stale."""
    part = choose(scope["method"], scope["headers"], what)
    if part.status == 412:
        raise Stale("The picture has changed since.")
    if part.status != 416:
        return part
    error = RangeBeyond(f"The picture has {what.length} bytes; this range lies beyond them.")
    await refuse(scope, send, error, (b"content-range", b"bytes */%d" % what.length))
    return None


async def _what_is_sent(
    wish: Wish, entry: Entry, freshness: Freshness, room: MadeRoom, asker: Asker
) -> tuple[Found, Freshness]:
    """The best of what the client takes; until there is one, the JPEG for a minute. Raises what `_jpeg_of` raises."""
    takes = _takes(wish, freshness, asker.scope)
    better = await room.find_better(entry, wish.size, takes) if takes else "jpeg"
    if not isinstance(better, str):
        return Found(*better), freshness
    found, is_lasting = await _jpeg_of(wish, entry, room, asker)
    if better == "later":
        room.want(entry, wish.size, asker.address_of(asker.scope))
        return found._replace(is_made=True), "minute"
    return found, freshness if is_lasting else "minute"


async def _jpeg_of(wish: Wish, entry: Entry, room: MadeRoom, asker: Asker) -> tuple[Found, bool]:
    """Which object is sent, and whether it is the right one; its bytes too where they had to be made. Raises NotReady, Gone."""
    if wish.size == ORIGINAL:
        return Found(entry.original, None), True
    if entry.current is None:
        if entry.status == "failed":
            raise NotReady("This picture could not be rendered.")
        raise NotReady("This picture is being rendered. Ask again in a moment.", retry_after=RETRY)
    source = entry.renditions.get(wish.size)
    if source is not None:
        return Found(source, None), True
    if wish.size != PRINT:
        raise NotReady("This size is being rendered. Ask again in a moment.", retry_after=RETRY)
    return await _print_of(entry, room, asker)


async def _print_of(entry: Entry, room: MadeRoom, asker: Asker) -> tuple[Found, bool]:
    """Where it can't be had, `gallery` (see `make_print`): who may see one may see both, and no page prints a hole."""
    made = await room.find_print(entry)
    if made is not None:
        return Found(*made), True
    made = await room.make_print(entry, await asker.payer())
    if made is not None:
        return Found(*made, is_made=True), True
    return Found(entry.renditions[INSTEAD_OF_PRINT], None, is_made=True), False


def _count(usage: Usage, scope: Any, wish: Wish, source: Source, part: Slice, is_hit: bool) -> None:
    """`is_hit`: its bytes lay in memory or in the cache, as they need not for a 304."""
    if scope["method"] == "GET":
        is_hit = is_hit or part.status == 304
        usage.count(wish.image_id, wish.size, source.media_type, part.stop - part.start, is_hit)


def _takes(wish: Wish, freshness: Freshness, scope: Scope) -> tuple[Better, ...]:
    """What is better than JPEG, liked best first. An explicit format outweighs Accept; beside AVIF that says what else."""
    if wish.size == ORIGINAL or freshness == "never":  # an old version: it is compared, not kept
        return ()
    if wish.format == "auto":
        return taken(scope["headers"])
    if wish.format == "avif":
        return ("avif", "webp") if "webp" in taken(scope["headers"]) else ("avif",)
    return ("webp",) if wish.format == "webp" else ()
