"""What a cleanup never does: believe a clock that jumped, run twice at once, touch what is repair's, hold a store in memory."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.errors import Conflict, Running
from portal.gallery.disposal import trash_image
from portal.gallery.presets import changes_in_force
from portal.jobs.alone import CLEANUP as TURN
from portal.jobs.alone import refuse_while_running
from portal.jobs.control import cancel_job
from portal.jobs.progress import Cancelled, Later
from portal.maintenance.cleanup import CleanupReport, clean_up
from portal.maintenance.clock_watch import doubt, watch_clock
from portal.maintenance.preset_changes import change_preset
from portal.maintenance.quarantine import open_quarantine
from portal.settings import Settings
from portal.storage.keys import original_key
from tests.factories import Studio, make_entity
from tests.waiting import eventually

ADMIN = Actor("user:ada@example.com", "admin")


@pytest.fixture
def config(config: Settings) -> Settings:
    return config.replace(grace_minutes=60, trash_days=30)


async def sweep(studio: Studio, config: Settings, *, dry_run: bool = False, **how: object) -> CleanupReport:
    options: dict[str, object] = {"actor": SYSTEM} | how
    return await clean_up(settings=config, store=studio.store, dry_run=dry_run, **options)  # type: ignore[arg-type] - by name


async def trash_long_ago(studio: Studio, days: int = 31) -> UUID:
    image_id = await studio.add(await make_entity())
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    await database.execute(
        "UPDATE image SET trashed_at = now() - make_interval(days => $2) WHERE id = $1", image_id, days
    )
    return image_id


async def move_clock_note(seen: str, steady: str) -> None:
    """As if the clock had last been looked at so long ago, and steady for so long."""
    await watch_clock()
    await database.execute(
        """UPDATE portal_state SET value = value || jsonb_build_object('seen_at', now() - $1::text::interval,
               'steady_since', now() - $2::text::interval) WHERE name = 'clock'""",
        seen,
        steady,
    )


async def test_a_clock_that_jumped_a_day_ahead_lets_no_schedule_clean_up(studio: Studio, config: Settings) -> None:
    trashed = await trash_long_ago(studio)
    await move_clock_note("24 hours 3 minutes", "9 days")  # watched every few minutes until it jumped
    with pytest.raises(Conflict, match="went on by 24 h 3 min unseen"):
        await sweep(studio, config, by_schedule=True)
    assert await database.fetch_value("SELECT count(*) FROM image WHERE id = $1", trashed) == 1
    said = await sweep(studio, config, by_schedule=True, dry_run=True)
    assert (said.trashed_images, "clock" in (said.doubt or "")) == (1, True)
    done = await sweep(studio, config, actor=ADMIN)  # somebody has looked at the time
    assert done.trashed_images == 1


async def test_a_clock_that_went_back_is_not_believed_either(studio: Studio, config: Settings) -> None:
    await move_clock_note("-24 hours", "9 days")
    with pytest.raises(Conflict, match="went back by 24 h"):
        await sweep(studio, config, by_schedule=True)


async def test_after_some_steady_hours_the_schedule_cleans_up_again(studio: Studio, config: Settings) -> None:
    await trash_long_ago(studio)
    await move_clock_note("9 days", "10 days")  # the portal was off
    assert await doubt() is not None
    await move_clock_note("3 minutes", "2 hours 50 minutes")
    with pytest.raises(Later, match="trusted once it has been steady") as caught:
        await sweep(studio, config, by_schedule=True)
    assert timedelta(minutes=9) < caught.value.delay <= timedelta(minutes=10)
    await move_clock_note("3 minutes", "3 hours 1 minute")
    assert (await sweep(studio, config, by_schedule=True)).trashed_images == 1


async def test_a_file_is_old_only_by_both_clocks(
    studio: Studio, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of this hour under a process whose clock is a day ahead: the database's is not."""
    path = studio.store.root / "temp" / "0190.part"
    path.write_bytes(b"on its way")
    jumped = time.time() + 86_400

    class Ahead(__import__("datetime").datetime):
        @classmethod
        def now(cls, tz: object = None) -> object:
            return cls.fromtimestamp(jumped, tz)

    monkeypatch.setattr("portal.maintenance.sweeps.datetime", Ahead)
    assert (await sweep(studio, config)).temp_files == 0
    assert path.exists()


