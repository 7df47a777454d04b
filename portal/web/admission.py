"""What a request must bring to be let in: a body of bounded size and time, and for browsers the proof that our page sent it."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, cast

from litestar import Request
from litestar.datastructures import Headers

from portal.errors import BadRequest, Forbidden, PortalError, TooLarge, UnsupportedFormat
from portal.web.forms import MAX_BODY, OTHER_SESSION, read_form
from portal.web.security import own_origins

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

IDLE_SECONDS: Final = 30.0  # between two pieces of a body
BODY_SECONDS: Final = 60.0  # for the whole of it, and a second more for each PACE bytes that have come
PACE: Final = 16 * 1024
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_ELSEWHERE: Final = "This request came from another site and was refused."


class TooSlow(PortalError):
    status, code, title = 408, "bad_request", "The request came too slowly"


class AdmissionMiddleware:
    """One of Litestar's own middlewares, after routing and before guards: `middleware=[AdmissionMiddleware]`.

    A route takes 1 MiB unless its opt says `body_limit`, or `upload` for those that call read_upload.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        handler: Any = scope.get("route_handler")
        opt: dict[str, Any] = handler.opt if handler is not None else {}
        headers = Headers.from_scope(scope)
        limit = None if opt.get("upload") else opt.get("body_limit", MAX_BODY)
        _check_length(headers, limit)
        bounded = _bounded(receive, limit, scope)
        if scope["method"] not in _SAFE and "authorization" not in headers:
            _check_origin(scope, headers)
            await _check_token(scope, headers, bounded, takes_uploads=bool(opt.get("upload")))
        await self._app(scope, bounded, send)


def _check_length(headers: Headers, limit: int | None) -> None:
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedFormat("Send the body as it is, without compression.")
    length = headers.get("content-length")
    if length is None:
        return
    if not length.isascii() or not length.isdigit():
        raise BadRequest("The length of the request is not a number.")
    if limit is not None and int(length[:18]) > limit:
        raise too_large(limit)


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"This address takes at most {limit / 2**20:g} MB.")


def _bounded(receive: Receive, limit: int | None, scope: Any) -> Receive:
    """The same body, but no longer than `limit` bytes, and never waited for too long. What comes after it may wait.

    `arrived` in the scope says when it had come whole.
    """
    began = time.monotonic()
    received, complete = 0, False

    async def receive_bounded() -> Any:
        nonlocal received, complete
        if complete:
            return await receive()
        left = began + BODY_SECONDS + received / PACE - time.monotonic()
        try:
            async with asyncio.timeout(min(IDLE_SECONDS, max(0.0, left))):
                message: Any = await receive()
        except TimeoutError as error:
            raise TooSlow("The request did not arrive in time. Check the connection and try again.") from error
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            scope["arrived"] = time.perf_counter()
            if limit is not None and received > limit:
                raise too_large(limit)
        return message

    return cast("Receive", receive_bounded)


def _check_origin(scope: Scope, headers: Headers) -> None:
    """Raises Forbidden for what another site's page sent; browsers name it, scripts need not."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise Forbidden(_ELSEWHERE)
    origin = headers.get("origin")
    if origin is None or (origin == "null" and site == "same-origin"):
        return
    if origin.lower() not in own_origins(scope, scope["litestar_app"].state.settings):
        raise Forbidden(_ELSEWHERE)


async def _check_token(scope: Scope, headers: Headers, receive: Receive, *, takes_uploads: bool) -> None:
    """Raises Forbidden unless the session's token came along: as a header, or as a form's field."""
    state: Any = scope
    expected: str | None = state.get("csrf")
    if expected is None:
        return
    sent = headers.get("x-csrf-token")
    if sent is None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data" and takes_uploads:
            state["csrf_due"] = expected
            return
        sent = await _token_in_form(Request(scope, receive), kind)  # type: ignore[arg-type] - http, as was checked
    if not secrets.compare_digest(sent.encode("utf-8", "replace"), expected.encode()):
        raise Forbidden(OTHER_SESSION)


async def _token_in_form(request: Request[Any, Any, Any], kind: str) -> str:
    return (await read_form(request)).get("csrf_token", "") if kind == "application/x-www-form-urlencoded" else ""
