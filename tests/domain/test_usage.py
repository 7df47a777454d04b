"""Counts of what was served: written down by many processes at once, each count once, whatever the database does meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog

from portal import database
from portal.audit.actors import SYSTEM
from portal.database import SafeTransaction
from portal.gallery.disposal import delete_image
from portal.maintenance.cleanup import clean_up
from portal.maintenance.queries import usage_of_image
from portal.maintenance.statistics import delivery, first_day, served_since
from portal.media.usage import Usage
from portal.settings import Settings
from tests.factories import Studio, make_entity
from tests.waiting import eventually

JPEG, WEBP = b"image/jpeg", b"image/webp"

PROCESS = """
import asyncio, json, sys
from uuid import UUID
import asyncpg
from portal import database
from portal.media.usage import Usage

async def main(config, images):
    database.DB.config = config
    database.DB.pool = await asyncpg.create_pool(**config, min_size=1, max_size=2)
    usage = Usage()
    for turn in range(25):
        for image in images if turn % 2 else reversed(images):
            usage.count(UUID(image), "card", b"image/jpeg", 100, turn > 0)
        await usage.flush()
    await database.DB.pool.close()

asyncio.run(main(json.loads(sys.argv[1]), json.loads(sys.argv[2])))
"""


async def kept(image_id: UUID) -> Mapping[tuple[str, date], tuple[int, int]]:
    rows = await database.fetch("SELECT * FROM image_usage WHERE image = $1", image_id)
    return {(row["preset"], row["day"]): (row["served"], row["bytes"]) for row in rows}


async def kept_by_size() -> Mapping[tuple[str, str], tuple[int, int, int]]:
    rows = await database.fetch("SELECT * FROM served_day")
    return {(row["preset"], row["format"]): (row["hits"], row["misses"], row["bytes"]) for row in rows}


def today() -> date:
    return datetime.now(UTC).date()


async def test_what_is_counted_is_written_down_by_image_and_by_size(studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    usage = Usage()
    usage.count(image_id, "card", JPEG, 500, False)
    usage.count(image_id, "card", WEBP, 300, True)
    usage.count(image_id, "card", WEBP, 0, True)
    usage.count(image_id, "original", b"image/png", 9_000, False)
    await usage.flush()
    await usage.flush()  # nothing is left
    assert await kept(image_id) == {("card", today()): (3, 800), ("original", today()): (1, 9_000)}
    assert await kept_by_size() == {
        ("card", "jpeg"): (0, 1, 500),
        ("card", "webp"): (2, 0, 300),
        ("original", "png"): (0, 1, 9_000),
    }


async def test_processes_that_write_at_once_add_up(studio: Studio):
    ref = await make_entity()
    images = [str(await studio.add(ref, ready=False)) for _ in range(3)]
    arguments = (json.dumps(database.DB.config), json.dumps(images))
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, *arguments) for _ in range(3)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    for image in images:
        assert sum(served for served, _ in (await kept(UUID(image))).values()) == 3 * 25
    total = delivery(await served_since(first_day(2), Usage()))
    assert (total.served, total.misses, total.bytes) == (3 * 25 * 3, 3 * 3, 3 * 25 * 3 * 100)


async def test_counts_of_a_deleted_image_are_dropped_and_the_others_kept(studio: Studio):
    ref = await make_entity()
    gone, there = await studio.add(ref), await studio.add(ref)
    usage = Usage()
    for image_id in (gone, there, uuid4()):
        usage.count(image_id, "card", JPEG, 10, False)
    await delete_image(gone, actor=SYSTEM, deletes_per_hour=0)
    await usage.flush()
    assert await kept(there) == {("card", today()): (1, 10)}
    assert await database.fetch_value("SELECT count(*) FROM image_usage") == 1
    assert await kept_by_size() == {("card", "jpeg"): (0, 3, 30)}  # sent they were
    await delete_image(there, actor=SYSTEM, deletes_per_hour=0)
    assert await database.fetch_value("SELECT count(*) FROM image_usage") == 0


async def test_an_image_that_is_being_deleted_is_not_waited_for_and_counted_if_it_stays(studio: Studio):
    ref = await make_entity()
    held, free = await studio.add(ref, ready=False), await studio.add(ref, ready=False)
    usage = Usage()
    other = await asyncpg.connect(**database.DB.config)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("DELETE FROM image WHERE id = $1", held)
        for image_id in (held, free):
            usage.count(image_id, "card", JPEG, 10, False)
        await usage.flush()  # would hang
        assert (len(await kept(held)), len(await kept(free))) == (0, 1)
        await transaction.rollback()
    finally:
        await other.close()
    usage.count(held, "card", JPEG, 10, True)
    await usage.flush()
    assert await kept(held) == {("card", today()): (2, 20)}
    assert await kept_by_size() == {("card", "jpeg"): (1, 2, 30)}


async def test_a_database_that_fails_loses_no_count(studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    usage = Usage()
    usage.count(image_id, "card", JPEG, 10, False)
    await database.execute("ALTER TABLE served_day RENAME TO away")
    try:
        for _ in range(2):
            with pytest.raises(asyncpg.UndefinedTableError):
                await usage.flush()
            usage.count(image_id, "card", JPEG, 10, True)
        assert await kept(image_id) == {}  # neither table, or both
    finally:
        await database.execute("ALTER TABLE away RENAME TO served_day")
    assert delivery(await served_since(today(), usage)).served == 3
    await usage.flush()
    assert await kept(image_id) == {("card", today()): (3, 30)}
    assert await kept_by_size() == {("card", "jpeg"): (2, 1, 30)}
    assert delivery(await served_since(today(), usage)).served == 3


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_whose_answer_is_lost_counts_once(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, arrives: bool
):
    image_id = await studio.add(await make_entity(), ready=False)
    commit = SafeTransaction.commit

    async def lost(self: SafeTransaction) -> None:
        await (commit(self) if arrives else self.rollback())
        raise ConnectionResetError("the server is away")

    usage = Usage()
    usage.count(image_id, "card", JPEG, 10, False)
    with monkeypatch.context() as patched, pytest.raises(ConnectionResetError):
        patched.setattr(SafeTransaction, "commit", lost)
        await usage.flush()
    assert len(await kept(image_id)) == arrives
    usage.count(image_id, "card", JPEG, 10, True)
    await usage.flush()
    assert await kept(image_id) == {("card", today()): (2, 20)}
    assert await kept_by_size() == {("card", "jpeg"): (1, 1, 20)}


async def test_an_endless_outage_holds_so_many_images_and_says_what_it_drops(studio: Studio):
    usage = Usage(flush_seconds=0.01, most_images=10)
    images = [uuid4() for _ in range(25)]
    for image_id in images:
        usage.count(image_id, "card", JPEG, 10, False)
    with structlog.testing.capture_logs() as logs:
        async with usage.flushed():
            await eventually(lambda: [each for each in logs if each["event"] == "usage of single images dropped"])
    (said,) = [each for each in logs if each["event"] == "usage of single images dropped"]
    assert (said["served"], said["most"]) == (15, 10)
    assert await kept_by_size() == {("card", "jpeg"): (0, 25, 250)}  # what was sent in all is known


async def test_what_is_counted_last_is_written_as_the_portal_ends(studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    usage = Usage(flush_seconds=3600)
    async with usage.flushed():
        usage.count(image_id, "card", JPEG, 10, False)
        assert await kept(image_id) == {}
    assert await kept(image_id) == {("card", today()): (1, 10)}


async def test_what_is_counted_while_the_portal_ends_in_the_middle_of_writing_is_written_too(studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    usage = Usage(flush_seconds=0.01)
    other = await asyncpg.connect(**database.DB.config)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE served_day")
            flushed = usage.flushed()
            await flushed.__aenter__()
            usage.count(image_id, "card", JPEG, 10, False)
            await eventually(lambda: usage._sent)  # on its way, and waiting for the table
            usage.count(image_id, "card", JPEG, 10, True)
            ending = asyncio.create_task(flushed.__aexit__(None, None, None))
            await asyncio.sleep(0)  # the end has begun
        await ending
    finally:
        await other.close()
    assert await kept(image_id) == {("card", today()): (2, 20)}


async def test_the_end_waits_only_so_long_for_a_database_that_does_not_answer(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("portal.media.usage.LAST_FLUSH_SECONDS", 0.1)
    image_id = await studio.add(await make_entity(), ready=False)
    usage = Usage(flush_seconds=0.01)
    other = await asyncpg.connect(**database.DB.config)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE served_day")
            with structlog.testing.capture_logs() as logs:
                async with usage.flushed():
                    usage.count(image_id, "card", JPEG, 10, False)
                    await eventually(lambda: usage._sent)  # begun before the end, when there was time
    finally:
        await other.close()
    assert [said["event"] for said in logs] == ["usage not written"]


async def test_one_pictures_usage_is_of_30_days_and_its_last_day_of_all(studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    for preset, days, served in (("card", 0, 4), ("card", 29, 5), ("gallery", 3, 2), ("icon", 30, 100)):
        await database.execute(
            "INSERT INTO image_usage (image, preset, day, served, bytes) VALUES ($1, $2, $3, $4, $5)",
            *(image_id, preset, today() - timedelta(days=days), served, served * 10),
        )
    usage = await usage_of_image(image_id)
    assert (usage.served, usage.bytes, usage.mostly, usage.last) == (11, 110, "card", today())
    assert list(usage.by_size) == ["card", "gallery"]


async def test_counts_of_single_images_go_after_400_days(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity(), ready=False)
    for days in (399, 400, 401):
        day = today() - timedelta(days=days)
        await database.execute(
            "INSERT INTO image_usage (image, preset, day, served) VALUES ($1, 'card', $2, 1)", image_id, day
        )
        await database.execute("INSERT INTO served_day (day, preset, format, hits) VALUES ($1, 'card', 'jpeg', 1)", day)
    said = await clean_up(settings=config, store=studio.store, actor=SYSTEM)
    assert (said.usage_rows, len(await kept(image_id))) == (1, 3)
    done = await clean_up(settings=config, store=studio.store, actor=SYSTEM, dry_run=False)
    assert (done.usage_rows, len(await kept(image_id))) == (1, 2)
    assert await database.fetch_value("SELECT count(*) FROM served_day") == 3