async def test_a_picture_of_the_trash_whose_original_is_missing_is_left_to_repair(
    studio: Studio, config: Settings
) -> None:
    lost, whole = await trash_long_ago(studio), await trash_long_ago(studio)
    (studio.store.root / original_key("inventory_items", lost, 1, "jpg")).unlink()
    done = await sweep(studio, config)
    assert (done.trashed_images, done.unfound_images) == (1, 1)
    assert [row["id"] for row in await database.fetch("SELECT id FROM image")] == [lost]
    assert whole != lost


async def test_bytes_are_told_by_kind_and_are_those_on_the_disk(studio: Studio, config: Settings) -> None:
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    await database.execute("UPDATE image SET trashed_at = now() - interval '31 days'")
    stored = sum(entry.bytes for entry in studio.store.walk())
    path = studio.store.root / "temp" / "left.part"
    path.write_bytes(b"12345")
    os.utime(path, (1, 1))
    said = await sweep(studio, config, dry_run=True)
    assert (said.trashed_bytes, said.temp_bytes, said.orphaned_bytes) == (stored, 5, 0)
    assert said.bytes == stored + 5
    assert (await sweep(studio, config)).bytes == said.bytes
    assert list(studio.store.walk()) == []


async def test_rows_past_their_days_go(studio: Studio, config: Settings) -> None:
    await database.execute(
        """INSERT INTO job (id, kind, state, actor, finished_at)
           SELECT gen_random_uuid(), 'cleanup', 'succeeded', 'system', now() - make_interval(days => n)
           FROM unnest(ARRAY[10, 91]) AS n"""
    )
    await database.execute("INSERT INTO throttle (key, failures, since) VALUES ('a', 1, now() - interval '2 days')")
    said = await sweep(studio, config, dry_run=True)
    assert said.rows["jobs"] == 1
    done = await sweep(studio, config)
    assert (done.rows["jobs"], done.rows["sessions"]) == (1, 1)
    assert await database.fetch_value("SELECT count(*) FROM job") == 1


async def test_what_is_settled_goes_past_its_days_and_what_is_open_or_can_be_put_back_stays(
    studio: Studio, config: Settings
) -> None:
    await open_quarantine(config.quarantine_dir)
    await database.execute(
        """INSERT INTO finding (id, kind, detail, state, found_at, ended_at)
           SELECT gen_random_uuid(), 'missing_object', say, state, now() - interval '1 year', now() - make_interval(days => age)
           FROM (VALUES ('open', 'open', NULL), ('new', 'gone', 89), ('old', 'gone', 91), ('mended', 'repaired', 91),
                        ('in hand', 'repaired', 91)) AS v (say, state, age)"""
    )
    await database.execute(
        """INSERT INTO quarantined (id, key, held_as, bytes, sha256, finding, reason, taken_by, taken_at, restored_at, removed_at)
           SELECT gen_random_uuid(), say, say, 1, repeat('0', 64), (SELECT id FROM finding WHERE detail = say), '', '', now(),
                  now() - make_interval(days => back), now() - make_interval(days => off)
           FROM (VALUES ('in hand', NULL, NULL), ('new', 89, NULL), ('put back', 91, NULL), ('mended', NULL, 91))
             AS v (say, back, off)"""
    )
    said = await sweep(studio, config, dry_run=True)
    assert (said.rows["findings"], said.rows["quarantine"]) == (2, 2)
    assert await _told("detail", "finding") == ["in hand", "mended", "new", "old", "open"]
    done = await sweep(studio, config)
    assert done.rows == said.rows
    assert await _told("detail", "finding") == ["in hand", "new", "open"]
    assert await _told("key", "quarantined") == ["in hand", "new"]


