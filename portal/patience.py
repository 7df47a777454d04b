"""How long a wait for the database may be in all: a person's request gives up soon, work over all rows waits long."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Final

REQUEST_SECONDS: Final = 4.0  # how long a person's request waits for a server that does not answer
USUAL_SECONDS: Final = 30.0
INTERRUPTED: Final = (TimeoutError, asyncio.CancelledError)


class Patience:
    """How long its owner waits in all for a server that does not answer. An answer renews it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = self.left = seconds

    @contextlib.asynccontextmanager
    async def bounds(self) -> AsyncIterator[None]:
        """Raises TimeoutError; the server has been told to stop then."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.left):
                yield
        except INTERRUPTED:
            self.left = max(self.left - (time.monotonic() - began), 0)
            raise
        self.left = self.seconds


given_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


class _Bounding:
    """Around every request, pictures in memory included: a generator costs three times as much."""

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._token = given_patience.set(Patience(self._seconds))

    def __exit__(self, *_: object) -> None:
        given_patience.reset(self._token)


def patience(seconds: float) -> contextlib.AbstractContextManager[None]:
    """Bound the wait for the database inside, and in tasks begun there; without it, each statement has USUAL_SECONDS."""
    return _Bounding(seconds)


def bounds() -> contextlib.AbstractAsyncContextManager[None]:
    return (given_patience.get() or Patience(USUAL_SECONDS)).bounds()
