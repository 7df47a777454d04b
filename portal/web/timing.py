"""How long requests take, by route: until the answer begins, from when the request has come whole. So neither a slow
sender nor a slow reader makes a route look slow."""

from __future__ import annotations

import re
import time
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import structlog

from portal.histogram import Timings

if TYPE_CHECKING:
    from litestar.types import Scope

log = structlog.get_logger("requests")

SLOW_SECONDS: Final = 1.0
NOWHERE: Final = "none"  # no route of ours
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Requests:
    """Of this process. `errors` counts by the code of the error that was answered; `timings` are shared with others."""

    def __init__(self, timings: Timings) -> None:
        self.timings = timings
        self.errors: Counter[str] = Counter()
        self.in_flight = 0

    def begin(self) -> None:
        self.in_flight += 1

    def end(self, scope: Scope, status: int, began: float, answered: float) -> None:
        """`answered` 0: nothing was said. Times are of `time.perf_counter`."""
        self.in_flight -= 1
        state: Any = scope
        seconds = (answered or time.perf_counter()) - max(began, state.get("arrived", began))
        route = route_of(scope)
        self.timings[route].add(seconds, status)
        if code := state.get("error_code"):
            self.errors[code] += 1
        if seconds > SLOW_SECONDS:
            log.warning("slow request", route=route, status=status, ms=round(seconds * 1000))


def route_of(scope: Scope) -> str:
    """`GET /images/{id}`: the template, never what was asked for, so that there are only so many."""
    method, handler = scope.get("method"), scope.get("route_handler")
    is_mount = getattr(handler, "is_mount", False)  # the router has no template for what lies below it
    template = min(handler.paths) if handler is not None and is_mount else scope.get("path_template")
    return label(method if method in _METHODS else "OTHER", template)


@cache
def label(method: str, template: str | None) -> str:
    """`/images/{id:str}` is said as `/images/{id}`."""
    said = re.sub(r"{(\w+):\w+}", r"{\1}", template or NOWHERE)
    return f"{method} {said}"
