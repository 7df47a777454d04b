"""What runs every few minutes and concerns nobody: counters are folded, the clock is looked at, the day is noted,
old lines of the queue and of the minutes go."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from portal.errors import Running
from portal.gallery.counters import fold_counts
from portal.gallery.service import forget_given_up
from portal.jobs.queue import Task, prune_queue
from portal.maintenance.clock_watch import watch_clock
from portal.maintenance.figures import note_the_day
from portal.maintenance.history import is_today_noted
from portal.maintenance.performance import forget_old_minutes
from portal.settings import Settings
from portal.storage.cache import Cache

KEEP_COUNTS: Final = "keep_counts"
NOTE_DAY: Final = "note_day"
PRUNE_QUEUE: Final = "prune_queue"


def housekeeping_tasks(settings: Settings, cache: Cache) -> Mapping[str, Task]:
    async def keep_counts(payload: dict[str, Any]) -> None:
        await watch_clock()
        with contextlib.suppress(Running):
            await fold_counts()
        await forget_given_up()
        if not await is_today_noted():
            await note_the_day(settings, cache)

    async def note_day(payload: dict[str, Any]) -> None:
        await note_the_day(settings, cache)

    async def prune(payload: dict[str, Any]) -> None:
        await prune_queue()
        await forget_old_minutes(dry_run=False)

    return {KEEP_COUNTS: Task(keep_counts), NOTE_DAY: Task(note_day), PRUNE_QUEUE: Task(prune)}
