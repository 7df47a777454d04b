"""A drill restores a backup into scratch and proves it, or says what it found. Live is what it was, and nothing is left."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portal import database
from portal.backups import drill as module
from portal.backups.create import create_backup
from portal.backups.destination import Folder
from portal.backups.drill import DrillReport, NotProven, drill
from portal.backups.drill_mark import drill_mark
from portal.backups.layout import folder_of, object_of_key
from portal.backups.root import Damaged, Root
from portal.backups.scratch import COMMENT, home_of
from portal.errors import DiskFull, NotFound, Running
from portal.jobs.alone import DRILL, alone
from portal.jobs.progress import Cancelled
from portal.settings import MB, Settings
from portal.tables import TABLES
from tests.factories import Studio
from tests.restoring import ADMIN, Bench, furnish

UNTOUCHED = [
    table._meta.tablename for table in TABLES if table._meta.tablename not in ("portal_state", "audit", "audit_change")
]


@pytest.fixture
async def bench(studio: Studio, config: Settings) -> AsyncIterator[Bench]:
    destination = Folder(config.backup_dir)
    await destination.open_root()
    yield Bench(studio, config, destination)
    assert await scratch_schemas() == []
    assert not home_of(config).exists()


async def run(bench: Bench, root: Root | None = None, **options: Any) -> DrillReport:
    parts: dict[str, Any] = {"settings": bench.config, "pool": bench.studio.pool, "destination": bench.destination}
    return await drill(**parts, backup_id=root.id if root else None, actor=ADMIN, **options)


async def scratch_schemas() -> list[str]:
    rows = await database.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'drill%' ORDER BY 1")
    return [row["nspname"] for row in rows]


async def everything(bench: Bench) -> dict[str, Any]:
    """Every row of every table, and every file, of the live portal and of its backups."""
    said = {name: await database.fetch(f"SELECT t::text FROM {name} AS t ORDER BY 1") for name in UNTOUCHED}
    files = [
        each for folder in (bench.store.root, bench.config.backup_dir) for each in folder.rglob("*") if each.is_file()
    ]
    return said | {str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


async def test_a_good_drill_leaves_its_mark_and_nothing_else(bench: Bench):
    await furnish(bench.studio)
    root = await bench.back_up()
    before = await everything(bench)
    done = await run(bench)
    assert await everything(bench) == before
    assert (done.backup_id, done.pictures, done.entities, done.lost) == (root.id, 6, 3, 0)
    mark = await drill_mark()
    assert (mark.backup, mark.pictures, mark.bytes, mark.failed_at) == (root.id, 6, done.bytes, None)
    assert done.bytes > 0
    audit = await database.fetch_row("SELECT actor, subject_id FROM audit WHERE action = 'backup.drill'")
    assert audit is not None
    assert tuple(audit) == (ADMIN.name, root.id)
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'backup.restore'") == 0


async def test_it_tells_how_far_it_is_where_its_job_is_and_not_in_scratch(bench: Bench):
    await furnish(bench.studio)
    root = await bench.back_up()
    told: list[tuple[int, int | None]] = []

    async def report(done: int, total: int | None) -> None:
        assert await database.fetch_value("SELECT current_schema()") == "public"
        told.append((done, total))

    await run(bench, root, report=report)
    assert told == sorted(told)
    assert told[-1] == (6, 6)


async def test_a_flipped_byte_fails_it_by_name_and_what_was_proven_before_stays_proven(bench: Bench):
    await furnish(bench.studio)
    root = await bench.back_up()
    await run(bench, root)
    good_at = (await drill_mark()).good_at
    victim = next(each for each in sorted(bench.config.backup_dir.rglob("*")) if is_object(bench, each))
    flip(victim)
    before = await everything(bench)
    with pytest.raises(Damaged, match=victim.name):
        await run(bench, root)
    assert await everything(bench) == before
    mark = await drill_mark()
    assert mark.good_at == good_at
    assert mark.has_failed
    assert victim.name in mark.message


async def test_the_next_backup_writes_anew_what_a_drill_or_a_restore_found_wrong(bench: Bench):
    await furnish(bench.studio)
    root = await bench.back_up()
    victim = next(each for each in sorted(bench.config.backup_dir.rglob("*")) if is_object(bench, each))
    for look in (run(bench, root), bench.ask(root, dry_run=True, on_conflict="replace")):
        flip(victim)
        with pytest.raises(Damaged, match=victim.name):
            await look
        assert (await bench.back_up()).copied_objects == 1
    assert (await run(bench, root)).backup_id == root.id


async def test_a_newer_backup_of_one_type_takes_nobodys_place(bench: Bench):
    with pytest.raises(NotFound, match="all types"):
        await run(bench)
    await furnish(bench.studio)
    root = await bench.back_up()
    await create_backup(settings=bench.config, store=bench.store, actor=ADMIN, entity_types=("invoices",))
    assert (await run(bench)).backup_id == root.id


async def test_a_flipped_byte_of_any_manifest_fails_it_by_name(bench: Bench):
    await furnish(bench.studio)
    root = await bench.back_up()
    for name in ("objects.jsonl", "images.jsonl", "sizes.jsonl", "audit.jsonl"):
        found = (bench.config.backup_dir / folder_of(root.id)).rglob(name)
        victim = max(found, key=lambda each: each.stat().st_size)
        flip(victim)
        with pytest.raises(Damaged, match=name):
            await run(bench, root)
        assert name in (await drill_mark()).message
        flip(victim)


async def test_a_backup_of_one_type_is_proven_though_its_pins_show_what_others_own(bench: Bench):
    await furnish(bench.studio)
    root = await create_backup(settings=bench.config, store=bench.store, actor=ADMIN, entity_types=("invoices",))
    done = await run(bench, root)
    assert (done.entities, done.pictures) == (1, 1)


async def test_what_was_lost_before_the_backup_was_made_is_no_difference(bench: Bench):
    made = await furnish(bench.studio)
    next(bench.store.root.glob(f"customers/*/{made['face']}-v1.*")).unlink()
    done = await run(bench, await bench.back_up())
    assert (done.pictures, done.lost) == (5, 1)


async def test_a_row_that_promises_what_its_bytes_are_not_is_a_difference(bench: Bench):
    made = await furnish(bench.studio)
    await database.execute(
        "UPDATE image SET renditions = jsonb_set(renditions, '{items,card,width}', '7') WHERE id = $1", made["face"]
    )
    root = await bench.back_up()
    with pytest.raises(NotProven, match=rf"backup {root.id} shows a difference: .*card") as caught:
        await run(bench, root)
    assert (await drill_mark()).message == caught.value.message


async def test_rows_that_did_not_come_back_are_a_difference(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """As a restore would that loses some: no backup does that to ours."""
    await furnish(bench.studio)
    root = await bench.back_up()
    restore = module.restore_into_scratch

    async def losing(**parts: Any) -> Any:
        plan = await restore(**parts)
        await database.execute("DELETE FROM embed_key")
        return plan

    monkeypatch.setattr(module, "restore_into_scratch", losing)
    with pytest.raises(NotProven, match=r"embed_keys\.jsonl: 1 are in the backup, 0 came back"):
        await run(bench, root)


async def test_without_room_for_a_whole_copy_it_says_the_numbers_and_copies_nothing(bench: Bench):
    await furnish(bench.studio)
    root = await bench.back_up()
    bench.config = bench.config.replace(free_space_bytes=10**9 * MB)
    with pytest.raises(DiskFull, match=r"needs 1000000000 MB .* and \d+ MB are free"):
        await run(bench, root)
    mark = await drill_mark()
    assert "There is no room for a drill" in mark.message
    assert not mark.was_tried


async def test_a_cancelled_drill_is_no_failed_one_and_leaves_nothing(bench: Bench):
    await furnish(bench.studio)
    root = await bench.back_up()

    async def report(done: int, total: int | None) -> None:
        if done > 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        await run(bench, root, report=report)
    assert (await drill_mark()).failed_at is None


async def test_where_there_is_no_backup_nothing_has_failed(bench: Bench):
    with pytest.raises(NotFound, match="no complete backup"):
        await run(bench)
    assert (await drill_mark()).failed_at is None


async def test_a_second_one_hears_since_when_the_first_is_running(bench: Bench):
    await furnish(bench.studio)
    root = await bench.back_up()
    async with alone(DRILL):
        with pytest.raises(Running, match="A drill is running since"):
            await run(bench, root)


async def test_what_a_killed_drill_left_is_removed_by_the_next_one_and_nothing_of_anybody_else(bench: Bench):
    await furnish(bench.studio)
    root = await bench.back_up()
    ours, theirs = "drill_20261122t023000z_0a1b2c", ["drill_20261122t023000z_ffffff", "drill_down", "drills"]
    for name in (ours, *theirs):
        await database.execute(f"CREATE SCHEMA {name}")
        await database.execute(f"CREATE TABLE {name}.image AS SELECT 1 AS one")
    for name in (ours, "drill_down", "drills"):
        await database.execute(f"COMMENT ON SCHEMA {name} IS '{COMMENT}'")
    (home_of(bench.config) / ours / "temp").mkdir(parents=True)
    try:
        await run(bench, root)
        assert await scratch_schemas() == sorted(theirs)
        assert not (home_of(bench.config) / ours).exists()
    finally:
        for name in theirs:
            await database.execute(f"DROP SCHEMA {name} CASCADE")


def is_object(bench: Bench, path: Path) -> bool:
    return path.is_file() and object_of_key(str(path.relative_to(bench.config.backup_dir))) is not None


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)
