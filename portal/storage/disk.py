"""The lowest door: every call by which the portal changes or opens its files, and what a disk's refusals mean in plain words.

Tests pass a disk whose n-th call fails.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from portal.errors import DiskFull, PortalError, Unavailable

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
PICTURES: Final = "pictures"
_WITHOUT: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.ENOTSUP})
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _syncfs(file: int) -> None:
    """All of its file system at once, so that the fsync of each that follows is quick; without such a call all file systems."""
    call = getattr(_LIBC, "syncfs", None)
    if call is not None and call(file) == 0:
        return
    code = errno.ENOSYS if call is None else ctypes.get_errno()
    if code not in _WITHOUT:
        raise OSError(code, os.strerror(code))
    os.sync()


class Disk:
    """The system's own calls, by their own names."""

    open = staticmethod(os.open)
    read = staticmethod(os.read)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    syncfs = staticmethod(_syncfs)
    fstat = staticmethod(os.fstat)
    fchmod = staticmethod(os.fchmod)
    stat = staticmethod(os.stat)
    statvfs = staticmethod(os.statvfs)
    mkdir = staticmethod(os.mkdir)
    rename = staticmethod(os.rename)
    unlink = staticmethod(os.unlink)

    def scandir(self, path: Path | int) -> Iterator[os.DirEntry[str]]:
        return os.scandir(path)

    def write_all(self, file: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.write(file, rest) :]


@contextlib.contextmanager
def plain_words(what: str = PICTURES) -> Generator[None]:
    """What the disk says, as the portal's errors; `what` lies on it."""
    try:
        yield
    except PortalError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(f"The disk for {what} is full. Free some space, then try again.") from error
        raise Unavailable(f"The disk for {what} does not answer as it should.", retry_after=30) from error
