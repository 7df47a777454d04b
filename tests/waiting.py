"""Waiting for what another process or task does: asked again and again, with a limit far beyond the usual."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

PATIENCE = 60.0


async def eventually(is_so: Callable[[], Awaitable[object] | object], seconds: float = PATIENCE) -> None:
    """Until `is_so` gives something true; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            answer = is_so()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return
            await asyncio.sleep(0.05)
