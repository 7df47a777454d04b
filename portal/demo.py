"""A believable shop for an empty portal, by the import of a folder."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups.folders import import_folder
from portal.errors import Conflict, Unavailable
from portal.imaging.pool import RenderPool
from portal.parts import Parts
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.links import Links
from portal.storage.store import Store

SHOP: Final = Path(__file__).resolve().parent / "demo_shop"
PATIENCE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the portal holds now; `failed` names files whose renditions could not be made."""

    entities: int
    images: int
    failed: list[str]
    seconds: float


async def fill_demo(settings: Settings, store: Store, pool: RenderPool, links: Links) -> DemoReport:
    """Returns when every picture is ready (or failed). Raises Conflict unless the portal is empty, DiskFull, Unavailable."""
    began = time.monotonic()
    await _refuse_unless_empty()
    async with _hands(Parts(settings, store, pool, links, Cache(settings.cache_dir))):
        told = await import_folder(settings=settings, store=store, pool=pool, folder=SHOP, dry_run=False, actor=SYSTEM)
        if told.refused or told.entities.refused:
            raise RuntimeError(f"the demo's own files are wrong: {told.refusals or told.entities.errors}")
        failed = await _wait_for_all()
    return DemoReport(told.entities.created, told.added, failed, round(time.monotonic() - began, 1))


async def _refuse_unless_empty() -> None:
    there = await database.fetch_value("SELECT count(*) FROM entity")
    if there:
        things = "one entity" if there == 1 else f"{there} entities"
        raise Conflict(f"The demo only fills an empty portal, and this one holds {things}. Nothing was changed.")


@contextlib.asynccontextmanager
async def _hands(parts: Parts) -> AsyncIterator[None]:
    """A worker of our own for as long as we wait: beside others it only helps, without others it is needed."""
    worker = parts.worker()
    worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def _wait_for_all() -> list[str]:
    """The file names of those that failed. Raises Unavailable when the queue stands still."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        rows = await database.fetch("SELECT filename, status FROM image WHERE status <> 'ready'")
        if all(row["status"] == "failed" for row in rows):
            return [row["filename"] for row in rows]
        await asyncio.sleep(0.1)
    raise Unavailable("The pictures are stored, but their thumbnails are not ready. Is the machine very busy?")
