"""Cleanup: takes what nobody owns and nothing else."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.errors import Running, Unavailable
from portal.gallery.disposal import delete_image, restore_image, trash_image
from portal.integrity.fsck import Finding, fsck
from portal.jobs import alone as turns
from portal.maintenance.cleanup import CleanupReport, clean_up
from portal.settings import Settings
from portal.storage.keys import cache_key, original_key, rendition_key
from portal.storage.store import MARKER
from tests.factories import Studio, make_entity
from tests.locks import somebody_waits
from tests.waiting import eventually

OLD = 2 * 3600


@pytest.fixture
def config(config: Settings) -> Settings:
    return config.replace(grace_minutes=60, trash_days=30)


def place(studio: Studio, key: str, *, age: float = OLD, data: bytes = b"left over") -> Path:
    """A file under the store's root, `age` seconds old."""
    path = studio.store.root / key
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(data)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


async def sweep(studio: Studio, config: Settings, *, dry_run: bool = False) -> CleanupReport:
    return await clean_up(settings=config, store=studio.store, actor=SYSTEM, dry_run=dry_run)


async def findings(studio: Studio) -> list[Finding]:
    return [each async for each in fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))]


def files(studio: Studio) -> dict[str, int]:
    return {entry.key: entry.bytes for entry in studio.store.walk()}


async def test_what_nobody_owns_goes_and_all_else_stays(studio: Studio, config: Settings) -> None:
    image_id = await studio.add(await make_entity())
    _make_old(studio)
    before = files(studio)
    nobody = uuid4()
    leftovers = [
        original_key("inventory_items", nobody, 1, "jpg"),
        rendition_key("inventory_items", nobody, 1, 1, "card"),
        rendition_key("inventory_items", image_id, 1, 7, "card"),
        original_key("customers", image_id, 1, "jpg"),
        "inventory_items/notes.txt",
        "elsewhere/picture.jpg",
        "temp/0190.part",
    ]
    for key in leftovers:
        place(studio, key)
    report = await sweep(studio, config)
    assert (report.orphaned_objects, report.temp_files, report.trashed_images) == (6, 1, 0)
    assert report.bytes == 7 * len(b"left over")
    assert sorted(report.examples) == sorted(leftovers)
    assert files(studio) == before
    assert await findings(studio) == []
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'maintenance.cleanup'") == 1


def _make_old(studio: Studio) -> None:
    then = time.time() - OLD
    for entry in list(studio.store.walk()):
        os.utime(studio.store.root / entry.key, (then, then))


async def test_a_dry_run_says_the_same_and_changes_nothing(studio: Studio, config: Settings) -> None:
    trashed = await _long_in_the_trash(studio)
    place(studio, "temp/0190.part")
    place(studio, original_key("invoices", uuid4(), 1, "png"))
    before = files(studio)
    said = await sweep(studio, config, dry_run=True)
    assert (said.orphaned_objects, said.temp_files, said.trashed_images) == (1, 1, 1)
    assert files(studio) == before
    assert await database.fetch_value("SELECT count(*) FROM image WHERE id = $1", trashed) == 1
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'maintenance.cleanup'") == 0
    done = await sweep(studio, config)
    assert (done.orphaned_objects, done.temp_files, done.trashed_images) == (1, 1, 1)
    assert done.bytes == said.bytes


async def _long_in_the_trash(studio: Studio, days: int = 31) -> UUID:
    image_id = await studio.add(await make_entity())
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    await database.execute(
        "UPDATE image SET trashed_at = now() - make_interval(days => $2) WHERE id = $1", image_id, days
    )
    return image_id


async def test_what_is_younger_than_the_grace_may_still_get_its_row(studio: Studio, config: Settings) -> None:
    young = [original_key("inventory_items", uuid4(), 1, "jpg"), "temp/0190.part"]
    for key in young:
        place(studio, key, age=30 * 60)
    report = await sweep(studio, config)
    assert (report.orphaned_objects, report.temp_files) == (0, 0)
    assert sorted(files(studio)) == sorted(young)
    report = await sweep(studio, config.replace(grace_minutes=0))
    assert (report.orphaned_objects, report.temp_files) == (1, 1)
    assert files(studio) == {}


async def test_a_picture_that_is_just_being_added_keeps_its_bytes_without_any_grace(
    studio: Studio, config: Settings
) -> None:
    ref = await make_entity()
    other = await asyncpg.connect(**database.DB.config)
    try:
        async with other.transaction():
            await other.execute("SELECT 1 FROM entity FOR UPDATE")  # its row waits here
            adding = asyncio.create_task(studio.add(ref, ready=False))
            await eventually(lambda: _has_original(studio))
            report = await sweep(studio, config.replace(grace_minutes=0))
    finally:
        await other.close()
    await adding
    assert (report.orphaned_objects, report.temp_files) == (0, 0)
    assert [each.kind for each in await findings(studio)] == []


