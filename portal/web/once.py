"""`Idempotency-Key` over HTTP: the same actor, route and key within a day give the first answer again.

Uploads claim their key through `once`, because each of their files is remembered on its own; every other POST of the
API is covered by the middleware. A refusal is not kept: sent again, the same request is decided anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar import Request, Response
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from portal import idempotency
from portal.audit.actors import Actor
from portal.idempotency import Answer, Claim, Presence
from portal.web.answers import job_url, json_response

HEADER: Final = b"idempotency-key"
REPLAYED: Final = "Idempotent-Replayed"


def key_of(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == HEADER:
            return value.decode("latin-1")
    return None


async def once(
    request: Request[Any, Any, Any],
    *,
    actor: Actor,
    body_hash: str,
    run: Callable[[Claim | None], Awaitable[tuple[int, Any]]],
) -> Response[bytes]:
    """Run `run` (status and object) under the request's key, or give the first answer; without a key just run it."""
    key = key_of(request.scope)
    if key is None:
        return json_response(*await run(None))
    presence: Presence = request.app.state.presence
    route = request.scope["path"]
    async with presence.running(actor.name, route, key):
        claim = await idempotency.claim(actor.name, route, key, body_hash, presence.number)
        if isinstance(claim, Answer):
            headers = {REPLAYED: "true"}
            return Response(claim.body.encode(), status_code=claim.status, media_type=claim.media_type, headers=headers)
        try:
            response = json_response(*await run(claim))
            answer = Answer(response.status_code or 200, "application/json", response.content.decode())
            await idempotency.keep_answer(claim, answer)
        except BaseException:
            await idempotency.release(claim)
            raise
        return response


class OnceMiddleware(ASGIMiddleware):
    """For every POST below /api, but for handlers that claim their key themselves (`opt={"upload": True}`) and for those
    whose answer holds a secret that must not be kept (`opt={"secret": True}`)."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        actor = scope.get("user")
        covered = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith("/api/")
        handler_opt = getattr(scope.get("route_handler"), "opt", {})
        excepted = handler_opt.get("upload") or handler_opt.get("secret")
        key = key_of(scope) if covered and not excepted else None
        if key is None or not isinstance(actor, Actor) or not _may(actor, handler_opt.get("permission")):
            await next_app(scope, receive, send)
            return
        body = await _whole_body(receive)
        presence: Presence = scope["litestar_app"].state.presence
        body_hash = hashlib.sha256(scope["query_string"] + b"\n" + body).hexdigest()
        async with presence.running(actor.name, scope["path"], key):
            claim = await idempotency.claim(actor.name, scope["path"], key, body_hash, presence.number)
            if isinstance(claim, Answer):
                await _replay(claim, send)
                return
            kept = _Kept(send)
            try:
                await next_app(scope, _given(body, receive), kept)
            finally:
                await kept.settle(claim)


def _may(actor: Actor, permission: Any) -> bool:
    """Who may not call the route is refused by its guard, before the body is read."""
    return permission not in ("viewer", "editor", "admin") or actor.may(permission)


class _Kept:
    """Passes an answer on and keeps it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 0
        self._media_type = ""
        self._body = bytearray()
        self._is_whole = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = {name.lower(): value for name, value in message["headers"]}
            self._media_type = headers.get(b"content-type", b"").decode("latin-1")
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            self._is_whole = not message.get("more_body", False)
        await self._send(message)

    async def settle(self, claim: Claim) -> None:
        if self._is_whole and 200 <= self._status < 300:
            text = self._body.decode("utf-8", "replace")
            await idempotency.keep_answer(claim, Answer(self._status, self._media_type[:60], text))
        else:
            await idempotency.release(claim)


async def _whole_body(receive: Receive) -> bytes:
    """The request's body; its size was bounded before."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _given(body: bytes, receive: Receive) -> Receive:
    """A receive that gives `body` once, then waits for the real one (which can only say that the client left)."""
    state = {"given": False}

    async def give() -> Any:
        if state["given"]:
            return await receive()
        state["given"] = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


def _location_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    """What answers 202 is a job, and says where it is followed."""
    return [(b"location", job_url(json.loads(answer.body)["id"]).encode())] if answer.status == 202 else []


async def _replay(answer: Answer, send: Send) -> None:
    headers = [
        *_location_of(answer),
        (b"content-type", answer.media_type.encode("latin-1")),
        (b"cache-control", b"no-store"),
        (REPLAYED.lower().encode(), b"true"),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body.encode(), "more_body": False})
