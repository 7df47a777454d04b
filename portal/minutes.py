"""Every process writes down, every ten seconds, what it did in this minute: so that a page and a check see them all.

Routes as templates, stages, counts and seconds; nothing of who asked, of addresses, paths and ids.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import Final

import structlog
from uuid_utils.compat import uuid7

from portal import database
from portal.histogram import Histogram, Timings
from portal.regularly import regularly

log = structlog.get_logger()

FLUSH_SECONDS: Final = 10.0
LAST_FLUSH_SECONDS: Final = 5.0
MOST_PENDING: Final = 60  # minutes kept for a database that is away
LONGEST_ROUTE: Final = 120

Row = tuple[datetime, str, int, int, float, list[int]]

# A process writes only rows of its own, each time as a whole: said twice is said once.
_WRITE: Final = """
    INSERT INTO request_minute AS kept (minute, process, route, requests, errors, seconds, buckets)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (minute, process, route) DO UPDATE SET requests = excluded.requests, errors = excluded.errors,
        seconds = excluded.seconds, buckets = excluded.buckets
"""


class Minutes:
    """What `timings` gained since the minute began is written as that minute's."""

    def __init__(self, timings: Timings, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._timings, self._flush_seconds = timings, flush_seconds
        self._process = uuid7()
        self._minute = _this_minute()
        self._before: dict[str, Histogram] = {}
        self._pending: dict[datetime, list[Row]] = {}

    def flushed(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Written down every few seconds inside, and once more at the end."""
        return regularly(
            "timings not written",
            lambda is_last: self.flush(),
            seconds=self._flush_seconds,
            last_seconds=LAST_FLUSH_SECONDS,
        )

    async def flush(self) -> None:
        """Raises what the database raises; the last hour is kept then."""
        if gained := self._gained():
            self._pending[self._minute] = gained
        minute = _this_minute()
        if minute != self._minute:
            self._before = {name: each.copy() for name, each in self._timings.items()}
            self._minute = minute
        while len(self._pending) > MOST_PENDING:
            del self._pending[min(self._pending)]
        for finished, rows in list(self._pending.items()):
            async with database.transaction():
                for when, *values in rows:
                    await database.execute(_WRITE, when, self._process, *values)
            del self._pending[finished]

    def _gained(self) -> list[Row]:
        found: list[Row] = []
        for name, now in self._timings.items():
            before = self._before.get(name) or Histogram()
            buckets = [new - old for new, old in zip(now.buckets, before.buckets, strict=True)]
            if any(buckets):
                sums = sum(buckets), now.errors - before.errors, now.seconds - before.seconds
                found.append((self._minute, name[:LONGEST_ROUTE], *sums, buckets))
        return found


def _this_minute() -> datetime:
    return datetime.fromtimestamp(time.time() // 60 * 60, UTC)