async def _has_original(studio: Studio) -> bool:
    return any(not key.startswith("temp/") for key in files(studio))


async def test_trash_goes_after_its_days_row_and_bytes(studio: Studio, config: Settings) -> None:
    gone, kept = await _long_in_the_trash(studio, 31), await _long_in_the_trash(studio, 29)
    report = await sweep(studio, config)
    assert report.trashed_images == 1
    assert [row["id"] for row in await database.fetch("SELECT id FROM image")] == [kept]
    assert not [key for key in files(studio) if str(gone) in key]
    assert len([key for key in files(studio) if str(kept) in key]) == 8
    assert await database.fetch_value("SELECT count(*) FROM object_purge") == 0


async def test_what_is_restored_while_the_trash_is_emptied_stays(studio: Studio, config: Settings) -> None:
    first, second = await _long_in_the_trash(studio), await _long_in_the_trash(studio)
    other = await asyncpg.connect(**database.DB.config)
    try:
        async with other.transaction():
            await other.execute("SELECT 1 FROM image WHERE id = $1 FOR UPDATE", first)  # the sweep waits here
            sweeping = asyncio.create_task(sweep(studio, config))
            await eventually(somebody_waits)
            await restore_image(second, actor=SYSTEM)
    finally:
        await other.close()
    await sweeping
    assert [row["id"] for row in await database.fetch("SELECT id FROM image")] == [second]
    assert [each.kind for each in await findings(studio)] == []


async def test_bytes_of_deleted_rows_go_although_no_worker_runs(studio: Studio, config: Settings) -> None:
    image_id = await studio.add(await make_entity())
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    assert len(files(studio)) == 8
    await sweep(studio, config)
    assert files(studio) == {}


async def test_a_row_whose_bytes_are_missing_is_never_touched(studio: Studio, config: Settings) -> None:
    image_id = await studio.add(await make_entity())
    for key in files(studio):
        (studio.store.root / key).unlink()
    before = await database.fetch_row("SELECT * FROM image WHERE id = $1", image_id)
    await sweep(studio, config.replace(grace_minutes=0))
    assert await database.fetch_row("SELECT * FROM image WHERE id = $1", image_id) == before


async def test_the_second_of_two_at_once_is_told_that_one_is_running(studio: Studio, config: Settings) -> None:
    other = await asyncpg.connect(**database.DB.config)
    await other.execute("SELECT pg_advisory_lock($1)", turns.CLEANUP.lock)
    try:
        with pytest.raises(Running):
            await sweep(studio, config)
    finally:
        other.terminate()  # as if its process had been killed

    async def is_free() -> bool:
        try:
            await sweep(studio, config)
        except Running:
            return False
        return True

    await eventually(is_free)


async def test_many_at_once_do_no_harm(studio: Studio, config: Settings) -> None:
    await studio.add(await make_entity())
    for _ in range(20):
        place(studio, original_key("inventory_items", uuid4(), 1, "jpg"))
    outcomes = await asyncio.gather(*(sweep(studio, config) for _ in range(5)), return_exceptions=True)
    reports = [each for each in outcomes if isinstance(each, CleanupReport)]
    assert all(isinstance(each, CleanupReport | Running) for each in outcomes)
    assert sum(report.orphaned_objects for report in reports) == 20
    assert await findings(studio) == []


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_store_without_its_marker_is_refused(studio: Studio, config: Settings, dry_run: bool) -> None:
    trashed = await _long_in_the_trash(studio)
    left = place(studio, original_key("inventory_items", uuid4(), 1, "jpg"))
    (studio.store.root / MARKER).unlink()
    with pytest.raises(Unavailable, match="not mounted"):
        await sweep(studio, config, dry_run=dry_run)
    assert left.exists()
    assert await database.fetch_value("SELECT count(*) FROM image WHERE id = $1", trashed) == 1


async def test_a_link_under_the_root_is_not_followed(studio: Studio, config: Settings, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.jpg").write_bytes(b"not ours")
    (studio.store.root / "inventory_items").symlink_to(outside)
    await sweep(studio, config.replace(grace_minutes=0))
    assert (outside / "precious.jpg").read_bytes() == b"not ours"


async def test_a_cached_file_that_can_not_go_holds_up_no_other(
    studio: Studio, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats = ("avif", "jpg", "webp")
    paths = [config.cache_dir / cache_key("invoices", uuid4(), 1, 1, "card", each) for each in formats]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"1234")
        os.utime(path, (1, 1))
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == paths[0]:
            raise PermissionError
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    done = await sweep(studio, config)
    assert (done.cached_files, done.bytes) == (2, 8)
    assert [path.exists() for path in paths] == [True, False, False]
