"""Figures that take a while to sum: kept for a while, and summed once however many ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from portal import database

T = TypeVar("T")

KEPT_SECONDS: Final = 30.0
KEPT_FOR_TIMES: Final = 20  # what took two seconds is kept for forty
PATIENCE: Final = 120.0  # a million pictures take longer to sum than a request may wait for its own statements


class Kept(Generic[T]):
    """What `compute` gives, for half a minute or twenty times as long as it took."""

    def __init__(self, compute: Callable[[], Awaitable[T]], seconds: float = KEPT_SECONDS) -> None:
        self._compute, self._seconds = compute, seconds
        self._held: tuple[float, T] | None = None  # until when, what
        self._task: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Raises what `compute` raises; then the next who asks has it tried again."""
        if self._held is not None and time.monotonic() < self._held[0]:
            return self._held[1]
        if self._task is None:
            self._task = asyncio.create_task(self._fill())
            self._task.add_done_callback(self._done)
        return await asyncio.shield(self._task)

    def forget(self) -> None:
        self._held = None

    async def _fill(self) -> T:
        began = time.monotonic()
        with database.patience(PATIENCE):
            value = await self._compute()
        now = time.monotonic()
        self._held = (now + max(self._seconds, (now - began) * KEPT_FOR_TIMES), value)
        return value

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # whoever waited may have gone away
