"""The note of each day: written over, read back, and not led astray by a clock that jumped."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery.disposal import trash_image
from portal.maintenance.figures import note_the_day
from portal.maintenance.history import PARTS, is_today_noted, noted_days
from portal.maintenance.housekeeping import KEEP_COUNTS, housekeeping_tasks
from portal.maintenance.statistics import today
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.keys import cache_key
from tests.factories import Studio, make_entity


@pytest.fixture
def cache(config: Settings) -> Cache:
    return Cache(config.cache_dir)


async def test_a_day_says_what_lies_on_the_disk(studio: Studio, config: Settings, cache: Cache) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref)
    await studio.replace(image_id)
    await trash_image(await studio.add(ref), actor=SYSTEM, deletes_per_hour=0)
    await cache.put(cache_key("inventory_items", image_id, 1, 1, "card", "webp"), b"1234")
    await note_the_day(config, cache)
    [day] = await noted_days(90)
    assert (day.day, set(day.parts)) == (today(), set(PARTS))
    assert day.parts["originals"].count == day.parts["trash"].count == day.parts["versions"].count == 1
    assert (day.parts["renditions"].count, day.parts["cache"].bytes) == (7, 4)
    files = sum(entry.bytes for entry in studio.store.walk() if not entry.key.startswith("temp/"))
    assert day.bytes == files + 4
    assert 0 < day.parts["disk_free"].bytes < day.parts["disk_total"].bytes


async def test_a_day_noted_again_says_the_last(studio: Studio, config: Settings, cache: Cache) -> None:
    await note_the_day(config, cache)
    await studio.add(await make_entity())
    await note_the_day(config, cache)
    [day] = await noted_days(90)
    assert day.parts["originals"].count == 1


async def test_a_day_to_come_that_a_fast_clock_left_is_not_read(db: None, config: Settings, cache: Cache) -> None:
    await note_the_day(config, cache)
    await database.execute("UPDATE stored_day SET day = day + 1")
    assert await noted_days(90) == []
    assert not await is_today_noted()
    await note_the_day(config, cache)
    assert [each.day for each in await noted_days(90)] == [today()]
    await database.execute("UPDATE stored_day SET day = day - 91 WHERE day = $1", today() + timedelta(days=1))
    assert len(await noted_days(90)) == 1


async def test_housekeeping_notes_a_day_that_is_missing_and_folds(
    studio: Studio, config: Settings, cache: Cache
) -> None:
    await studio.add(await make_entity())
    run = housekeeping_tasks(config, cache)[KEEP_COUNTS].run
    await run({})
    assert await is_today_noted()
    rows = await database.fetch_value("SELECT count(*) FROM stored_count")
    parts = await database.fetch_value("SELECT count(*) FROM (SELECT DISTINCT status, part FROM stored_count) AS parts")
    assert rows == parts
    await database.execute("UPDATE stored_day SET bytes = 7")
    await run({})
    assert await database.fetch_value("SELECT min(bytes) FROM stored_day") == 7
