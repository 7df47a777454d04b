"""Liveness and readiness, for process managers and load balancers; they name no internals."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, Router, get

from portal import database
from portal.web.answers import json_response

READY_SECONDS = 2


@get("/health/live", summary="Is the process alive?", opt={"permission": "public"}, tags=["health"])
async def live() -> Response[bytes]:
    return json_response(200, {"status": "ok"})


@get("/health/ready", summary="Can it take requests?", opt={"permission": "public"}, tags=["health"])
async def ready(request: Request[Any, Any, Any]) -> Response[bytes]:
    is_ready = bool(request.app.state.get("is_ready")) and await _database_answers()
    if is_ready:
        return json_response(200, {"status": "ok"})
    return json_response(503, {"status": "unavailable"}, {"Retry-After": "1"})


async def _database_answers() -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await database.fetch_value("SELECT true")
    except Exception:  # whatever it is, requests would meet it too
        return False


router = Router("/", route_handlers=[live, ready])
