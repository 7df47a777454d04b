"""Counters of what is stored: equal to counting whatever is done, and nobody waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.errors import PortalError
from portal.gallery.counters import CounterMismatch, counter_mismatches, fold_counts, recount, stored_counts
from portal.gallery.disposal import delete_entity, delete_image, restore_image, trash_image
from portal.gallery.renditions import render_all
from portal.imaging.presets import READY
from portal.integrity.fsck import check_rows
from tests import samples
from tests.factories import Studio, make_entity
from tests.waiting import PATIENCE

MEMBERS = "filename, media_type, extension, bytes, width, height, sha256, status, sort_order"


async def total(part: str, **where: Any) -> tuple[int, int]:
    found = [each for each in await stored_counts() if each.part == part]
    found = [each for each in found if all(getattr(each, name) == value for name, value in where.items())]
    return sum(each.pieces for each in found), sum(each.bytes for each in found)


async def add_rows(count: int, type: str = "categories", first: int = 0) -> UUID | int:
    """Pictures without bytes, by COPY."""
    ref = await make_entity(type)
    entity = await database.fetch_value("SELECT pk FROM entity WHERE type = $1 AND id = $2", ref.type, ref.id)
    text = "".join(
        f"{uuid4()}\t{entity}\tm.jpg\timage/jpeg\tjpg\t{100 + at}\t8\t8\t{'a' * 64}\tpending\t{first + at}\n"
        for at in range(count)
    )
    connection = await asyncpg.connect(**database.DB.config)
    try:
        columns = ["id", "entity", *MEMBERS.split(", ")]
        await connection.copy_to_table("image", source=io.BytesIO(text.encode()), columns=columns)
    finally:
        await connection.close()
    return entity


async def test_a_picture_is_counted_through_its_whole_life(studio: Studio) -> None:
    ref = await make_entity("customers")
    data = samples.jpeg(640, 480)
    image_id = await studio.add(ref, data, ready=False)
    assert await total("original", entity_type="customers", status="pending") == (1, len(data))
    assert await total("optimized") == (0, 0)
    await studio.replace(image_id, samples.jpeg(320, 200))
    assert await total("original", status="pending") == (0, 0)
    assert await total("version", status="old") == (1, len(data))
    assert await total("compressible", status="ready") == await total("original")
    assert [(await total(name))[0] for name in READY] == [1] * len(READY)
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    assert (await total("original", is_trashed=False))[0] == 0
    assert (await total("card", is_trashed=True))[0] == 1
    assert await counter_mismatches() == []
    await restore_image(image_id, actor=SYSTEM)
    await studio.replace(image_id, ready=False)
    assert await total("version_set") == await total("shared")
    await render_all(image_id, store=studio.store, pool=studio.pool)
    assert (await total("version_set"))[0] == len(READY)
    assert await total("shared") == (0, 0)
    assert await counter_mismatches() == []
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    assert await stored_counts() == []
    assert await counter_mismatches() == []


@pytest.mark.parametrize("is_raw", [False, True])
async def test_what_goes_with_its_entity_leaves_no_count_behind(studio: Studio, is_raw: bool) -> None:
    kept = await studio.add(await make_entity("invoices"))
    ref = await make_entity("customers")
    for _ in range(2):
        await studio.replace(await studio.add(ref))
    await trash_image(await studio.add(ref), actor=SYSTEM, deletes_per_hour=0)
    if is_raw:
        await database.execute("DELETE FROM entity WHERE type = 'customers'")
    else:
        await delete_entity(ref, actor=SYSTEM, deletes_per_hour=0)
    assert {each.entity_type for each in await stored_counts()} == {"invoices"}
    assert await counter_mismatches() == []
    await database.execute("DELETE FROM image WHERE id = $1", kept)
    assert await stored_counts() == []


async def test_copies_and_changes_of_many_rows_are_counted_once_a_statement(db: None) -> None:
    await add_rows(400)
    assert await total("original", entity_type="categories") == (400, sum(range(100, 500)))
    assert await database.fetch_value("SELECT count(*) FROM stored_count") == 1
    await database.execute("UPDATE image SET alt_text = 'a mug', revision = revision + 1")
    assert await database.fetch_value("SELECT count(*) FROM stored_count") == 1
    await database.execute("UPDATE image SET status = 'failed' WHERE bytes % 2 = 0")
    assert (await total("original", status="failed"))[0] == 200
    await database.execute("DELETE FROM image WHERE status = 'failed'")
    assert await total("original") == (200, sum(range(101, 501, 2)))
    assert await counter_mismatches() == []


async def test_a_picture_that_is_only_told_about_otherwise_writes_no_counter(studio: Studio) -> None:
    image_id = await studio.add(await make_entity())
    before = await database.fetch_value("SELECT max(pk) FROM stored_count")
    await database.execute("UPDATE image SET caption = 'x', sort_order = 7, updated_at = now() WHERE id = $1", image_id)
    assert await database.fetch_value("SELECT max(pk) FROM stored_count") == before


async def test_no_writer_waits_for_the_counter_of_another(db: None) -> None:
    entities = [await add_rows(1) for _ in range(2)]
    first, second = [await asyncpg.connect(**database.DB.config, command_timeout=PATIENCE) for _ in entities]
    try:
        async with first.transaction(), second.transaction():  # open at once, each with a counter of the same name
            for connection, entity in zip((first, second), entities, strict=True):
                await connection.execute("UPDATE image SET status = 'failed' WHERE entity = $1", entity)
            await fold_counts()
    finally:
        for connection in (first, second):
            await connection.close()
    assert (await total("original", status="failed"))[0] == 2
    assert await counter_mismatches() == []


async def test_folding_keeps_every_sum_and_the_table_small(db: None) -> None:
    for _ in range(5):
        await add_rows(2)
    await database.execute("DELETE FROM image WHERE bytes = 101")
    before = sorted(await stored_counts(), key=repr)
    assert await fold_counts() == await database.fetch_value("SELECT 5 + 1 - count(*) FROM stored_count")
    assert await database.fetch_value("SELECT count(*) FROM stored_count") == len(before) == 1
    assert sorted(await stored_counts(), key=repr) == before
    assert await fold_counts() == 0


async def test_a_counter_that_is_wrong_is_named_and_counted_anew(studio: Studio) -> None:
    await studio.add(await make_entity("companies"))
    await database.execute("UPDATE stored_count SET pieces = pieces + 2 WHERE part = 'card'")
    [found] = await counter_mismatches()
    assert (found.entity_type, found.part, found.kept, found.counted) == ("companies", "card", 3, 1)
    assert "companies of" in found.detail
    assert "counted 1" in found.detail
    [breach] = [each async for each in check_rows()]
    assert (breach.kind, breach.entity_type, breach.proposed) == ("counter_mismatch", "companies", "recount")
    assert await recount() == [found]
    assert await counter_mismatches() == []
    assert await recount() == []


async def test_counters_equal_counting_at_every_moment_of_a_busy_time(studio: Studio) -> None:
    refs = [await make_entity(each) for each in ("customers", "categories")]
    is_over = asyncio.Event()

    async def write(at: int) -> None:
        for each in range(4):
            with contextlib.suppress(PortalError):
                image_id = await studio.add(refs[at % 2], ready=each % 2 == 0)
                await trash_image(image_id, actor=SYSTEM, deletes_per_hour=0)
                if each % 3:
                    await restore_image(image_id, actor=SYSTEM)
                if each % 3 == 2:
                    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)

    async def look() -> list[CounterMismatch]:
        found: list[CounterMismatch] = []
        while not is_over.is_set():
            await fold_counts()
            found += await counter_mismatches()
            await database.execute(
                "UPDATE stored_count SET bytes = bytes + 1 WHERE pk = (SELECT max(pk) FROM stored_count)"
            )
            await recount()
            found += await counter_mismatches()
        return found

    looking = asyncio.create_task(look())
    await asyncio.gather(*(write(at) for at in range(3)))
    await database.execute("DELETE FROM entity WHERE type = 'customers'")
    is_over.set()
    assert await looking == []
    assert await counter_mismatches() == []


async def test_a_connection_that_began_with_many_rows_counts_one_without_a_pass_over_all_entities(db: None) -> None:
    """It keeps the plan of its first statement, which suited two thousand."""
    await database.execute(
        "INSERT INTO entity (type, id, name) SELECT 'inventory_items', 'I-' || n, 'x' FROM generate_series(1, 2000) n"
    )
    await database.execute(
        f"""INSERT INTO image (id, entity, {MEMBERS}) SELECT gen_random_uuid(), pk, 'm.jpg', 'image/jpeg', 'jpg', 9, 8, 8,
            repeat('a', 64), 'pending', 0 FROM entity"""
    )
    await database.execute("ANALYZE entity, image")
    one = await database.fetch_value("SELECT id FROM image LIMIT 1")
    add_version = """INSERT INTO image_version (image, version, extension, bytes, width, height, sha256)
                     SELECT id, $1, 'jpg', 9, 8, 8, sha256 FROM image"""
    read = "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_xact_user_tables WHERE relname IN ('entity', 'image')"
    connection = await asyncpg.connect(**database.DB.config)
    try:
        await connection.execute("UPDATE image SET status = 'processing'")
        await connection.execute(add_version, 1)
        async with connection.transaction():
            before = await connection.fetchval(read)
            await connection.execute("UPDATE image SET status = 'failed' WHERE id = $1", one)
            await connection.execute(f"{add_version} WHERE id = $2", 2, one)
            assert await connection.fetchval(read) == before
    finally:
        await connection.close()
    assert await counter_mismatches() == []
