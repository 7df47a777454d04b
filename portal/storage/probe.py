"""Does the disk take, keep and give back what is written? A round trip that leaves nothing, at the store's own door."""

from __future__ import annotations

import errno
import os
from uuid import uuid4

from portal.storage.disk import Disk
from portal.storage.keys import TEMP
from portal.storage.store import MARKER, Store

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SIZE = 4096


class Changed(Exception):
    """What was read back is not what was written."""


def has_marker(store: Store) -> bool:
    """Blocks. Raises OSError when the folder itself does not answer."""
    try:
        store.disk.stat(store.root / MARKER, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def round_trip(store: Store) -> None:
    """Write, delete, sync and read back under temp/. Blocks. Raises OSError as the disk says it, and Changed.

    The name is gone before the sync, which may take long: who lists temp/ meanwhile finds nothing left over.
    """
    disk, path = store.disk, store.root / TEMP / f"probe-{uuid4()}.part"
    data = os.urandom(_SIZE)
    try:
        file = disk.open(path, _CREATE, 0o600)
    except FileNotFoundError:  # an emptied store still has its marker
        disk.mkdir(path.parent, 0o700)
        file = disk.open(path, _CREATE, 0o600)
    try:
        try:
            disk.write_all(file, data)
        finally:
            disk.unlink(path)
        disk.fsync(file)
        _drop_cached(file)
        os.lseek(file, 0, os.SEEK_SET)
        if _read_all(disk, file) != data:
            raise Changed
    finally:
        os.close(file)
    if os.path.lexists(path):
        raise OSError(errno.EIO, "a deleted file is still there")


def _drop_cached(file: int) -> None:
    """So that it is read from the disk, where the system can do that."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def _read_all(disk: Disk, file: int) -> bytes:
    found = b""
    while len(found) <= _SIZE and (block := disk.read(file, _SIZE)):
        found += block
    return found
