"""Pruning: what is past its time goes, what any remaining backup needs stays, and in doubt nothing goes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups import object_lists
from portal.backups.destination import Folder
from portal.backups.identity import portal_id
from portal.backups.in_use import backups_for_removal, backups_in_use
from portal.backups.layout import BEGUN, OBJECT_LIST, ROOT, folder_of, new_id, object_key, object_of_key
from portal.backups.listing import list_backups
from portal.backups.retention import PruneReport, prune_backups, remove_backup
from portal.backups.verify import verify_backup
from portal.errors import Conflict, NotFound, Running, Unavailable
from portal.jobs.alone import BACKUP, alone
from portal.maintenance.health.evidence import evidence_of
from portal.settings import Keep, Settings
from portal.storage.store import MARKER
from tests.backing_up import NOW, TYPE, files_of, forge, opened, sha256_of, some_bytes

pytestmark = pytest.mark.usefixtures("db")
KEEP = Keep(last=2)


@pytest.fixture
async def place(config: Settings) -> Folder:
    return await opened(config.backup_dir)


async def pruned(place: Folder, *, dry_run: bool = False, keep: Keep = KEEP) -> PruneReport:
    return await prune_backups(destination=place, keep=keep, zone=ZoneInfo("UTC"), actor=SYSTEM, dry_run=dry_run)


def objects(at: Path) -> set[str]:
    return {named[1] for key in files_of(at) if (named := object_of_key(key))}


def hashes(*pieces: list[bytes]) -> set[str]:
    return {sha256_of(each) for some in pieces for each in some}


@pytest.mark.parametrize("at_once", [object_lists.FEW, 0])
async def test_what_no_remaining_backup_needs_is_freed_and_a_dry_run_says_the_same(
    place: Folder, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few objects at once, of many shard by shard."""
    monkeypatch.setattr(object_lists, "FEW", at_once)
    at, (a, b, c, d) = place.store.root, (some_bytes(seed) for seed in range(4))
    old = forge(at, {TYPE: a + b, "customers": a}, at=NOW - timedelta(days=3))
    kept = [forge(at, {TYPE: b + c, "customers": []}, at=NOW - timedelta(days=day)) for day in (2, 1)]
    (at / object_key(TYPE, sha256_of(d[0]))).parent.mkdir(parents=True, exist_ok=True)
    (at / object_key(TYPE, sha256_of(d[0]))).write_bytes(d[0])  # of a backup that was killed
    foreign = at / TYPE / "objects" / "read-me.txt"
    foreign.write_text("not ours")
    before = files_of(at)
    planned = await pruned(place, dry_run=True)
    assert files_of(at) == before
    done = await pruned(place)
    assert planned.as_result() == done.as_result() | {"dry_run": True}
    assert (done.removed, [each.id for each in done.kept]) == ((old.id,), [kept[1].id, kept[0].id])
    assert (done.objects, done.bytes) == (11, 2 * sum(map(len, a)) + len(d[0]))
    assert objects(at) == hashes(b, c)
    assert foreign.exists()
    assert not (at / folder_of(old.id)).exists()
    for root in kept:
        assert "read-me.txt" in str((await verify_backup(destination=place, backup_id=root.id)).wrong)
    row = await database.fetch_row("SELECT action, after FROM audit JOIN audit_change AS c ON c.audit = audit.pk")
    assert row is not None
    assert row["action"] == "backup.prune"
    assert json.loads(row["after"])["removed"] == 1
    assert (await pruned(place)).objects == 0
    assert await database.fetch_value("SELECT count(*) FROM audit") == 1  # nothing done, nothing told


async def test_nothing_is_freed_while_the_list_of_a_remaining_backup_cannot_be_read(place: Folder) -> None:
    at = place.store.root
    old = forge(at, some_bytes(1), at=NOW - timedelta(days=3))
    kept = [forge(at, some_bytes(2), at=NOW - timedelta(days=day)) for day in (2, 1)]
    key = f"{folder_of(kept[0].id)}/{TYPE}/{OBJECT_LIST}"
    sound = (at / key).read_bytes()
    for harm in (sound[:-1], sound.replace(b"1", b"2"), b"", None):
        (at / key).unlink() if harm is None else (at / key).write_bytes(harm)
        found = await pruned(place)
        assert key in str(found.blocked)
        assert objects(at) == hashes(some_bytes(1), some_bytes(2))
        assert found.objects == 0
    assert not (at / folder_of(old.id)).exists()
    (at / key).write_bytes(sound)
    assert (await pruned(place)).objects == 5
    assert objects(at) == hashes(some_bytes(2))


