"""The parts that verbs take by name, opened together and closed in order; for the web app, the commands and scripts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from portal import database
from portal.gallery.tasks import gallery_tasks
from portal.imaging.pool import RenderPool
from portal.jobs import queue
from portal.jobs.queue import Task
from portal.jobs.worker import Worker
from portal.maintenance.cleanup import maintenance_tasks
from portal.settings import Settings
from portal.storage.links import Links
from portal.storage.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    store: Store
    pool: RenderPool
    links: Links

    def tasks(self) -> dict[str, Task]:
        """Every kind of job that this version knows."""
        return {**gallery_tasks(self.store, self.pool), **maintenance_tasks(self.settings, self.store)}

    def worker(self) -> Worker:
        return Worker(self.tasks(), at_once=2 * self.settings.workers)


@contextlib.asynccontextmanager
async def open_parts(settings: Settings, *, with_children: bool = True) -> AsyncIterator[Parts]:
    """Database (migrated), store and render pool. Raises Unavailable in one sentence when one of them cannot be had.

    `with_children` False starts no decoding children until a picture needs one.
    """
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(database.open_database(settings))
        await queue.migrate()
        store = Store(settings.storage_dir)
        known = await database.fetch_value("SELECT EXISTS (SELECT 1 FROM image)")
        await store.open_root(known=known)
        pool = RenderPool(settings.workers)
        stack.push_async_callback(pool.close)
        if with_children:
            await pool.start()
        yield Parts(settings, store, pool, Links(settings.secret_keys, settings.private_types))
