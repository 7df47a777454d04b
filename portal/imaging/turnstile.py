"""Places for a few at a time, into which those who wait go by urgency."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncGenerator
from itertools import count
from typing import Final

HEAD_START: Final = 64


class Turnstile:
    """`places` at once. Who waits passes by priority (lower first), then in their order.

    Nobody waits for ever: for each step of priority, fewer than HEAD_START of those who came later go first.
    """

    def __init__(self, places: int = 1) -> None:
        self.places = self._free = places
        self._tickets = count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def busy(self) -> int:
        return self.places - self._free

    @contextlib.asynccontextmanager
    async def turn(self, priority: int = 0) -> AsyncGenerator[None]:
        if self._free:
            self._free -= 1
        else:
            await self._wait(priority)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, priority: int) -> None:
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket = next(self._tickets)
        heapq.heappush(self._waiting, (ticket + priority * HEAD_START, ticket, ready))
        try:
            await ready
        except asyncio.CancelledError:
            if ready.done() and not ready.cancelled():  # it was our turn already
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """The place stays taken between two holders, so that nobody slips in."""
        while self._waiting:
            _, _, ready = heapq.heappop(self._waiting)
            if not ready.done():
                ready.set_result(None)
                return
        self._free += 1
