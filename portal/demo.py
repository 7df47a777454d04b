"""A believable shop for an empty portal: its entities by the import, its pictures by the same verb as an upload."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import hashlib
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from portal import database
from portal.audit.actors import SYSTEM
from portal.entities.imports import import_rows
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, Unavailable
from portal.gallery.forms import PictureFields, ReceivedPicture, read_picture_fields
from portal.gallery.intake import rules_of
from portal.gallery.service import add_image
from portal.imaging.pool import RenderPool
from portal.jobs.queue import BULK
from portal.parts import Parts
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.links import Links
from portal.storage.store import Store

SHOP: Final = Path(__file__).resolve().parent / "demo_shop"
PATIENCE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class DemoPicture:
    """One line of pictures.tsv."""

    path: Path
    ref: EntityRef
    fields: PictureFields


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
    report = await import_rows((SHOP / "shop.jsonl").read_bytes(), "jsonl", SYSTEM, strict=True)
    if report.refused:
        raise RuntimeError(f"the demo's own file is wrong: {report.errors[0]}")
    async with _hands(Parts(settings, store, pool, links, Cache(settings.cache_dir))):
        ids = [await _add(picture, settings, store, pool) for picture in demo_pictures()]
        failed = await _wait_for(ids)
    return DemoReport(report.created, len(ids), failed, round(time.monotonic() - began, 1))


async def _refuse_unless_empty() -> None:
    there = await database.fetch_value("SELECT count(*) FROM entity")
    if there:
        things = "one entity" if there == 1 else f"{there} entities"
        raise Conflict(f"The demo only fills an empty portal, and this one holds {things}. Nothing was changed.")


def demo_pictures() -> list[DemoPicture]:
    """In the order of their galleries; the first one becomes primary."""
    with (SHOP / "pictures.tsv").open(encoding="utf-8", newline="") as file:
        return [
            DemoPicture(SHOP / row.pop("file"), EntityRef(*row.pop("entity").split("/")), read_picture_fields(row))
            for row in csv.DictReader(file, delimiter="\t")
        ]


async def _add(picture: DemoPicture, settings: Settings, store: Store, pool: RenderPool) -> UUID:
    spooled = settings.temp_dir / f"{uuid7()}.part"
    try:
        received = await asyncio.to_thread(_spool, picture.path, spooled)
        return await add_image(
            picture.ref,
            received,
            picture.fields,
            rules=rules_of(settings, picture.ref.type),
            store=store,
            pool=pool,
            actor=SYSTEM,
            priority=BULK,
        )
    finally:
        spooled.unlink(missing_ok=True)  # stored by a rename; still there only after an error


def _spool(path: Path, spooled: Path) -> ReceivedPicture:
    spooled.touch(mode=0o600)
    shutil.copyfile(path, spooled)
    data = spooled.read_bytes()
    return ReceivedPicture(spooled, path.name, len(data), hashlib.sha256(data).hexdigest())


@contextlib.asynccontextmanager
async def _hands(parts: Parts) -> AsyncIterator[None]:
    """A worker of our own for as long as we wait: beside others it only helps, without others it is needed."""
    worker = parts.worker()
    worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def _wait_for(ids: list[UUID]) -> list[str]:
    """The file names of those that failed. Raises Unavailable when the queue stands still."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        rows = await database.fetch("SELECT filename, status FROM image WHERE id = ANY($1::uuid[])", ids)
        if all(row["status"] in {"ready", "failed"} for row in rows):
            return [row["filename"] for row in rows if row["status"] == "failed"]
        await asyncio.sleep(0.1)
    raise Unavailable("The pictures are stored, but their thumbnails are not ready. Is the machine very busy?")
