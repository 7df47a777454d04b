"""Each operation of the store is timed, and counted when it fails."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from portal.histogram import Timings


class HasTimings(Protocol):
    timings: Timings


Owner = TypeVar("Owner", bound=HasTimings)
P = ParamSpec("P")
T = TypeVar("T")
Method = Callable[Concatenate[Owner, P], Awaitable[T]]


def counted(operation: str) -> Callable[[Method[Owner, P, T]], Method[Owner, P, T]]:
    def around(method: Method[Owner, P, T]) -> Method[Owner, P, T]:
        @functools.wraps(method)
        async def run(self: Owner, *args: P.args, **kwargs: P.kwargs) -> T:
            with self.timings.timed(f"store {operation}"):
                return await method(self, *args, **kwargs)

        return run

    return around
