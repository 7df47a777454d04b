"""Figures that are found anew as long as that is quick: a shop sees its last change, a million pictures cost no page a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from portal import database

T = TypeVar("T")

TIMES: Final = 20
QUICK: Final = 0.05  # seconds
PATIENCE: Final = 60.0  # else a request that may not wait so long would give up each time, and nobody ever know
STALE: Final = 60.0  # seconds for which an old figure is good enough while the new one is found


class Lasting(Generic[T]):
    """What took a second to find is kept for twenty, and shown for a minute more while it is found anew; what is found at once
    (`quick`) is found anew, or kept for `least` seconds. Found once however many ask."""

    def __init__(self, find: Callable[[], Awaitable[T]], *, quick: float = QUICK, least: float = 0.0) -> None:
        self._find, self._quick, self._least = find, quick, least
        self._held: tuple[float, float, T] | None = None  # until when, until when at most, what
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Raises what finding raises; then the next who asks has it tried again."""
        now = time.monotonic()
        if self._held is not None and now < self._held[0]:
            return self._held[2]
        task = self._begin()
        if self._held is not None and now < self._held[1]:
            return self._held[2]
        return await asyncio.shield(task)

    async def find_within(self, seconds: float) -> T | None:
        """None where nobody knows yet, and finding it takes longer."""
        try:
            return await asyncio.wait_for(self.get(), seconds)
        except TimeoutError:
            return None

    def forget(self) -> None:
        """What is being found may be of before: it is not kept."""
        self._held = self._task = None

    def _begin(self) -> asyncio.Task[T]:
        if self._task is None:
            self._task = asyncio.create_task(self._fill())
            self._task.add_done_callback(self._done)
        return self._task

    async def _fill(self) -> T:
        began = time.monotonic()
        with database.patience(PATIENCE):
            value = await self._find()
        now = time.monotonic()
        took = now - began
        if self._task is asyncio.current_task():
            until = now + max(self._least, took * TIMES if took > self._quick else 0.0)
            self._held = (until, until + STALE if took > self._quick else until, value)
        return value

    def _done(self, task: asyncio.Task[Any]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            task.exception()  # whoever waited may have gone away
