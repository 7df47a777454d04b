"""What a full check finds is kept with its evidence, stays known since when, and ends by itself when it is no more true."""

from __future__ import annotations

import errno
import hashlib
import os
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.errors import Running
from portal.integrity.check import CheckReport, full_check, full_check_cost
from portal.integrity.findings import FindingView, list_findings, open_by_kind
from portal.integrity.recheck import RecheckReport, recheck, recheck_open
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.storage.disk import Disk
from portal.storage.keys import original_key, rendition_key
from portal.storage.store import MARKER, Store
from tests.factories import Studio, make_entity, write

NOW = timedelta(0)


@pytest.fixture
async def image_id(studio: Studio) -> UUID:
    return await studio.add(await make_entity())


async def check(studio: Studio, grace: timedelta = NOW) -> CheckReport:
    return await full_check(store=studio.store, grace=grace)


async def known(state: str = "open") -> list[FindingView]:
    return (await list_findings(state=state)).items


async def kinds(state: str = "open") -> list[str]:
    return sorted(each.kind for each in await known(state))


def original(image_id: UUID) -> str:
    return original_key("inventory_items", image_id, 1, "jpg")


def card(image_id: UUID) -> str:
    return rendition_key("inventory_items", image_id, 1, 1, "card")


async def flip(studio: Studio, key: str) -> bytes:
    """Change a byte behind the portal's back; what it was."""
    before = await studio.store.read(key)
    data = bytearray(before)
    data[len(data) // 2] ^= 1
    await studio.store.put(key, bytes(data))
    return before


async def test_a_finding_says_what_was_expected_what_is_there_and_what_to_do(studio: Studio, image_id: UUID) -> None:
    data = await studio.store.read(original(image_id))
    await studio.store.put(original(image_id), data[:-7])
    report = await check(studio)
    assert (report.pictures, report.findings, report.new, report.gone) == (1, 1, 1, 0)
    (found,) = await known()
    assert (found.kind, found.key, found.image_id) == ("checksum_mismatch", original(image_id), str(image_id))
    assert (found.entity_type, found.repair, found.state) == ("inventory_items", "heal", "open")
    assert found.detail == f"{len(data) - 7} bytes instead of {len(data)}"
    expected, there = found.evidence["expected"], found.evidence["found"]
    assert (expected["bytes"], expected["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (there["bytes"], there["sha256"]) == (len(data) - 7, hashlib.sha256(data[:-7]).hexdigest())
    assert there["modified_at"].endswith("Z")


async def test_what_is_found_again_is_known_since_it_was_found_first(studio: Studio, image_id: UUID) -> None:
    await studio.store.delete([card(image_id)])
    await check(studio)
    (first,) = await known()
    report = await check(studio)
    (again,) = await known()
    assert (report.findings, report.new) == (1, 0)
    assert (again.id, again.found_at) == (first.id, first.found_at)
    assert again.checked_at > first.checked_at


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "recheck"])
async def test_what_is_no_more_true_is_gone_by_itself(studio: Studio, image_id: UUID, is_full: bool) -> None:
    stray = f"invoices/{uuid4()}.txt"
    await studio.store.put(stray, b"whose?")
    before = await flip(studio, original(image_id))
    await database.execute("UPDATE image SET is_primary = false")
    await check(studio)
    assert await kinds() == ["checksum_mismatch", "no_primary", "orphaned_object"]
    await studio.store.delete([stray])
    await studio.store.put(original(image_id), before)
    await database.execute("UPDATE image SET is_primary = true")
    report = await check(studio) if is_full else await recheck_open(store=studio.store)
    assert report.gone == 3
    assert await known() == []
    assert {each.ended_at is not None for each in await known("gone")} == {True}


async def test_a_recheck_looks_only_at_what_is_open(studio: Studio, image_id: UUID) -> None:
    other = await studio.add(await make_entity())
    await flip(studio, card(image_id))
    await check(studio)
    await flip(studio, card(other))
    assert await recheck_open(store=studio.store) == RecheckReport(looked_at=1)
    assert [each.image_id for each in await known()] == [str(image_id)]


async def test_what_is_wrong_otherwise_by_now_is_another_finding(studio: Studio, image_id: UUID) -> None:
    await studio.store.delete([original(image_id)])
    await check(studio)
    await studio.store.put(original(image_id), b"something else")
    await recheck_open(store=studio.store)
    assert (await kinds("gone"), await kinds()) == (["missing_object"], ["checksum_mismatch"])


async def test_a_deleted_picture_has_no_findings_left(studio: Studio, image_id: UUID) -> None:
    await studio.store.delete([original(image_id)])
    await check(studio)
    (found,) = await known()
    await database.execute("DELETE FROM image")
    assert await recheck(found, store=studio.store) is None


async def test_bytes_that_are_lost_here_and_lie_there_are_to_be_linked_again(studio: Studio, image_id: UUID) -> None:
    data = await studio.store.read(original(image_id))
    stray = original_key("invoices", uuid4(), 1, "jpg")
    await studio.store.delete([original(image_id)])
    await studio.store.put(stray, data)
    await check(studio)
    found = {each.kind: each for each in await known()}
    assert found["missing_object"].repair == "relink"
    assert found["orphaned_object"].evidence["same_as"] == str(image_id)
    await recheck_open(store=studio.store)
    assert {each.repair for each in await known() if each.kind == "missing_object"} == {"relink"}


async def test_of_a_root_that_is_not_mounted_only_that_is_said(studio: Studio, image_id: UUID) -> None:
    await flip(studio, card(image_id))
    await check(studio)
    away = studio.store.root.with_name("away")
    studio.store.root.rename(away)
    studio.store.root.mkdir()  # the mount point, empty
    for report in (await check(studio), await recheck_open(store=studio.store)):
        assert report.is_mounted is False
    assert await kinds() == ["unmounted_root", "wrong_rendition"]  # what was known before is not judged
    studio.store.root.rmdir()
    away.rename(studio.store.root)
    assert (await check(studio)).gone == 1
    assert await kinds() == ["wrong_rendition"]


@pytest.mark.parametrize("when", [0, 32, 48])  # of four pictures: none, all listed, two read
async def test_a_root_that_vanishes_in_the_middle_of_a_check_is_one_finding(studio: Studio, when: int) -> None:
    """Not thousands of missing objects; neither while objects are listed nor while pictures are read."""
    for _ in range(4):
        await studio.add(await make_entity())

    async def vanish(done: int, total: int | None) -> None:
        if done == when and (studio.store.root / MARKER).exists():
            studio.store.root.rename(studio.store.root.with_name("away"))
            studio.store.root.mkdir()

    report = await full_check(store=studio.store, grace=NOW, report=vanish)
    assert (report.findings, report.is_mounted) == (1, False)
    assert await kinds() == ["unmounted_root"]


class BadSector(Disk):
    """One file that the disk cannot read any more."""

    inode = 0

    @staticmethod
    def read(file: int, count: int) -> bytes:
        if os.fstat(file).st_ino == BadSector.inode:
            raise OSError(errno.EIO, "Input/output error")
        return os.read(file, count)


async def test_one_file_that_cannot_be_read_does_not_end_the_check(studio: Studio, image_id: UUID) -> None:
    other = await studio.add(await make_entity())
    await studio.store.delete([original(other)])
    BadSector.inode = (studio.store.root / original(image_id)).stat().st_ino
    report = await full_check(store=Store(studio.store.root, BadSector()), grace=NOW)
    found = {each.image_id: each for each in await known()}
    assert report.pictures == 2
    assert (found[str(image_id)].kind, found[str(other)].kind) == ("checksum_mismatch", "missing_object")
    assert found[str(image_id)].detail == "the disk cannot read it"


async def test_a_name_that_no_line_can_hold_is_found_told_of_and_gone_again(studio: Studio) -> None:
    names = [b"two\nlines.txt", b"not-utf-8-\xff.txt", b"/".join([b"deep" * 20] * 5)]
    for name in names:
        path = Path(os.fsdecode(os.fsencode(studio.store.root) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, b"whose?")
    assert (await check(studio)).new == 3
    found = await known()
    assert {len(each.key or "") <= 300 and (each.key or "").isprintable() for each in found} == {True}
    assert {each.repair for each in found} == {"none"}
    assert await recheck_open(store=studio.store) == RecheckReport(looked_at=3)
    os.unlink(os.fsencode(studio.store.root) + b"/" + names[1])
    assert await recheck_open(store=studio.store) == RecheckReport(looked_at=3, gone=1)


async def test_what_is_made_right_while_a_check_runs_is_not_open_at_its_end(studio: Studio, image_id: UUID) -> None:
    before = await flip(studio, original(image_id))

    async def heal(done: int, total: int | None) -> None:
        if done == total:
            assert await kinds() == ["checksum_mismatch"]
            await studio.store.put(original(image_id), before)

    report = await full_check(store=studio.store, grace=NOW, report=heal)
    assert (report.new, report.gone) == (1, 1)
    assert await known() == []


async def test_one_full_check_runs_at_a_time(studio: Studio) -> None:
    async with alone(turns.CHECK):
        with pytest.raises(Running, match="A full check is running since 2"):
            await check(studio)
    assert (await check(studio)).findings == 0


async def test_what_a_full_check_costs_is_told_by_the_last_one(studio: Studio, image_id: UUID) -> None:
    before = await full_check_cost()
    report = await check(studio)
    assert before.seconds is None
    after = await full_check_cost()
    assert after.bytes == before.bytes == report.bytes
    assert after.seconds == pytest.approx(report.seconds)


async def test_open_findings_are_counted_by_kind(studio: Studio, image_id: UUID) -> None:
    await studio.store.delete([card(image_id), original(image_id)])
    await check(studio)
    assert await open_by_kind() == {"missing_object": 1, "missing_rendition": 1}