async def _told(column: str, table: str) -> list[str]:
    return [row["told"] for row in await database.fetch(f"SELECT {column} AS told FROM {table} ORDER BY 1")]


async def test_a_size_whose_change_was_cancelled_before_it_began_does_not_come_into_force_with_the_days(
    studio: Studio, config: Settings
) -> None:
    job_id = await change_preset("icon", (96, 96, 82), actor=ADMIN)
    await cancel_job(job_id, actor=ADMIN)
    assert await changes_in_force() == {}
    await database.execute("UPDATE job SET finished_at = now() - interval '91 days'")
    assert (await sweep(studio, config)).rows["jobs"] == 0
    assert await changes_in_force() == {}


async def test_it_tells_how_far_it_is_and_ends_when_asked_with_its_line_in_the_audit(
    studio: Studio, config: Settings
) -> None:
    for _ in range(3):
        await trash_long_ago(studio)
    told: list[int] = []

    async def report(done: int, total: int | None) -> None:
        told.append(done)
        raise Cancelled

    with pytest.raises(Cancelled):
        await sweep(studio, config, report=report)
    assert told == [3]
    line = await database.fetch_value(
        "SELECT after ->> 'trashed_images' FROM audit_change JOIN audit ON audit.pk = audit_change.audit"
        " WHERE action = 'maintenance.cleanup'"
    )
    assert line == "3"


RUN = """
import asyncio, sys
from portal import database
from portal.jobs.alone import CLEANUP, alone
async def main():
    database.DB.config = eval(sys.argv[1])
    async with alone(CLEANUP):
        print("here", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_of_two_processes_one_runs_and_a_killed_one_leaves_the_place_free(
    studio: Studio, config: Settings
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, repr(dict(database.DB.config)), stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"here\n"
        with pytest.raises(Running, match="is running since"):
            await sweep(studio, config)
        with pytest.raises(Running):
            await refuse_while_running(TURN)
        process.kill()

        async def is_free() -> bool:
            try:
                await sweep(studio, config)
            except Running:
                return False
            return True

        await eventually(is_free)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_large_store_is_never_a_list(studio: Studio, config: Settings) -> None:
    folder = studio.store.root / "inventory_items"
    for at in range(6_000):
        shard = folder / f"{at % 60:02x}"
        shard.mkdir(parents=True, exist_ok=True)
        (shard / f"{uuid4()}-v1.jpg").touch()
    tracemalloc.start()
    try:
        said = await sweep(studio, config.replace(grace_minutes=0), dry_run=True)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert said.orphaned_objects == 6_000
    assert most < 4_000_000  # as a list they are more


@pytest.mark.parametrize("left_as", ["elsewhere/found.jpg", "temp/found.part"])
@pytest.mark.parametrize("flipped", [False, True])
async def test_bytes_that_a_picture_misses_stay_wherever_they_lie(
    studio: Studio, config: Settings, left_as: str, flipped: bool
) -> None:
    image_id = await studio.add(await make_entity())
    original = studio.store.root / original_key("inventory_items", image_id, 1, "jpg")
    left = studio.store.root / left_as
    left.parent.mkdir(exist_ok=True)
    os.link(original, left)  # as somebody's hand or a half-done move leaves it
    os.utime(left, (0, 0))
    data = original.read_bytes()
    original.unlink()
    if flipped:
        original.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for dry_run in (True, False):
        report = await sweep(studio, config, dry_run=dry_run)
        assert (report.missed_objects, report.orphaned_objects, report.temp_files) == (1, 0, 0)
    assert left.read_bytes() == data
    assert "that a picture misses" in "\n".join(report.lines())
    original.unlink(missing_ok=True)
    os.link(left, original)
    assert (await sweep(studio, config)).pieces == 1  # now it is a copy that nobody needs
    assert not left.exists()
