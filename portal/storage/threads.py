"""Calls to a disk that may never come back, for who only wants to know whether it answers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """Blocking calls that may never come back: each in a thread of its own, by name; who asks while it runs waits for that one.

    So a disk that hangs costs one thread. The usual threads are of a limited number, and are waited for as the process ends.
    """

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[Any]] = {}

    async def call(self, name: str, work: Callable[[], T]) -> T:
        """Raises what `work` raises."""
        outcome = self._running.get(name)
        if outcome is None:
            outcome = self._running[name] = asyncio.get_running_loop().create_future()
            outcome.add_done_callback(lambda done: self._end(name, done))
            threading.Thread(target=_run, args=(work, outcome), name=f"health-{name}", daemon=True).start()
        return await asyncio.shield(outcome)

    def _end(self, name: str, done: asyncio.Future[Any]) -> None:
        del self._running[name]
        if not done.cancelled():
            done.exception()  # who waited may have gone away


def _run(work: Callable[[], T], outcome: asyncio.Future[T]) -> None:
    tell: Callable[[], None]
    try:
        result = work()
        tell = lambda: outcome.set_result(result)  # noqa: E731 - one of two
    except Exception as error:
        failure = error
        tell = lambda: outcome.set_exception(failure)  # noqa: E731 - one of two
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        outcome.get_loop().call_soon_threadsafe(tell)
