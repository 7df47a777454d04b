"""Who was refused what: noted in memory, written after the answer, never in its way.

Somebody who is known gets a line for each refusal, up to so many a minute; what is beyond that, and all of visitors, becomes one
line a minute for each route and reason, with a count. So a flood of refusals is a few lines, and nobody's address is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record, request_id
from portal.regularly import regularly

log = structlog.get_logger()

ACTION: Final = "denied"
VISITOR: Final = Actor("visitor", "viewer")
WRITE_SECONDS: Final = 1.0
LAST_WRITE_SECONDS: Final = 5.0  # what a portal that ends waits for a database that does not answer
LINES_A_MINUTE: Final = 30  # of one actor; what is more is counted
MOST_WAITING: Final = 2000  # lines kept for a database that is away
MOST_KINDS: Final = 1000  # routes and reasons are few; a bound all the same


class Refusal(NamedTuple):
    """Of what kind; `route` is its template, as `/api/images/{id}`, `actor` the name for the audit."""

    actor: str
    method: str
    route: str
    status: int
    code: str


@dataclass(frozen=True, slots=True)
class _Line:
    refusal: Refusal
    request: str | None
    count: int | None = None


class Denials:
    """What this process has refused and not yet written down."""

    def __init__(self, *, write_seconds: float = WRITE_SECONDS) -> None:
        self._write_seconds = write_seconds
        self._lines: list[_Line] = []
        self._counts: Counter[Refusal] = Counter()
        self._minute = 0
        self._of_actor: Counter[str] = Counter()
        self._turn = asyncio.Lock()

    def note(self, actor: Actor | None, refusal_of: tuple[str, str, int, str], request: str | None) -> None:
        """`refusal_of`: method, route's template, status, code. A few dictionary look-ups, and no await."""
        refusal = Refusal((actor or VISITOR).name[:200], *refusal_of)
        self._turn_minute()
        self._of_actor[refusal.actor] += 1
        is_known = actor is not None and self._of_actor[refusal.actor] <= LINES_A_MINUTE
        if is_known and len(self._lines) < MOST_WAITING:
            self._lines.append(_Line(refusal, request))
        elif refusal in self._counts or len(self._counts) < MOST_KINDS:
            self._counts[refusal] += 1

    def _turn_minute(self) -> None:
        minute = int(time.monotonic()) // 60
        if minute != self._minute:
            self._minute = minute
            self._of_actor.clear()
            self._take_counts()

    def _take_counts(self) -> None:
        room = max(0, MOST_WAITING - len(self._lines))
        for refusal, count in self._counts.most_common(room):
            self._lines.append(_Line(refusal, None, count))
            del self._counts[refusal]

    def written(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Written down every second inside, counts every minute, and all once more at the end."""
        return regularly(
            "denials not written", self._turn_and_write, seconds=self._write_seconds, last_seconds=LAST_WRITE_SECONDS
        )

    async def _turn_and_write(self, is_last: bool) -> None:
        self._turn_minute()
        await self.write(counts=is_last)

    async def write(self, *, counts: bool = True) -> None:
        """All that waits, in one transaction; with `counts` those of this minute too. Raises what the database raises."""
        async with self._turn:
            if counts:
                self._take_counts()
            lines = self._lines[:]
            if not lines:
                return
            async with database.transaction():
                for line in lines:
                    await _write(line)
            del self._lines[: len(lines)]


async def _write(line: _Line) -> None:
    refusal = line.refusal
    after = {"status": refusal.status, "code": refusal.code, "method": refusal.method}
    if line.count is not None:
        after["count"] = line.count
    mark = request_id.set(line.request)
    try:
        await record(Actor(refusal.actor, "viewer"), ACTION, "route", refusal.route, after=after)
    finally:
        request_id.reset(mark)
