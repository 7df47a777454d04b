"""What only looks wrong, because somebody is just at it, is no finding; and however much there is, little is in memory."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery import places
from portal.gallery.arrivals import announce_original
from portal.gallery.disposal import delete_image, purge_after_commit
from portal.gallery.service import queue_rendering
from portal.imaging.pool import RenderPool
from portal.imaging.verify import Limits, Verified
from portal.integrity.check import full_check
from portal.integrity.fsck import fsck
from portal.integrity.pictures import Eyes, check_pictures
from portal.integrity.strays import check_objects
from portal.storage.keys import original_key, rendition_key
from portal.storage.store import ObjectEntry, Store
from tests.factories import Studio, make_entity, write
from tests.locks import somebody_waits
from tests.waiting import eventually

NOW = timedelta(0)


async def kinds(studio: Studio, grace: timedelta = NOW) -> list[str]:
    before = await database.fetch_value("SELECT clock_timestamp()")
    await full_check(store=studio.store, grace=grace)
    rows = await database.fetch("SELECT kind FROM finding WHERE checked_at > $1 ORDER BY kind", before)
    return [row["kind"] for row in rows]


def held_open(work: Callable[[], Awaitable[object]]) -> tuple[asyncio.Task[None], asyncio.Event, asyncio.Event]:
    """A transaction in which somebody has done `work`, until the second event is set; the first says that it is done."""
    done, end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with database.transaction():
            await work()
            done.set()
            await end.wait()

    return asyncio.create_task(hold()), done, end


async def test_an_original_that_is_just_being_added_is_no_orphan(studio: Studio) -> None:
    image_id = uuid7()
    await studio.store.put(original_key("invoices", image_id, 1, "jpg"), b"its row comes in a moment")
    task, done, end = held_open(lambda: announce_original(image_id))
    await done.wait()
    assert await kinds(studio) == []
    end.set()
    await task
    assert await kinds(studio) == ["orphaned_object"]


@pytest.mark.parametrize("status", ["queued", "picked"])
async def test_a_rendition_whose_job_is_not_over_is_no_orphan(studio: Studio, status: str) -> None:
    """It may have been made of what nobody wants any more; the job that made it takes it away."""
    image_id = await studio.add(await make_entity())
    await studio.store.put(rendition_key("inventory_items", image_id, 1, 7, "card"), b"of an edit that was overtaken")
    async with database.transaction():
        await queue_rendering(image_id, 1)
    await database.execute("UPDATE pgqueuer SET status = $1::pgqueuer_status, heartbeat = now()", status)
    assert await kinds(studio) == []
    await database.execute("DELETE FROM pgqueuer")
    assert await kinds(studio) == ["orphaned_object"]


async def test_what_is_about_to_be_purged_is_no_orphan(studio: Studio) -> None:
    image_id = await studio.add(await make_entity())
    await database.execute("DELETE FROM pgqueuer")
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    assert await kinds(studio) == []
    await database.execute("DELETE FROM pgqueuer")  # the job is lost, and nobody will do it
    assert await kinds(studio) == ["orphaned_object"] * 8


async def test_a_picture_that_is_deleted_while_it_is_looked_at_misses_nothing(studio: Studio) -> None:
    image_id = await studio.add(await make_entity())
    other = await studio.add(await make_entity())

    async def delete() -> None:
        await places.lock_gallery_of(image_id)
        await studio.store.delete([original_key("inventory_items", image_id, 1, "jpg")])
        await database.execute("DELETE FROM image WHERE id = $1", image_id)
        await purge_after_commit([rendition_key("inventory_items", image_id, 1, 1, "card")])

    task, done, end = held_open(delete)
    await done.wait()
    checking = asyncio.create_task(full_check(store=studio.store, grace=timedelta(days=1)))
    await eventually(somebody_waits)
    end.set()
    await task
    report = await checking
    assert (report.pictures, report.findings) == (2, 0)
    assert await database.fetch_value("SELECT id FROM image") == other


async def test_a_temporary_file_is_nobodys_only_after_an_hour(studio: Studio) -> None:
    """No lock says whose it is, so no grace makes that shorter."""
    path = studio.store.root / "temp" / "0190.part"
    write(path, b"half")
    assert await kinds(studio) == []
    old = path.stat().st_mtime - 3700
    os.utime(path, (old, old))
    assert await kinds(studio) == ["stray_temp_file"]


async def test_an_object_younger_than_the_grace_is_no_orphan(studio: Studio) -> None:
    await studio.store.put("invoices/note.txt", b"whose?")
    assert await kinds(studio, timedelta(minutes=1)) == []
    assert await kinds(studio) == ["orphaned_object"]


class Late(RenderPool):
    """A pool that gets to a file when its picture was deleted."""

    async def verify(self, path: Path, filename: str, limits: Limits) -> Verified:
        await asyncio.to_thread(path.unlink)
        await database.execute("DELETE FROM image")
        return await super().verify(path, filename, limits)


async def test_what_goes_before_it_is_decoded_is_no_finding(studio: Studio) -> None:
    await studio.add(await make_entity())
    async with contextlib.AsyncExitStack() as stack:
        pool = Late(1)
        stack.push_async_callback(pool.close)
        checked = fsck(store=studio.store, pool=pool, grace=timedelta(days=1))
        assert [each async for each in checked] == []


class Endless(Store):
    """As if there were no end of objects."""

    given = 0

    def walk(self) -> Iterator[ObjectEntry]:
        for self.given in itertools.count(1):
            yield ObjectEntry(f"temp/{uuid4()}.part", 1, datetime.now(UTC))


async def test_objects_are_listed_as_they_are_looked_at(studio: Studio) -> None:
    """A list of all of them would never end here."""
    store = Endless(studio.store.root)
    looked = 0
    async for listed in check_objects(store, NOW, timedelta(hours=1)):
        looked += listed.objects
        assert listed.findings == []
        assert store.given <= looked
        if looked == 20_000:
            break


async def test_memory_does_not_grow_with_pictures(studio: Studio) -> None:
    """Fifteen hundred rows of 20 KB are 30 MB."""
    ref = await make_entity()
    template = await studio.add(ref, ready=False)
    await database.execute("DELETE FROM pgqueuer")
    original = studio.store.root / original_key("inventory_items", template, 1, "jpg")
    ids = [uuid7() for _ in range(1500)]
    await _copies_of(template, ids)
    for image_id in ids:
        target = studio.store.root / original_key("inventory_items", image_id, 1, "jpg")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(original, target)
    tracemalloc.start()
    try:
        wrong = [each.findings async for each in check_pictures(Eyes(studio.store)) if each.findings]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert wrong == []
    assert peak < 10 * 2**20


async def _copies_of(template: UUID, ids: list[UUID]) -> None:
    """With a stored set of renditions that is large and names none."""
    renditions = json.dumps({"of": "1.1", "made_of": {"text": "x" * 20_000}, "items": {}})
    columns = await database.fetch_value(
        """SELECT string_agg(column_name, ', ') FROM information_schema.columns WHERE table_name = 'image'
             AND is_generated = 'NEVER' AND column_name NOT IN ('id', 'sort_order', 'is_primary', 'status', 'renditions')"""
    )
    await database.execute(
        f"""INSERT INTO image (id, sort_order, is_primary, status, renditions, {columns})
            SELECT copy.id, copy.place, false, 'failed', $3::jsonb, {columns}
            FROM (SELECT {columns} FROM image WHERE image.id = $1) AS image,
                 unnest($2::uuid[]) WITH ORDINALITY AS copy (id, place)""",
        template,
        ids,
        renditions,
    )
