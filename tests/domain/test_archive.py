"""A backup as one tar: out, and in again somewhere else."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from portal.audit.actors import Actor
from portal.backups.archive import archive_of, archive_size, take_archive
from portal.backups.bucket import Bucket
from portal.backups.destination import Folder
from portal.backups.layout import ROOT, folder_of, object_key
from portal.backups.listing import get_backup
from portal.backups.root import Damaged, Root
from portal.backups.verify import verify_backup
from portal.errors import NotFound
from tests.backing_up import TYPE, files_of, forge, opened, sha256_of, some_bytes
from tests.weed import Weed

ADMIN = Actor("user:ana@example.com", "admin")
MB = 1024 * 1024


@pytest.fixture
async def here(db: None, tmp_path: Path) -> Folder:
    return await opened(tmp_path / "here")


@pytest.fixture
async def there(db: None, tmp_path: Path) -> Folder:
    return await opened(tmp_path / "there")


@pytest.fixture
def root(here: Folder) -> Root:
    forge(here.store.root, some_bytes(7))  # another one, which stays at home
    return forge(here.store.root, {TYPE: [*some_bytes(1), b""], "categories": some_bytes(2)})


async def archived(folder: Folder, root: Root) -> bytes:
    return b"".join([piece async for piece in archive_of(folder, root.id)])


async def cut_into(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_a_backup_goes_out_as_one_file_and_is_whole_where_it_comes_in(
    here: Folder, there: Folder, root: Root
) -> None:
    data = await archived(here, root)
    assert len(data) == await archive_size(here, root.id)
    for size in (len(data), 333):
        assert await take_archive(there, cut_into(data, size), actor=ADMIN) == root
    assert (await verify_backup(destination=there, backup_id=root.id)).wrong == ()
    assert (await get_backup(there, root.id)).complete
    assert await archived(there, root) == data, "the same backup gives the same file anywhere"
    lost = [key for key in files_of(there.store.root) if key not in files_of(here.store.root)]
    assert lost == []
    assert not list((there.store.root / "temp").iterdir())


async def test_tar_and_sha256sum_alone_read_it(here: Folder, root: Root, tmp_path: Path) -> None:
    (tmp_path / "backup.tar").write_bytes(await archived(here, root))
    out = await opened(tmp_path / "out")
    assert await asyncio.to_thread(unpacked_and_checked, tmp_path / "backup.tar", out.store.root) == 11
    assert (await verify_backup(destination=out, backup_id=root.id)).wrong == ()


def unpacked_and_checked(tar: Path, out: Path) -> int:
    """How many objects there were."""
    subprocess.run(["tar", "xf", tar, "-C", out], check=True, capture_output=True)
    sums = "".join(f"{path.name}  {path}\n" for path in out.glob("*/objects/*/*"))
    subprocess.run(["sha256sum", "--check", "--quiet"], input=sums.encode(), check=True, capture_output=True)
    return len(sums.splitlines())


async def test_what_a_backup_has_lost_since_it_has_again(here: Folder, there: Folder, root: Root) -> None:
    data = await archived(here, root)
    await take_archive(there, cut_into(data, MB), actor=ADMIN)
    before = files_of(there.store.root)
    gone, rotten, manifest = (
        object_key(TYPE, sha256_of(b"")),
        object_key(TYPE, sha256_of(some_bytes(1)[0])),
        "audit.jsonl",
    )
    await there.delete([gone])
    (there.store.root / rotten).write_bytes(b"rotten")
    (there.store.root / folder_of(root.id) / manifest).write_bytes(b"rotten")
    await take_archive(there, cut_into(data, MB), actor=ADMIN)
    assert files_of(there.store.root) == before


async def test_nothing_goes_out_of_a_backup_that_misses_something(here: Folder, root: Root) -> None:
    key = object_key(TYPE, sha256_of(some_bytes(1)[0]))
    (here.store.root / key).write_bytes(b"short")
    with pytest.raises(Damaged, match=f"{key} is damaged: expected"):
        await archive_size(here, root.id)
    await here.delete([key])
    with pytest.raises(Damaged, match=f"{key} is missing"):
        await archive_size(here, root.id)
    await here.delete([f"{folder_of(root.id)}/{ROOT}"])
    with pytest.raises(Damaged, match="never finished"):
        await archive_size(here, root.id)
    with pytest.raises(NotFound):
        await archive_size(here, "../../etc")


async def test_an_archive_breaks_off_before_bytes_that_are_no_longer_what_they_were(here: Folder, root: Root) -> None:
    key = object_key(TYPE, sha256_of(some_bytes(1)[0]))
    path = here.store.root / key
    path.write_bytes(bytes(len(path.read_bytes())))
    size, sent = await archive_size(here, root.id), 0
    with pytest.raises(Damaged, match=key):
        async for piece in archive_of(here, root.id):
            sent += len(piece)
    assert sent < size


async def test_a_large_backup_goes_out_and_in_in_little_memory_through_a_bucket(
    here: Folder, there: Folder, weed: Weed, bucket_url: str
) -> None:
    bucket = Bucket(bucket_url, tuple(weed.access.items()))
    await bucket.open_root()
    root = forge(here.store.root, [os.urandom(MB) for _ in range(50)] + [os.urandom(50 * MB)])
    before = psutil.Process().memory_info().rss
    await take_archive(bucket, archive_of(here, root.id), actor=ADMIN)
    await take_archive(there, archive_of(bucket, root.id), actor=ADMIN)
    assert psutil.Process().memory_info().rss - before < 90 * MB
    assert (await verify_backup(destination=there, backup_id=root.id)).wrong == ()
