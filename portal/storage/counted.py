"""Each operation of the store is timed, and counted when it fails."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from portal.errors import PortalError
from portal.histogram import Timings


class HasTimings(Protocol):
    timings: Timings


Owner = TypeVar("Owner", bound=HasTimings)
P = ParamSpec("P")
T = TypeVar("T")
Method = Callable[Concatenate[Owner, P], Coroutine[Any, Any, T]]


def counted(operation: str) -> Callable[[Method[Owner, P, T]], Method[Owner, P, T]]:
    def around(method: Method[Owner, P, T]) -> Method[Owner, P, T]:
        @functools.wraps(method)
        async def run(self: Owner, *args: P.args, **kwargs: P.kwargs) -> T:
            began, status = time.perf_counter(), 200
            try:
                return await method(self, *args, **kwargs)
            except OSError:
                status = 500
                raise
            except PortalError as error:  # what is missing (410) is told, and no failure of the disk
                status = error.status
                raise
            finally:
                self.timings[f"store {operation}"].add(time.perf_counter() - began, status)

        return run

    return around
