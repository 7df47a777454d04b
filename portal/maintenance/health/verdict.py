"""The verdict as this process knows it: kept for who asks, refreshed in the background, shared with all other processes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from portal import database
from portal.maintenance.health import memory
from portal.maintenance.health.alerts import Alerts
from portal.maintenance.health.check import Check, Here, utc_now
from portal.maintenance.health.looking import SECONDS, look
from portal.maintenance.health.memory import Verdict, with_since
from portal.settings import Settings
from portal.storage.store import Store

log = structlog.get_logger()

FRESH_SECONDS: Final = 5.0  # of who asks now: many cost one look
LOOK_EVERY: Final = 30.0  # in the background, of all processes together
FIRST_AFTER: Final = 3.0  # workers have told by then that they live
STALE_AFTER: Final = 5  # times LOOK_EVERY: what is older than that is no news


class Health:
    """One for each process. `kept` is the last verdict that it has heard of, and asking for it costs nothing."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        now: Callable[[], datetime] = utc_now,
        every: float = LOOK_EVERY,
        first_after: float = FIRST_AFTER,
    ) -> None:
        self._here = Here(settings, store, now=now)
        self._now, self._every, self._first_after = now, every, first_after
        self.alerts = Alerts(settings, apart=every / 6, now=now)
        self.kept: Verdict | None = None
        self._kept_at = self._looked_at = float("-inf")  # of this process's monotonic clock
        self._shared_at: datetime | None = None
        self._looking: asyncio.Task[Verdict] | None = None

    @property
    def alarms(self) -> Sequence[Check]:
        """What admins are shown on every page."""
        if self.kept is None or time.monotonic() > self._kept_at + STALE_AFTER * self._every:
            return ()
        return self.kept.critical

    async def verdict(self) -> Verdict:
        """At most five seconds old; many who ask at once wait for one look. Changes nothing that others see."""
        if self.kept is not None and time.monotonic() < self._looked_at + FRESH_SECONDS:
            return self.kept
        if self._looking is None:
            self._looking = asyncio.create_task(self._ask())
            self._looking.add_done_callback(self._done)
        return await asyncio.shield(self._looking)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._looking = None
        if not task.cancelled():
            task.exception()  # whoever waited may have gone away

    async def _ask(self) -> Verdict:
        checks = await look(self._here)
        return self._looked(Verdict(with_since(checks, await self._before()), self._now()))

    async def _before(self) -> Verdict | None:
        """What is remembered of the last look, by all or else by this process."""
        try:
            with database.patience(SECONDS):
                return await memory.recall() or self.kept
        except Exception:  # the look itself tells that the database is away
            return self.kept

    def _looked(self, verdict: Verdict) -> Verdict:
        self._looked_at = self._kept_at = time.monotonic()
        self.kept = verdict
        return verdict

    def _shared(self, verdict: Verdict) -> Verdict:
        """What was heard before is no newer than a look of ours; which of two looks is newer, clocks that differ cannot say."""
        if verdict.looked_at != self._shared_at or self.kept is None:
            self.kept, self._shared_at = verdict, verdict.looked_at
        self._kept_at = time.monotonic()
        return verdict

    async def run(self) -> None:
        """For ever: look when it is this process's turn, else hear what others saw; and tell who is to be told."""
        await asyncio.sleep(self._first_after)
        telling = asyncio.create_task(self.alerts.run(self._every / 10))
        try:
            while True:
                await self.tick()
                await asyncio.sleep(self._every / 3 * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        finally:
            telling.cancel()

    async def tick(self) -> None:
        try:
            await self.alerts.note_own((await self._heard()).checks)
        except Exception as error:  # it goes on: a watch that ended would be missed by nobody
            log.warning("health could not be watched", error=repr(error))

    async def _heard(self) -> Verdict:
        try:
            with database.patience(SECONDS):
                is_ours = await memory.claim(self._every)
                if not is_ours and (shared := await memory.recall()) is not None:
                    return self._shared(shared)
        except Exception:  # whatever it is: the look will say it
            is_ours = False
        checks = await look(self._here)
        verdict = self._looked(Verdict(with_since(checks, self.kept), self._now()))
        return await self._remembered(verdict) if is_ours else verdict

    async def _remembered(self, verdict: Verdict) -> Verdict:
        note = self.alerts.note if self.alerts.url is not None else None
        try:
            with database.patience(SECONDS):
                found = await memory.remember(verdict.checks, verdict.looked_at, note, self._every / 3)
        except database.AWAY:  # since a moment ago
            return verdict
        self._shared_at = found.looked_at
        return self._looked(found)