@pytest.mark.parametrize("harm", ["damaged", "foreign"])
async def test_nothing_is_freed_beside_a_root_that_cannot_be_read(place: Folder, harm: str) -> None:
    at = place.store.root
    forge(at, some_bytes(1), at=NOW - timedelta(days=3))
    sound = [forge(at, some_bytes(2), at=NOW - timedelta(days=day)) for day in (2, 1)]
    other = forge(at, some_bytes(3), format=9 if harm == "foreign" else 1)
    if harm == "damaged":
        (at / folder_of(other.id) / ROOT).write_bytes(b"{}\n")
    found = await pruned(place)
    assert f"{folder_of(other.id)}/{ROOT}" in str(found.blocked)
    assert {each.id for each in found.kept} == {other.id, *(root.id for root in sound)}
    assert hashes(some_bytes(3)) <= objects(at)
    await remove_backup(destination=place, backup_id=other.id, actor=SYSTEM)
    assert (await pruned(place)).blocked is None
    assert objects(at) == hashes(some_bytes(2))


def begin(at: Path, portal: str | None, age: timedelta) -> str:
    """A backup that has no root yet."""
    moment = datetime.now(UTC) - age
    backup_id = new_id(moment)
    begun = at / folder_of(backup_id) / BEGUN
    begun.parent.mkdir(parents=True)
    begun.write_text(json.dumps({"portal": portal} if portal else []))
    os.utime(begun, (moment.timestamp(), moment.timestamp()))
    return backup_id


async def test_unfinished_ones_go_unless_another_portal_may_be_at_work(place: Folder) -> None:
    at = place.store.root
    kept, stray = forge(at, some_bytes(1), at=NOW - timedelta(days=9)), some_bytes(2, 1)[0]
    (at / object_key(TYPE, sha256_of(stray))).parent.mkdir(parents=True, exist_ok=True)
    (at / object_key(TYPE, sha256_of(stray))).write_bytes(stray)
    ours = begin(at, await portal_id(), timedelta(minutes=1))
    old = begin(at, "another", timedelta(hours=25))
    theirs = [begin(at, name, timedelta(hours=23)) for name in ("another", None)]
    assert {each.state for each in await list_backups(place) if each.id != kept.id} == {"unfinished"}
    found = await pruned(place)
    assert set(found.unfinished) == {ours, old}
    assert min(theirs) in str(found.blocked)
    assert {each.id for each in await list_backups(place)} == {kept.id, *theirs}
    assert sha256_of(stray) in objects(at)
    with pytest.raises(Conflict, match="Another portal"):
        await remove_backup(destination=place, backup_id=theirs[0], actor=SYSTEM)
    for each in theirs:
        os.utime(at / folder_of(each) / BEGUN, (1, 1))
    found = await pruned(place)
    assert (set(found.unfinished), found.objects) == (set(theirs), 1)


async def test_one_backup_is_removed_by_its_id_but_never_the_only_one(place: Folder) -> None:
    at = place.store.root
    old, new = (forge(at, some_bytes(1), at=NOW - timedelta(days=day)) for day in (1, 0))
    for backup_id in ("..", "2026-11-23T020000Z-abcdef"):
        with pytest.raises(NotFound):
            await remove_backup(destination=place, backup_id=backup_id, actor=SYSTEM)
    good = json.dumps({"good_at": new.created_at.isoformat(), "id": new.id})
    await database.execute("INSERT INTO portal_state (name, value) VALUES ('backup', $1)", good)
    await remove_backup(destination=place, backup_id=new.id, actor=SYSTEM)
    assert await evidence_of("backup") == {}  # of all types there is none left
    assert [each.id for each in await list_backups(place)] == [old.id]
    with pytest.raises(Conflict, match="only complete"):
        await remove_backup(destination=place, backup_id=old.id, actor=SYSTEM)
    assert (await verify_backup(destination=place, backup_id=old.id)).is_sound
    assert await database.fetch_value("SELECT action || ' ' || subject_id FROM audit") == f"backup.remove {new.id}"


async def test_temporary_files_go_after_an_hour(place: Folder) -> None:
    at = place.store.root
    forge(at, some_bytes(1))
    for name, age in (("old.part", 7200), ("new.part", 60)):
        (at / "temp" / name).write_bytes(b"draft")
        os.utime(at / "temp" / name, (time.time() - age, time.time() - age))
    assert (await pruned(place, dry_run=True)).temp_files == 1
    assert (await pruned(place)).temp_files == 1
    assert [each.name for each in (at / "temp").iterdir()] == ["new.part"]


