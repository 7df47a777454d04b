"""Backups and what comes in their way: others at work, an end on the way, a disk that fails, deletes meanwhile."""

from __future__ import annotations

import errno
import random
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups import copying, create
from portal.backups.destination import Folder
from portal.backups.identity import portal_id
from portal.backups.listing import list_backups
from portal.backups.spool import FOLDER
from portal.errors import DiskFull, PortalError, Running, Unavailable
from portal.gallery.disposal import delete_image
from portal.gallery.tasks import gallery_tasks, purge_objects
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.jobs.keeping import objects_in_place
from portal.jobs.progress import Cancelled, Later
from portal.maintenance.cleanup import clean_up
from tests.backing_up import files_of
from tests.backup_vault import Vault, vault
from tests.drilling import Rounds
from tests.drills.shaky_disk import CODES, ShakyDisk
from tests.factories import make_entity

__all__ = ["vault"]
TYPES = ["inventory_items"]


async def test_a_second_backup_hears_since_when_the_first_one_runs_and_a_killed_one_frees_its_place(
    vault: Vault,
) -> None:
    async def second(done: int, total: int | None) -> None:
        with pytest.raises(Running, match="A backup is running since 20"):
            await vault.create()
        raise Cancelled

    with pytest.raises(Cancelled):
        await vault.create(report=second)
    for turn in (turns.RESTORE, turns.PRUNE):
        async with alone(turn):
            with pytest.raises(Running, match=turn.name):
                await vault.create()
    holder = await asyncpg.connect(**database.DB.config)
    await holder.execute("SELECT pg_advisory_lock($1)", turns.BACKUP.lock)
    with pytest.raises(Running):
        await vault.create()
    holder.terminate()
    await vault.create()


async def test_one_that_was_ended_on_its_way_is_unfinished_and_the_next_one_finds_its_objects(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CHUNK", "BATCH", "IN_FLIGHT"):
        monkeypatch.setattr(copying, name, 1)
    await vault.studio.add(await make_entity())

    async def end(done: int, total: int | None) -> None:
        if total is not None:
            raise Cancelled

    with pytest.raises(Cancelled):
        await vault.create(report=end)
    (seen,) = await list_backups(Folder(vault.root))
    assert (seen.state, seen.complete) == ("unfinished", False)
    there = len(vault.objects())
    assert there > 0
    assert not (vault.config.data_dir / FOLDER).exists()
    root = await vault.create()
    assert root.copied_objects == root.objects - there
    assert await vault.wrong(root) == []


async def test_progress_ends_at_all_of_it(vault: Vault) -> None:
    await vault.studio.add(await make_entity())
    told: list[tuple[int, int | None]] = []

    async def report(done: int, total: int | None) -> None:
        told.append((done, total))

    root = await vault.create(report=report)
    assert told[-1] == (told[-1][1], told[-1][1])
    assert told == sorted(told, key=lambda each: each[0])
    assert (told[-1][1] or 0) - root.objects in range(len(root.members))


async def test_what_is_deleted_while_objects_are_kept_goes_after_that(vault: Vault) -> None:
    image_id = await vault.studio.add(await make_entity())
    store = vault.studio.store
    before = files_of(store.root)
    async with objects_in_place():
        await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
        with pytest.raises(Later):
            await purge_objects({}, store=store)
        for _ in range(3):  # each delete has a job; one waits for all
            await gallery_tasks(store, vault.studio.pool)["purge"].run({})
        with pytest.raises(Later):
            await gallery_tasks(store, vault.studio.pool)["purge"].run({"waits": True})
        with pytest.raises(Later):
            await clean_up(settings=vault.config, store=store, actor=SYSTEM, dry_run=False)
        assert files_of(store.root) == before
    waiting = await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE dedupe_key = 'purge later'")
    assert waiting == 1
    await purge_objects({}, store=store)
    assert len(files_of(store.root)) == 1  # the marker


async def test_what_was_deleted_during_a_backup_goes_before_the_next_one_begins(vault: Vault) -> None:
    """However closely they follow each other."""
    image_id = await vault.studio.add(await make_entity())

    async def report(done: int, total: int | None) -> None:
        if total is None and await database.fetch_value("SELECT EXISTS (SELECT FROM image)"):
            await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)

    assert (await vault.create(report=report)).lost == 0
    assert len(files_of(vault.studio.store.root)) > 1
    await vault.create()
    assert len(files_of(vault.studio.store.root)) == 1  # the marker


