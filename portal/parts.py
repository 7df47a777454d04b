"""The parts that verbs take by name, opened together and closed in order; for the web app, the commands and scripts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from portal import database
from portal.backups.tasks import backup_tasks
from portal.errors import Unavailable
from portal.gallery.tasks import gallery_tasks, queue_forgotten_images
from portal.gallery.text_tasks import text_tasks
from portal.histogram import Timings
from portal.imaging.pool import RenderPool
from portal.jobs import queue
from portal.jobs.queue import Task
from portal.jobs.schedules import Clock, Schedule
from portal.jobs.worker import Worker
from portal.maintenance.tasks import maintenance_tasks
from portal.maintenance.timetable import timetable
from portal.minutes import Minutes
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.links import Links
from portal.storage.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    store: Store
    pool: RenderPool
    links: Links
    cache: Cache
    timings: Timings = field(default_factory=Timings)

    @classmethod
    def of(cls, settings: Settings) -> Parts:
        """The parts, not opened yet."""
        links = Links(settings.secret_keys, settings.private_types)
        cache = Cache(settings.cache_dir, settings.cache_max_bytes, settings.free_space_bytes)
        timings = Timings()
        return cls(
            settings,
            Store(settings.storage_dir, timings=timings),
            RenderPool(settings.workers, timings=timings),
            links,
            cache,
            timings,
        )

    def tasks(self) -> dict[str, Task]:
        """Every kind of job that this version knows."""
        return {
            **gallery_tasks(self.store, self.pool, self.cache),
            **text_tasks(self.settings.temp_dir),
            **backup_tasks(self.settings, self.store, self.pool),
            **maintenance_tasks(self.settings, self.store, self.pool, self.cache),
        }

    def schedules(self) -> list[Schedule]:
        """What runs by the clock, as far as this version has a task for it."""
        return timetable(self.settings, self.tasks())

    def worker(self) -> Worker:
        clock = Clock(self.schedules(), self.settings.timezone)
        return Worker(self.tasks(), at_once=2 * self.settings.workers, heal=queue_forgotten_images, clock=clock)

    @contextlib.asynccontextmanager
    async def opened(self, *, with_children: bool = True, even_unmounted: bool = False) -> AsyncIterator[Parts]:
        """Database (migrated), store and render pool. Raises Unavailable in one sentence when one cannot be had.

        `with_children` False starts no decoding children until a picture needs one. `even_unmounted`: for who wants to say
        that the folder for pictures is not there.
        """
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(database.open_database(self.settings, warm=with_children))
            await queue.migrate()
            known = await database.fetch_value("SELECT EXISTS (SELECT 1 FROM image)")
            with contextlib.suppress(Unavailable) if even_unmounted else contextlib.nullcontext():
                await self.store.open_root(known=known)
            stack.push_async_callback(self.pool.close)
            if with_children:
                await self.pool.start()
            await stack.enter_async_context(Minutes(self.timings).flushed())
            yield self
