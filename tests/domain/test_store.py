"""The store on real files."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from portal.errors import DiskFull, Gone, Unavailable
from portal.storage.keys import original_key, rendition_key
from portal.storage.store import MARKER, KeyTaken, Store
from tests.waiting import PATIENCE

ID = UUID("01890a5d-ac96-774b-bcce-b302099a80c7")
KEY = original_key("companies", ID, 1, "jpg")


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "uploads" / "images")
    await store.open_root()
    return store


def files_in(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {MARKER}


async def test_what_was_put_is_read_back_and_private(store: Store):
    await store.put(KEY, b"picture")
    assert await store.read(KEY) == b"picture"
    assert await store.size(KEY) == 7
    assert stat.S_IMODE(store.path_of(KEY).stat().st_mode) == 0o600
    folders = [store.root, *(path for path in store.root.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert files_in(store.root) == {KEY}


async def test_many_are_put_at_once(store: Store):
    items = [(rendition_key("companies", ID, 1, 1, name), name.encode()) for name in ("icon", "card", "optimized")]
    await store.put_many(items)
    assert [await store.read(key) for key, _ in items] == [data for _, data in items]
    assert files_in(store.root) == {key for key, _ in items}


async def test_concurrent_puts_of_one_key_leave_one_of_them_whole(store: Store):
    bodies = [bytes([number]) * 300_000 for number in range(12)]
    await asyncio.gather(*(store.put(KEY, body) for body in bodies))
    assert await store.read(KEY) in bodies
    assert files_in(store.root) == {KEY}


async def test_a_missing_object_is_gone_and_has_no_size(store: Store):
    with pytest.raises(Gone):
        await store.read(KEY)
    assert await store.size(KEY) is None


async def test_deleting_counts_what_was_there_and_forgives_the_rest(store: Store):
    await store.put(KEY, b"1")
    assert await store.delete([KEY, KEY, "invoices/aa/nothing.jpg"]) == 1
    assert await store.delete([KEY]) == 0
    assert files_in(store.root) == set()


async def test_an_upload_in_temp_is_adopted_by_a_rename(store: Store):
    upload = store.root / "temp" / "upload.part"
    upload.write_bytes(b"picture")
    upload.chmod(0o644)
    inode = upload.stat().st_ino
    await store.adopt(upload, KEY)
    found = store.path_of(KEY).stat()
    assert (found.st_ino, stat.S_IMODE(found.st_mode)) == (inode, 0o600)
    assert files_in(store.root) == {KEY}


async def test_a_new_object_never_takes_the_place_of_another_one(store: Store):
    upload = store.root / "temp" / "upload.part"
    upload.write_bytes(b"second")
    await store.put_new(KEY, b"first")
    with pytest.raises(KeyTaken):
        await store.adopt(upload, KEY)
    with pytest.raises(KeyTaken):
        await store.put_new(KEY, b"third")
    assert await store.read(KEY) == b"first"
    assert files_in(store.root) == {KEY, "temp/upload.part"}


@pytest.fixture
def upload_elsewhere(tmp_path: Path) -> Iterator[Path]:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    upload = elsewhere / f"portal-test-{os.getpid()}.part"
    upload.write_bytes(b"picture" * 1000)
    yield upload
    upload.unlink(missing_ok=True)


async def test_a_file_of_another_file_system_is_adopted_by_a_copy(store: Store, upload_elsewhere: Path):
    upload = upload_elsewhere
    await store.adopt(upload, KEY)
    assert await store.read(KEY) == b"picture" * 1000
    assert not upload.exists()
    assert files_in(store.root) == {KEY}


async def test_a_symlink_is_neither_read_nor_adopted_nor_sized(store: Store, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    await store.put(KEY, b"picture")
    store.path_of(KEY).unlink()
    store.path_of(KEY).symlink_to(secret)
    with pytest.raises(Gone):
        await store.read(KEY)
    assert await store.size(KEY) is None
    link = store.root / "temp" / "link.part"
    link.symlink_to(secret)
    with pytest.raises(Unavailable):
        await store.adopt(link, original_key("companies", ID, 2, "jpg"))
    assert secret.read_bytes() == b"secret"


async def test_a_put_replaces_a_symlink_and_does_not_write_through_it(store: Store, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    await store.put(KEY, b"1")
    store.path_of(KEY).unlink()
    store.path_of(KEY).symlink_to(outside)
    await store.put(KEY, b"2")
    assert (outside.read_bytes(), await store.read(KEY)) == (b"mine", b"2")


async def test_a_folder_that_is_a_symlink_leads_nowhere(store: Store, tmp_path: Path):
    outside = tmp_path / "outside"
    (outside / "c7").mkdir(parents=True)
    (outside / "c7" / Path(KEY).name).write_bytes(b"secret")
    (store.root / "companies").symlink_to(outside)
    with pytest.raises(Gone):
        await store.read(KEY)
    with pytest.raises(Unavailable):
        await store.put(KEY, b"picture")
    assert await store.delete([KEY]) == 0
    assert (outside / "c7" / Path(KEY).name).read_bytes() == b"secret"
    assert [entry.key for entry in store.walk()] == []


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a//b", "", "a/\0"])
async def test_a_key_cannot_lead_out_of_the_root(store: Store, key: str):
    for attempt in (store.read, store.size, store.delete):
        with pytest.raises(ValueError, match="not a key"):
            await attempt([key] if attempt == store.delete else key)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a key"):
        await store.put(key, b"")
    with pytest.raises(ValueError, match="not a key"):
        store.path_of(key)
    assert files_in(store.root) == set()


async def test_a_fifo_or_folder_in_an_objects_place_does_not_hold_us(store: Store):
    await store.put(KEY, b"1")
    store.path_of(KEY).unlink()
    os.mkfifo(store.path_of(KEY))
    with pytest.raises(Gone):
        await asyncio.wait_for(store.read(KEY), PATIENCE)
    store.path_of(KEY).unlink()
    store.path_of(KEY).mkdir()
    with pytest.raises(Gone):
        await store.read(KEY)


async def test_walk_finds_leftovers_and_foreign_files_too(store: Store):
    await store.put(KEY, b"12")
    (store.root / "temp" / "crashed.part").write_bytes(b"1234")
    (store.root / "companies" / "c7" / f"{Path(KEY).name}#1").write_bytes(b"123")
    assert {(entry.key, entry.bytes) for entry in store.walk()} == {
        (KEY, 2),
        ("temp/crashed.part", 4),
        (f"{KEY}#1", 3),
    }


async def test_a_root_whose_marker_is_missing_counts_as_not_mounted(store: Store):
    await store.put(KEY, b"1")
    (store.root / MARKER).unlink()
    with pytest.raises(Unavailable, match="not mounted"):
        await store.check_marker()
    with pytest.raises(Unavailable, match="not mounted"):
        list(store.walk())
    with pytest.raises(Unavailable, match="not mounted"):
        await store.put(original_key("companies", ID, 2, "jpg"), b"2")
    with pytest.raises(Unavailable, match="not mounted"):
        await store.delete([KEY])
    with pytest.raises(Unavailable, match="not mounted"):
        await store.read("companies/aa/none.jpg")
    with pytest.raises(Unavailable, match="not mounted"):
        await store.size("companies/aa/none.jpg")
    with pytest.raises(Unavailable, match="not mounted"):
        await Store(store.root).open_root()
    assert files_in(store.root) == {KEY}


async def test_an_empty_root_is_begun_unless_pictures_are_expected_there(tmp_path: Path):
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    with pytest.raises(Unavailable, match="not mounted"):
        await Store(tmp_path / "disk").open_root(known=True)
    await Store(tmp_path / "disk").open_root()
    await Store(tmp_path / "disk").open_root(known=True)


async def test_two_processes_may_begin_one_root(tmp_path: Path):
    await asyncio.gather(*(Store(tmp_path / "root").open_root() for _ in range(8)))
    await Store(tmp_path / "root").open_root(known=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "small"
    root.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(root)], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("a small disk can only be mounted by root")
    yield root
    subprocess.run(["umount", str(root)], check=True)


async def test_a_full_disk_is_told_as_such_leaves_nothing_behind_and_heals(small_disk: Path):
    store = Store(small_disk)
    await store.open_root()
    await store.put(KEY, b"1")
    with pytest.raises(DiskFull):
        await store.put_many([(original_key("companies", ID, 2, "jpg"), b"x" * 100_000), (f"{KEY}.2", b"x" * 400_000)])
    assert files_in(small_disk) == {KEY}
    assert await store.read(KEY) == b"1"
    assert await store.free_bytes() > 0
    await store.put(KEY, b"x" * 100_000)


async def test_a_file_too_large_for_the_disk_is_not_adopted_in_part(small_disk: Path, tmp_path: Path):
    store = Store(small_disk)
    await store.open_root()
    upload = tmp_path / "upload.part"
    upload.write_bytes(b"x" * 400_000)
    with pytest.raises(DiskFull):
        await store.adopt(upload, KEY)
    assert files_in(small_disk) == set()
