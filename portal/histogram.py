"""How long things take, counted in plain integers: cheap enough for a picture out of memory."""

from __future__ import annotations

import bisect
import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Final

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
SIZE: Final = len(BOUNDS) + 1  # the last bucket has no bound
CLASSES: Final = 6  # of statuses: 1xx to 5xx; 0 for what ended without an answer


class Histogram:
    """`buckets` count by the first of BOUNDS that is not exceeded (each value once), `classes` by the status's first digit."""

    __slots__ = ("buckets", "classes", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * SIZE
        self.classes = [0] * CLASSES
        self.seconds = 0.0

    def add(self, seconds: float, status: int = 200) -> None:
        self.buckets[bisect.bisect_left(BOUNDS, seconds)] += 1
        self.classes[status // 100] += 1
        self.seconds += seconds

    @property
    def count(self) -> int:
        return sum(self.buckets)

    @property
    def errors(self) -> int:
        """Ours: 5xx, or none at all."""
        return self.classes[5] + self.classes[0]

    def copy(self) -> Histogram:
        twin = Histogram()
        twin.buckets, twin.classes, twin.seconds = self.buckets[:], self.classes[:], self.seconds
        return twin


class Timings(dict[str, Histogram]):
    """By name. Names are few and known: templates of routes, stages of a render."""

    def __missing__(self, name: str) -> Histogram:
        made = self[name] = Histogram()
        return made

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """What raises counts as an error."""
        began, status = time.perf_counter(), 500
        try:
            yield
            status = 200
        finally:
            self[name].add(time.perf_counter() - began, status)


def quantile(buckets: Sequence[int], share: float) -> float | None:
    """In seconds, between the bounds of its bucket as if they were spread evenly there; None without a value."""
    total = sum(buckets)
    if not total:
        return None
    wanted, seen, lower = total * share, 0, 0.0
    for count, upper in zip(buckets, BOUNDS, strict=False):
        if count and seen + count >= wanted:
            return lower + (upper - lower) * (wanted - seen) / count
        seen, lower = seen + count, upper
    return BOUNDS[-1]
