"""Figures that are found anew as long as that is quick: a shop sees its last change, a million pictures cost no page a second."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

TIMES: Final = 20


class Lasting(Generic[T]):
    """What took a second to find is kept for twenty, what took a millisecond for as good as nothing."""

    def __init__(self, find: Callable[[], Awaitable[T]]) -> None:
        self._find = find
        self._held: tuple[float, T] | None = None  # until when, what

    async def get(self) -> T:
        began = time.monotonic()
        if self._held is not None and began < self._held[0]:
            return self._held[1]
        value = await self._find()
        now = time.monotonic()
        took = now - began
        self._held = (now + took * TIMES if took > 0.05 else 0.0, value)
        return value
