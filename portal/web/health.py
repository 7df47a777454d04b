"""Liveness and readiness, for process managers and load balancers; they name no internals."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from litestar import Request, Response, Router, get
from litestar.openapi import ResponseSpec

from portal import database
from portal.web.answers import json_response

READY_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Health:
    """`ok` or `unavailable`, and no more."""

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
    is_ready = bool(request.app.state.get("is_ready")) and await _database_answers()
    if is_ready:
        return json_response(200, Health("ok"))
    return json_response(503, Health("unavailable"), {"Retry-After": "1"})


async def _database_answers() -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await database.fetch_value("SELECT true")
    except Exception:  # whatever it is, requests would meet it too
        return False


router = Router("/", route_handlers=[live, ready])
