"""The checks, on real disks and rows: what breaks is named, what is new or empty alarms nobody, what hangs holds up nothing."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from portal import database
from portal.environment import CHECKOUT
from portal.maintenance.health import looking
from portal.maintenance.health.check import Check, Found, Here, worst
from portal.maintenance.health.looking import Listed, look
from portal.maintenance.health.thresholds import TABLE
from portal.settings import Settings
from portal.storage.disk import Disk
from portal.storage.store import MARKER, Store
from tests.drills.test_full_disk import SmallDisk
from tests.factories import Studio, make_entity
from tests.waiting import eventually


@pytest.fixture
def here(studio: Studio, config: Settings) -> Here:
    """An empty portal that has just been started."""
    return Here(config, studio.store)


async def checks_of(here: Here) -> dict[str, Check]:
    return {check.name: check for check in await look(here, seconds=30)}


async def severity(here: Here, name: str) -> str:
    return (await checks_of(here))[name].severity


# -- a new portal ------------------------------------------------------------------------------------------------------


async def test_a_new_empty_portal_is_well_and_says_not_yet(here: Here):
    found = await checks_of(here)
    assert worst(each.severity for each in found.values()) == "ok"
    assert {each.severity for each in found.values()} == {"ok", "unknown"}
    assert all("Not yet" in each.detail for each in found.values() if each.severity == "unknown")
    assert all(each.recommendation is None for each in found.values())
    assert found["database"].unit == found["storage"].unit == "ms"
    assert [*found][:2] == ["database", "migrations"]
    assert "scanner" not in found
    assert "certificate" not in found


async def test_a_look_leaves_nothing_behind(here: Here):
    before = sorted(entry.key for entry in here.store.walk())
    await look(here)
    assert sorted(entry.key for entry in here.store.walk()) == before
    assert list(here.settings.temp_dir.iterdir()) == []
    assert await database.fetch_value("SELECT count(*) FROM portal_state") == 0


async def test_with_pictures_a_missing_backup_and_one_disk_for_all_are_warnings(here: Here, studio: Studio):
    await studio.add(await make_entity())
    found = await checks_of(here)
    assert (found["backup"].severity, found["one_disk"].severity) == ("warning", "warning")
    assert found["scrub"].severity == "unknown"  # its first run is still to come
    assert all(found[name].recommendation for name in ("backup", "one_disk"))


# -- the disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk() -> Iterator[SmallDisk]:
    disk = SmallDisk(2)
    yield disk
    disk.remove()


async def on(disk: SmallDisk, here: Here) -> Here:
    store = Store(disk.root / "images")
    await store.open_root()
    return replace(here, store=store, settings=here.settings.replace(storage_dir=store.root, free_space_bytes=0))


def remount(disk: SmallDisk, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk.root)], check=True)


async def test_a_disk_full_to_its_last_byte_is_told_from_one_that_is_read_only(here: Here, small_disk: SmallDisk):
    here = await on(small_disk, here)
    small_disk.fill()
    full = await checks_of(here)
    assert (full["storage"].severity, full["space"].severity) == ("critical", "critical")
    assert "full to its last byte" in full["storage"].detail
    assert full["storage"].recommendation is not None
    assert full["storage"].recommendation.route == "maintenance:show"
    small_disk.free()
    assert await severity(here, "storage") == "ok"
    remount(small_disk, "ro")
    read_only = (await checks_of(here))["storage"]
    assert read_only.severity == "critical"
    assert "can be read, but not written" in read_only.detail
    remount(small_disk, "rw")
    assert await severity(here, "storage") == "ok"


async def test_a_folder_that_may_not_be_written_is_critical_for_who_is_not_root(here: Here):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    here.settings.temp_dir.chmod(0o500)
    try:
        assert "not written" in (await checks_of(here))["storage"].detail
    finally:
        here.settings.temp_dir.chmod(0o700)


async def test_a_disk_that_is_not_mounted_is_known_by_its_missing_mark(here: Here):
    (here.store.root / MARKER).unlink()
    storage = (await checks_of(here))["storage"]
    assert (storage.severity, storage.detail) == ("critical", "The disk for pictures is not mounted.")
    assert list(here.settings.temp_dir.iterdir()) == []


class Lying(Disk):
    """Gives back other bytes than it took."""

    def __init__(self) -> None:
        self.read = lambda file, size: os.read(file, size)[:-1] + b"?"  # type: ignore[method-assign] - a door of ours


async def test_a_disk_that_gives_back_other_bytes_is_not_trusted(here: Here):
    here = replace(here, store=Store(here.store.root, Lying()))
    assert "other bytes" in (await checks_of(here))["storage"].detail


class Hanging(Disk):
    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.fsync = self._hang  # type: ignore[method-assign] - a door of ours

    def _hang(self, file: int) -> None:
        self.goes_on.wait(60)
        os.fsync(file)


async def test_a_disk_that_hangs_is_a_finding_holds_up_no_other_check_and_costs_one_thread(here: Here):
    disk = Hanging()
    here = replace(here, store=Store(here.store.root, disk))
    before = threading.active_count()

    async def only_storage_hangs() -> bool:
        """The others are short of time only where the machine is."""
        found = {check.name: check for check in await look(here, seconds=1.5)}
        assert found["storage"].severity == "critical"
        assert "No answer" in found["storage"].detail
        return found["database"].severity == found["space"].severity == "ok"

    try:
        for _ in range(2):
            await eventually(only_storage_hangs)
        assert sum(thread.name == "health-round trip" for thread in threading.enumerate()) == 1
        assert threading.active_count() <= before + 1
    finally:
        disk.goes_on.set()

    async def is_well() -> bool:
        return await severity(here, "storage") == "ok"

    await eventually(is_well)


async def test_space_is_judged_by_the_floor_and_by_how_fast_it_goes(here: Here):
    free = os.statvfs(here.settings.storage_dir).f_bavail * os.statvfs(here.settings.storage_dir).f_frsize
    with_floor = [
        replace(here, settings=here.settings.replace(free_space_bytes=round(free * part))) for part in (0.7, 2)
    ]
    assert [await severity(each, "space") for each in with_floor] == ["warning", "critical"]
    for days_ago in range(30):
        await database.execute(
            """INSERT INTO stored_day (day, part, pieces, bytes)
               VALUES ((now() AT TIME ZONE 'UTC')::date - $1::int, 'disk_free', 0, $2)""",
            days_ago,
            free + days_ago * free // 20,
        )
    space = (await checks_of(here))["space"]
    assert space.severity == "warning"
    assert re.search(r"in (19|20) days", space.detail)


# -- the database ------------------------------------------------------------------------------------------------------


async def test_without_a_database_it_is_critical_and_the_rest_is_told_all_the_same(here: Here):
    pool, database.DB.pool = database.DB.pool, None
    try:
        found = await checks_of(here)
    finally:
        database.DB.pool = pool
    assert found["database"].severity == "critical"
    assert found["storage"].severity == "ok"
    assert found["queue"].severity == "unknown"
    assert worst(each.severity for each in found.values()) == "critical"


async def test_changes_of_the_tables_that_are_missing_or_newer_are_seen(here: Here):
    name = await database.fetch_value("SELECT max(name) FROM migration WHERE app_name = 'portal'")
    await database.execute("UPDATE migration SET name = 'newer' WHERE name = $1", name)
    try:
        found = await checks_of(here)
        assert found["migrations"].severity == "critical"
        assert found["queue"].detail == "Not known before the tables are up to date."
        await database.execute("INSERT INTO migration (name, app_name) VALUES ($1, 'portal')", name)
        assert await severity(here, "migrations") == "warning"
    finally:
        await database.execute("DELETE FROM migration WHERE name IN ('newer', $1)", name)
        await database.execute("INSERT INTO migration (name, app_name) VALUES ($1, 'portal')", name)


@pytest.mark.parametrize(("seconds", "expected"), [(0, "ok"), (-20, "warning"), (90, "critical")])
async def test_clocks_that_differ_are_seen(here: Here, seconds: int, expected: str):
    clock = (await checks_of(replace(here, now=lambda: datetime.now(UTC) + timedelta(seconds=seconds))))["clock"]
    assert clock.severity == expected


async def test_a_statement_that_hangs_and_a_check_that_fails_are_findings_of_their_own(here: Here):
    async def hang(here: Here) -> Found:
        await database.fetch_value("SELECT pg_sleep(60)")
        return Found("ok", "never")

    async def fail(here: Here) -> Found:
        raise ZeroDivisionError

    rest = (Listed("hangs", "Hangs", hang), Listed("fails", "Fails", fail), *looking.REST)

    async def others_are_told() -> bool:
        began = time.monotonic()
        found = {check.name: check for check in await look(here, 2, rest)}
        assert time.monotonic() - began < 30
        assert (found["hangs"].severity, found["fails"].severity) == ("warning", "warning")
        assert "No answer" in found["hangs"].detail
        return found["findings"].severity == "ok"

    await eventually(others_are_told)  # they are short of time only where the machine is


# -- thresholds --------------------------------------------------------------------------------------------------------


def test_every_threshold_is_in_the_operations_guide_with_why():
    guide = (CHECKOUT / "docs" / "operations.md").read_text("utf-8")

    def number(value: float | None, unit: str) -> str:
        return "–" if value is None else f"{value:,g} {unit}"

    for each in TABLE:
        row = f"| {each.what} | {number(each.warning, each.unit)} | {number(each.critical, each.unit)} | {each.why} |"
        assert row in guide
