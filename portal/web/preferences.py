"""The `Prefer` header (RFC 7240), as far as the API honours it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from litestar import Request

LONGEST_WAIT: Final = 60
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:$|[,;])", re.IGNORECASE | re.ASCII)


def wait_seconds(request: Request[Any, Any, Any]) -> int:
    """How long the client wants to wait for the end, 0 to 60; unknown preferences are ignored, as the RFC asks."""
    match = _WAIT.search(request.headers.get("prefer", ""))
    return min(int(match[1]), LONGEST_WAIT) if match else 0


async def wait_until(is_done: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Ask again and again until it is done or the time is up; the longer it takes, the more seldom."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while not await is_done() and (waited := clock() - began) < seconds:  # noqa: ASYNC110 - another process does it
        await asyncio.sleep(min(max(0.05, waited / 5), seconds - waited))