async def test_no_sweep_takes_what_a_backup_needs(vault: Vault) -> None:
    """A deleted picture's objects have no row any more and are old."""
    image_id = await vault.studio.add(await make_entity())
    settings = vault.config.replace(grace_minutes=0)
    swept: list[int] = []

    async def report(done: int, total: int | None) -> None:
        if total is None and not swept:
            swept.append(1)
            await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
            with pytest.raises(Later):
                await clean_up(settings=settings, store=vault.studio.store, actor=SYSTEM, dry_run=False)

    root = await vault.create(report=report)
    assert (swept, root.images, root.lost) == ([1], 1, 0)
    assert await vault.wrong(root) == []


async def test_a_backup_leaves_the_floor_free(vault: Vault) -> None:
    await vault.studio.add(await make_entity())
    vault.config = vault.config.replace(free_space_bytes=2**60)
    with pytest.raises(DiskFull, match="backups"):
        await vault.create()
    assert vault.objects() == set()


class Failing:
    """Backups on a disk that fails."""

    def __init__(self, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        self.vault, self.disk = vault, ShakyDisk()
        monkeypatch.setattr(create, "destination_of", self._folder)

    def _folder(self, _: Any) -> Folder:
        folder = Folder(self.vault.root)
        folder.store.disk = self.disk
        return folder

    async def attempt(self) -> PortalError | None:
        try:
            await self.vault.create(entity_types=TYPES)
        except PortalError as error:
            return error
        return None


@pytest.mark.drill("R5")
async def test_whatever_call_to_the_disk_fails_the_old_backup_is_intact_and_the_next_one_whole(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, rounds: Rounds
) -> None:
    ref = await make_entity()
    await vault.studio.add(ref, ready=False)
    old = await vault.create(entity_types=TYPES)
    failing = Failing(vault, monkeypatch)
    count, before = rounds(6, 400, "failing calls"), files_of(vault.studio.store.root)
    nth = 1
    for turn in range(count):
        (vault.root / sorted(vault.objects())[-1]).unlink()  # something to copy
        code = CODES[turn % len(CODES)]
        failing.disk.arm(nth, code, lasting=turn % 2 == 0)
        error = await failing.attempt()
        struck = failing.disk.struck
        failing.disk.disarm()
        where = f"{errno.errorcode[code]} at call {nth} ({struck[:1]})"
        if error is not None:
            assert type(error) is (DiskFull if code == errno.ENOSPC else Unavailable), where
            assert "backups" in error.message, where
        again = await failing.attempt()
        assert again is None, where
        assert failing.disk.lost_by_a_power_cut(vault.root) == [], where
        assert list((vault.root / "temp").iterdir()) == [], where
        nth = nth + max(1, 120 // count) + random.randrange(3) if struck else 1
    assert await vault.wrong(old) == []
    assert files_of(vault.studio.store.root) == before


@pytest.mark.drill("R3")
async def test_objects_are_on_the_disk_before_they_are_named_and_named_before_a_manifest_says_so(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    await vault.studio.add(await make_entity())
    failing = Failing(vault, monkeypatch)
    disk, root = failing.disk, vault.root
    lost: list[str] = []
    rename = disk.rename

    def look_first(source: str, target: str, **folders: int) -> None:
        draft = Path(root / "temp" / source)
        if draft.stat().st_ino in disk.unsynced:
            lost.append(f"{target}: named before its bytes")
        if target.endswith(".jsonl"):
            objects = [each for each in disk.lost_by_a_power_cut(root) if "/objects" in each]
            lost.extend(f"{target} before {each}" for each in objects)
        if target == "backup.jsonl":
            lost.extend(f"the root before {each}" for each in disk.lost_by_a_power_cut(root))
        rename(source, target, **folders)

    monkeypatch.setattr(disk, "rename", look_first)
    assert await failing.attempt() is None
    assert lost == []
    assert disk.lost_by_a_power_cut(root) == []


async def test_a_destination_that_goes_away_is_said_and_nothing_is_written_into_its_place(vault: Vault) -> None:
    await vault.studio.add(await make_entity())
    await vault.create()
    before = files_of(vault.root)
    (vault.root / ".portal-root").unlink()
    with pytest.raises(Unavailable, match="not mounted"):
        await vault.create()
    assert set(files_of(vault.root)) == set(before) - {".portal-root"}


THEIRS = ("backup-0123456789abcdef-x.part", "batch-x.part", "x.part")


async def test_a_killed_ones_drafts_and_spool_are_swept(vault: Vault) -> None:
    """But no draft of just now that is another portal's, or an arriving archive's."""
    await vault.create()
    draft, *others = (vault.root / "temp" / name for name in (f"backup-{await portal_id()}-x.part", *THEIRS))
    for each in (draft, *others):
        each.write_bytes(b"half")
    spool = vault.config.data_dir / FOLDER / "rest"
    spool.mkdir(parents=True)
    await vault.create()
    assert not draft.exists()
    assert [each for each in others if not each.exists()] == []
    assert not spool.exists()
