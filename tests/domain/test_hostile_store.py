"""What may lie in the store's folder that nobody of us put there: it holds up no check, no cleanup and no repair."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.audit.queries import Wanted, list_lines
from portal.gallery.disposal import delete_image
from portal.gallery.tasks import purge_objects
from portal.maintenance.cleanup import CleanupReport, clean_up
from portal.maintenance.repair import Selection
from portal.settings import MB, Settings
from portal.storage.cache import Cache
from tests import samples
from tests.factories import Studio, make_entity
from tests.repairing import Workshop, original, rendition

HOSTILE = (
    os.fsdecode(b"bad\xff\xfename.jpg"),
    "new\nline.jpg",
    "rtl\u202egpj.exe",
    "\x1b[31mred.jpg",
    "'; DROP TABLE image;--.jpg",
    "=cmd|' '!A0.jpg",
    "<svg onload=alert(1)>.jpg",
    "..%2f..%2fetc.jpg",
    "a" * 250 + ".jpg",
)
DEEPER_THAN_WE_NEST = 1100  # calls, and more than a process may have files open


@pytest.fixture
def workshop(studio: Studio, config: Settings) -> Workshop:
    return Workshop(studio, config)


async def sweep(workshop: Workshop, *, dry_run: bool) -> CleanupReport:
    return await clean_up(settings=workshop.config, store=workshop.store, actor=SYSTEM, dry_run=dry_run)


def leave_hostile_names(workshop: Workshop) -> None:
    for name in HOSTILE:
        workshop.leave(f"inventory_items/{name}", b"whose?")


async def test_a_cleanup_of_hostile_names_is_told_and_audited(workshop: Workshop) -> None:
    leave_hostile_names(workshop)
    assert (await sweep(workshop, dry_run=True)).orphaned_objects == len(HOSTILE)
    report = await sweep(workshop, dry_run=False)
    assert all(each.isprintable() for each in report.examples)
    assert workshop.objects() == {}
    (line,) = (await list_lines(Wanted(action="maintenance.cleanup"), cursor=None, limit=9)).items
    assert line.after is not None
    assert sorted(line.after["examples"]) == sorted(report.examples)


async def test_hostile_names_are_findings_and_what_we_can_name_is_held(workshop: Workshop) -> None:
    leave_hostile_names(workshop)
    found = await workshop.check()
    assert len(found) == len(HOSTILE)
    report = await workshop.repair()
    unnameable = sum("name" in each.evidence for each in found)
    assert report.totals == {"planned": 0, "repaired": len(HOSTILE) - unnameable, "refused": unnameable, "gone": 0}


@pytest.fixture
def endless_folders(workshop: Workshop) -> Iterator[None]:
    """In each other, with an object at their end."""
    with contextlib.chdir(workshop.root):
        for _ in range(DEEPER_THAN_WE_NEST):
            os.mkdir("d")
            os.chdir("d")
        Path("deep.jpg").write_bytes(b"whose?")
        os.utime("deep.jpg", (0, 0))
    yield
    subprocess.run(["rm", "-rf", workshop.root / "d"], check=True)  # shutil cannot either


@pytest.mark.usefixtures("endless_folders")
async def test_folders_without_end_hold_up_nobody(workshop: Workshop) -> None:
    (finding,) = await workshop.check()
    assert finding.kind == "orphaned_object"
    assert (await sweep(workshop, dry_run=False)).orphaned_objects == 1
    assert await workshop.breaches() == []


async def test_what_is_no_file_is_neither_read_nor_taken(workshop: Workshop) -> None:
    folder = workshop.root / "inventory_items" / "aa"
    folder.mkdir(parents=True)
    for what in ("fifo", "link", "socket"):
        _put_something(folder / f"{what}.jpg", what)
    (folder / "above").symlink_to("/etc")
    assert await workshop.check() == []
    assert (await sweep(workshop, dry_run=False)).pieces == 0
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("what", ["folder", "fifo", "link", "socket"])
async def test_what_lies_in_an_object_s_place_keeps_no_other_from_being_repaired(workshop: Workshop, what: str) -> None:
    ref = await make_entity(id="MUG")
    image_id, other = await workshop.studio.add(ref), await workshop.studio.add(ref)
    sound = await workshop.studio.add(ref)
    for key in (original(image_id), rendition(image_id, "card"), rendition(sound, "card")):
        path = workshop.root / key
        path.unlink()
        _put_something(path, what)
    (workshop.root / rendition(other, "card")).unlink()
    await workshop.check()
    report = await workshop.repair()
    assert (workshop.root / rendition(other, "card")).is_file(), report
    assert report.totals["repaired"] >= 1


def _put_something(path: Path, what: str) -> None:
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "link":
        path.symlink_to("/etc/passwd")
    else:
        with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)  # a whole path may be too long for it


async def test_a_folder_in_an_object_s_place_keeps_no_other_from_being_deleted(
    workshop: Workshop, config: Settings
) -> None:
    image_id = await workshop.studio.add(await make_entity())
    path = workshop.root / rendition(image_id, "card")
    path.unlink()
    path.mkdir()
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    await purge_objects({}, store=workshop.store, cache=Cache(config.cache_dir))
    assert workshop.objects() == {}
    assert await database.fetch_value("SELECT count(*) FROM object_purge") == 0


async def test_a_huge_orphan_is_not_read_into_memory_to_be_adopted(workshop: Workshop) -> None:
    ref = await make_entity(id="MUG")
    key = original(uuid4())
    workshop.leave(key, samples.jpeg(90, 60))
    os.truncate(workshop.root / key, 64 * MB)  # its end is a hole
    workshop.age(key)
    (finding,) = await workshop.check()
    tracemalloc.start()
    try:
        selection = Selection((UUID(finding.id),), adopt_into=ref, is_adoption=True)
        for dry_run in (True, False):
            (line,) = (await workshop.repair(dry_run=dry_run, selection=selection)).outcomes
            assert (line.outcome, line.detail) == ("refused", "This file is larger than 15 MB.")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16 * MB
    assert list((workshop.root / "temp").iterdir()) == []
