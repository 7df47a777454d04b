"""Figures are found anew while they are of few: a shop sees its last change, a million pictures cost no page a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from portal import database

T = TypeVar("T")

TIMES: Final = 20
QUICK: Final = 0.5  # seconds
PATIENCE: Final = 60.0  # else a request that may not wait so long would give up each time, and nobody ever know
STALE: Final = 60.0  # seconds for which an old figure is good enough while the new one is found
LARGE_SECONDS: Final = 10.0  # for which a figure of very many is good enough: nobody sees one more or less


class Lasting(Generic[T]):
    """What took a second to find is kept for twenty, and shown for a minute more while it is found anew; what is found at once is
    found anew, or kept for `least` seconds. Where `is_large` tells what is of very many, that alone is kept, for ten seconds at
    least, and the clock of a busy machine says nothing. Found once however many ask."""

    def __init__(
        self,
        find: Callable[[], Awaitable[T]],
        *,
        least: float = 0.0,
        is_large: Callable[[T], bool] | None = None,
    ) -> None:
        self._find, self._least, self._is_large = find, least, is_large
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
            is_large = self._is_large is not None and self._is_large(value)
            is_kept = is_large or (self._is_large is None and took > QUICK)
            until = now + max(self._least, took * TIMES if is_kept else 0.0, LARGE_SECONDS if is_large else 0.0)
            self._held = (until, until + STALE if is_kept else until, value)
        return value

    def _done(self, task: asyncio.Task[Any]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            task.exception()  # whoever waited may have gone away
