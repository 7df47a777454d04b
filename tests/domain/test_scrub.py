"""The scrub reads everything once and again, some minutes a day, and goes on where it ended, whatever ended it."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from uuid import UUID

import pytest

from portal import database
from portal.errors import Running
from portal.integrity.findings import list_findings
from portal.integrity.scrub import STATE, ScrubReport, scrub, scrub_state
from portal.jobs.progress import Cancelled, Report, no_report
from portal.storage.keys import original_key
from portal.storage.store import MARKER
from tests.factories import Studio, make_entity
from tests.locks import OURS
from tests.waiting import eventually

HOUR = timedelta(hours=1)
PICTURES = 6


@pytest.fixture
async def ids(studio: Studio) -> list[UUID]:
    """In the order in which they are looked at."""
    ref = await make_entity()
    return sorted([await studio.add(ref) for _ in range(PICTURES)])


async def run(studio: Studio, budget: timedelta = HOUR, report: Report = no_report) -> ScrubReport:
    return await scrub(store=studio.store, grace=HOUR, budget=budget, report=report)


def stop_after(pictures: int) -> Report:
    async def report(done: int, total: int | None) -> None:
        if done == pictures:
            raise Cancelled

    return report


async def lose_original(studio: Studio, image_id: UUID) -> None:
    await studio.store.delete([original_key("inventory_items", image_id, 1, "jpg")])


async def found() -> set[str | None]:
    return {each.image_id for each in (await list_findings(state="open")).items}


async def test_one_pass_reads_every_byte_and_says_when_it_ended(studio: Studio, ids: list[UUID]) -> None:
    report = await run(studio)
    stored = sum(entry.bytes for entry in studio.store.walk())
    assert (report.pictures, report.bytes, report.findings, report.is_whole) == (PICTURES, stored, 0, True)
    state = await scrub_state()
    assert (state.last, state.began_at, state.pictures) == (None, None, 0)
    assert (state.completed_pictures, state.completed_bytes) == (PICTURES, stored)
    assert state.completed_at is not None
    assert state.completed_began_at is not None
    assert state.completed_began_at < state.completed_at


async def test_it_goes_on_where_it_ended(studio: Studio, ids: list[UUID]) -> None:
    with pytest.raises(Cancelled):
        await run(studio, report=stop_after(2))
    state = await scrub_state()
    assert (state.last, state.pictures, state.completed_at) == (ids[1], 2, None)
    await lose_original(studio, ids[0])  # behind it: the next pass sees that
    await lose_original(studio, ids[4])
    report = await run(studio)
    assert (report.pictures, report.is_whole) == (PICTURES - 2, True)
    assert await found() == {str(ids[4])}
    assert (await scrub_state()).completed_pictures == PICTURES
    await run(studio)
    assert await found() == {str(ids[0]), str(ids[4])}


async def test_it_stops_when_the_days_minutes_are_used(studio: Studio, ids: list[UUID]) -> None:
    first = await run(studio, budget=timedelta(microseconds=1))
    assert (first.pictures, first.is_whole) == (0, False)
    await database.execute("UPDATE portal_state SET value = value || '{\"used\": 3000.0}' WHERE name = $1", STATE)
    assert (await run(studio, budget=timedelta(minutes=50))).pictures == 0
    later = await run(studio, budget=timedelta(minutes=51))  # somebody has set more
    assert later.is_whole
    assert (await scrub_state()).used > 3000


@pytest.mark.parametrize("away", ["-21 hours", "+21 hours"], ids=["yesterday", "clock set back"])
async def test_the_next_day_has_minutes_of_its_own(studio: Studio, ids: list[UUID], away: str) -> None:
    await run(studio, budget=timedelta(microseconds=1))
    await database.execute(
        """UPDATE portal_state SET value = value || jsonb_build_object('used', 3600, 'day', now() + $2::text::interval)
           WHERE name = $1""",
        STATE,
        away,
    )
    assert (await run(studio)).is_whole


async def test_what_it_found_and_what_is_gone_is_known_after_the_pass(studio: Studio, ids: list[UUID]) -> None:
    data = await studio.store.read(original_key("inventory_items", ids[3], 1, "jpg"))
    await lose_original(studio, ids[3])
    assert (await run(studio)).new == 1
    await studio.store.put(original_key("inventory_items", ids[3], 1, "jpg"), data)
    assert (await run(studio)).gone == 1
    assert await found() == set()


async def test_one_scrub_runs_at_a_time(studio: Studio, ids: list[UUID]) -> None:
    async def another(done: int, total: int | None) -> None:
        with pytest.raises(Running, match="A scrub is running since 2"):
            await run(studio)

    assert (await run(studio, report=another)).is_whole


async def test_a_root_that_vanishes_ends_the_run_with_one_finding_and_keeps_the_place(
    studio: Studio, ids: list[UUID]
) -> None:
    away = studio.store.root.with_name("away")

    async def vanish(done: int, total: int | None) -> None:
        if done == 3 and (studio.store.root / MARKER).exists():
            studio.store.root.rename(away)

    report = await run(studio, report=vanish)
    assert (report.findings, report.is_mounted, report.is_whole) == (1, False, False)
    assert (await scrub_state()).last == ids[2]
    away.rename(studio.store.root)
    report = await run(studio)
    assert (report.pictures, report.gone, report.is_whole) == (PICTURES - 3, 1, True)


SCRUBBING = """
import asyncio, json, sys
from datetime import timedelta
from pathlib import Path
import asyncpg
from portal import database
from portal.integrity.scrub import scrub
from portal.storage.store import Store

async def stand(done, total):
    if done == 3:
        print("stands", flush=True)
        await asyncio.Event().wait()

async def main():
    database.DB.config = json.loads(sys.argv[1])
    database.DB.pool = await asyncpg.create_pool(**database.DB.config, min_size=1, max_size=2)
    store, hour = Store(Path(sys.argv[2])), timedelta(hours=1)
    await scrub(store=store, grace=hour, budget=hour, report=stand, save_every=0)

asyncio.run(main())
"""


async def test_a_killed_scrub_is_gone_on_with(studio: Studio, ids: list[UUID]) -> None:
    words = [sys.executable, "-c", SCRUBBING, json.dumps(database.DB.config), str(studio.store.root)]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"stands\n"
    process.kill()
    await process.wait()
    assert (await scrub_state()).last == ids[2]
    await eventually(_nobody_scrubs)  # the server has to hear of the killed one's end
    await lose_original(studio, ids[1])
    report = await run(studio)
    assert (report.pictures, report.is_whole) == (PICTURES - 3, True)
    assert await found() == set()


async def _nobody_scrubs() -> bool:
    return not await database.fetch_value(
        f"SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND {OURS})"
    )
