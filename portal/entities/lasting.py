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


class Lasting(Generic[T]):
    """What took a second to find is kept for twenty, what is found at once is found anew; once however many ask."""

    def __init__(self, find: Callable[[], Awaitable[T]]) -> None:
        self._find = find
        self._held: tuple[float, T] | None = None  # until when, what
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Raises what finding raises; then the next who asks has it tried again."""
        if self._held is not None and time.monotonic() < self._held[0]:
            return self._held[1]
        if self._task is None:
            self._task = asyncio.create_task(self._fill())
            self._task.add_done_callback(self._done)
        return await asyncio.shield(self._task)

    async def _fill(self) -> T:
        began = time.monotonic()
        with database.patience(PATIENCE):
            value = await self._find()
        now = time.monotonic()
        self._held = (now + (now - began) * TIMES, value) if now - began > QUICK else None
        return value

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # whoever waited may have gone away