async def test_an_empty_place_and_one_that_is_away_lose_nothing(place: Folder, config: Settings) -> None:
    assert (await pruned(place)).kept == ()
    forge(place.store.root, some_bytes(1))
    (place.store.root / MARKER).unlink()
    before = files_of(place.store.root)
    with pytest.raises(Unavailable):
        await pruned(place)
    assert files_of(place.store.root) == before
    assert await list_backups(Folder(config.data_dir / "never-made")) == []


async def test_nobody_removes_while_somebody_works_on_backups(place: Folder) -> None:
    root = forge(place.store.root, some_bytes(1))
    async with alone(BACKUP), backups_in_use():
        with pytest.raises(Running, match="A backup is running since"):
            await pruned(place)
    async with backups_in_use():
        async with backups_in_use():  # many at once
            assert (await verify_backup(destination=place, backup_id=root.id)).is_sound
        with pytest.raises(Running, match="Work on backups is running since"):
            await pruned(place, dry_run=True)
    async with backups_for_removal():
        with pytest.raises(Running, match="A pruning of backups is running since"):
            await verify_backup(destination=place, backup_id=root.id)
        with pytest.raises(Running, match="A pruning of backups"):
            await remove_backup(destination=place, backup_id=root.id, actor=SYSTEM)
    assert (await pruned(place)).removed == ()


class Breaking(Folder):
    """Goes away before the second root is deleted."""

    roots = 0

    async def delete(self, keys: Iterable[str]) -> int:
        keys = list(keys)
        self.roots += any(each.endswith(ROOT) for each in keys)
        if self.roots > 1:
            raise Unavailable("The disk for backups went away.")
        return await super().delete(keys)


async def test_a_pruning_that_breaks_off_tells_what_went_and_no_more(place: Folder) -> None:
    made = [forge(place.store.root, some_bytes(day), at=NOW - timedelta(days=day)).id for day in range(1, 6)]
    with pytest.raises(Unavailable, match="went away"):
        await pruned(Breaking(place.store.root))
    said = await database.fetch("SELECT change.after FROM audit_change AS change JOIN audit ON audit.pk = change.audit")
    left = {view.id for view in await list_backups(place)}
    assert len(left) == 4
    assert [json.loads(row["after"])["removed_ids"] for row in said] == [sorted(set(made) - left)]


async def test_what_another_portal_has_made_is_left_to_it(place: Folder) -> None:
    at, ours, (a, b, c) = place.store.root, await portal_id(), (some_bytes(seed) for seed in range(3))
    mine = [forge(at, a, at=NOW - timedelta(days=day), portal=ours) for day in (3, 2, 1)]
    theirs = [forge(at, b, at=NOW - timedelta(days=day), portal="another") for day in (90, 60, 30)]
    broken = forge(at, c, at=NOW - timedelta(days=20), portal="another")
    (at / folder_of(broken.id) / ROOT).write_bytes(b"{}\n")
    (at / folder_of(broken.id) / BEGUN).write_text(json.dumps({"portal": "another"}))
    planned = await pruned(place, dry_run=True, keep=Keep(last=1))
    done = await pruned(place, keep=Keep(last=1))
    assert planned.as_result() == done.as_result() | {"dry_run": True}
    assert set(done.removed) == {mine[0].id, mine[1].id}
    assert {line for line in done.lines() if "another" in line} == {
        f"keep {each.id}: belongs to another portal" for each in [*theirs, broken]
    }
    assert objects(at) == hashes(a, b, c)
    with pytest.raises(Conflict, match="only complete"):
        await remove_backup(destination=place, backup_id=mine[2].id, actor=SYSTEM)
    await remove_backup(destination=place, backup_id=theirs[0].id, actor=SYSTEM)  # by a person, one at a time


async def test_nothing_is_freed_once_another_portal_has_made_a_backup_meanwhile(place: Folder) -> None:
    """What it needs may lie there already, and none of the backups that were looked at before names it."""
    at, (a, b) = place.store.root, (some_bytes(seed) for seed in range(2))
    forge(at, a, at=NOW - timedelta(days=2), portal=await portal_id())
    forge(at, b, at=NOW - timedelta(days=1), portal=await portal_id())
    theirs: list[str] = []

    async def report(done: int, total: int | None) -> None:
        if not theirs:
            theirs.append(forge(at, a, portal="another").id)

    found = await prune_backups(
        destination=place, keep=Keep(last=1), zone=ZoneInfo("UTC"), actor=SYSTEM, dry_run=False, report=report
    )
    assert f"has just made {theirs[0]}" in str(found.blocked)
    assert (await verify_backup(destination=place, backup_id=theirs[0])).is_sound
    assert (await pruned(place)).blocked is None
    assert objects(at) == hashes(a, b)
