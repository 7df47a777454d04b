"""Work that a process does every few seconds, and once more at its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def regularly(
    what: str, work: Callable[[bool], Awaitable[None]], *, seconds: float, last_seconds: float
) -> AsyncIterator[None]:
    """`work(is_last)` every `seconds` inside; the last one has `last_seconds`. What it raises is logged as `what`, and it is
    tried again: it keeps what it could not do."""
    ending = asyncio.Event()

    async def run() -> None:
        is_last = False
        while not is_last:
            with contextlib.suppress(TimeoutError):
                is_last = await asyncio.wait_for(ending.wait(), seconds)
            try:
                await work(is_last)
            except asyncio.CancelledError:
                log.warning(what, error=f"no answer within {last_seconds:g} seconds")
                raise
            except Exception as error:  # whatever it is
                log.warning(what, error=repr(error))

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        ending.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(task, last_seconds)
