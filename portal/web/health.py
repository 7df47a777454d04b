"""Liveness and readiness, for process managers and load balancers; they name no internals."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from litestar import Request, Response, Router, get
from litestar.openapi import ResponseSpec

from portal import database
from portal.imaging.scan import Address, is_there
from portal.storage.probe import has_marker
from portal.storage.store import Store
from portal.storage.threads import Threads
from portal.web.answers import json_response

READY_SECONDS = 2
KEPT_SECONDS = 1.0
ASK_SCANNER_EVERY = 5  # seconds: anybody may call this


@dataclass(frozen=True, slots=True)
class Health:
    """`ok`, `degraded` (pictures are shown, but none can be added) or `unavailable`, and no more."""

    status: str


_OK: Final = ResponseSpec(Health, description="It is")
_AWAY: Final = ResponseSpec(Health, description="Not now; `Retry-After` says when to ask again")


@get(
    "/health/live",
    summary="Is the process alive?",
    responses={200: _OK},
    opt={"permission": "public"},
    tags=["health"],
)
async def live() -> Response[bytes]:
    return json_response(200, Health("ok"))


@get(
    "/health/ready",
    summary="Can it take requests?",
    responses={200: _OK, 503: _AWAY},
    opt={"permission": "public"},
    tags=["health"],
)
async def ready(request: Request[Any, Any, Any]) -> Response[bytes]:
    if bool(request.app.state.get("is_ready")) and await _readiness_of(request).is_given():
        return json_response(200, Health("ok" if await _scanner_answers(request) else "degraded"))
    return json_response(503, Health("unavailable"), {"Retry-After": "1"})


class Readiness:
    """Database and store, asked at most once a second however many ask: anybody may call this."""

    def __init__(self, store: Store) -> None:
        self._store, self._threads = store, Threads()
        self._known: tuple[float, bool] = (float("-inf"), False)
        self._asking: asyncio.Task[bool] | None = None

    async def is_given(self) -> bool:
        asked_at, answer = self._known
        if time.monotonic() < asked_at + KEPT_SECONDS:
            return answer
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        answers = await asyncio.gather(_database_answers(), self._store_answers())
        self._known, self._asking = (time.monotonic(), all(answers)), None
        return all(answers)

    async def _store_answers(self) -> bool:
        """Is its disk mounted, and does it say so in time?"""
        try:
            async with asyncio.timeout(READY_SECONDS):
                return await self._threads.call("marker", lambda: has_marker(self._store))
        except (TimeoutError, OSError):
            return False


def _readiness_of(request: Request[Any, Any, Any]) -> Readiness:
    state = request.app.state
    if state.get("readiness") is None:
        state.readiness = Readiness(state.parts.store)
    return state.readiness


async def _database_answers() -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return bool(await database.fetch_value("SELECT true"))
    except Exception:  # whatever it is, requests would meet it too
        return False


async def _scanner_answers(request: Request[Any, Any, Any]) -> bool:
    """Also when none is configured. Not a reason for 503: a load balancer would take away what still shows pictures."""
    clamd: Address | None = request.app.state.settings.clamd
    if clamd is None:
        return True
    state = request.app.state
    if time.monotonic() > state.get("scanner_asked_at", -ASK_SCANNER_EVERY) + ASK_SCANNER_EVERY:
        state.scanner_asked_at = time.monotonic()  # first, so that of many who ask at once only one asks the scanner
        state.scanner_answers = await is_there(clamd)
    return bool(state.get("scanner_answers", True))


router = Router("/", route_handlers=[live, ready])
