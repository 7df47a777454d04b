"""A disk whose n-th call fails, and which knows what a power cut would take."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from typing import Any

from portal.storage.disk import Disk

CALLS = frozenset(name for name, each in vars(Disk).items() if isinstance(each, staticmethod)) | {"scandir"}
CODES = (errno.EIO, errno.ENOSPC, errno.EACCES)


class ShakyDisk(Disk):
    """`arm` it; then `struck` names the call that failed. What fails has done half of its work where that is possible."""

    def __init__(self) -> None:
        self.struck: list[str] = []
        self.unsynced: set[int] = set()  # inodes: files with new bytes, folders with other names in them
        self.made: dict[int, int] = {}  # inodes: new folders, each with the one that is to be synced for it
        self._nth, self._code, self._lasting, self._count = 0, 0, False, 0

    def arm(self, nth: int, code: int, *, lasting: bool) -> None:
        """The `nth` call from now on, and with `lasting` every later one, fails."""
        self.struck, self._nth, self._code, self._lasting, self._count = [], nth, code, lasting, 0

    def disarm(self) -> None:
        self._nth = 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return partial(self._call, name, found) if name in CALLS else found

    def _call(self, name: str, call: Any, *arguments: Any, **options: Any) -> Any:
        self._count += 1
        if self._nth and (self._count == self._nth or (self._lasting and self._count > self._nth)):
            self.struck.append(name)
            if name == "write":
                file, data = arguments
                os.write(file, data[: len(data) // 2])
            raise OSError(self._code, os.strerror(self._code))
        done = call(*arguments, **options)
        self._note(name, done, *arguments, **options)
        return done

    def _note(self, name: str, done: Any, first: Any, second: Any = None, *_: Any, **options: int) -> None:
        if name == "fsync":
            self.unsynced.discard(_inode(first))
            self.made = {folder: parent for folder, parent in self.made.items() if parent != _inode(first)}
        elif name == "syncfs":
            self.unsynced.clear()
            self.made.clear()
        elif name == "write":
            self.unsynced.add(_inode(first))
        elif name == "mkdir":
            self._begin(name, done, first, options["dir_fd"])
            self.made[os.stat(first, dir_fd=options["dir_fd"]).st_ino] = _inode(options["dir_fd"])
        elif name in {"rename", "unlink"} or (name == "open" and second & os.O_CREAT):
            folders = {options[key] for key in ("dir_fd", "src_dir_fd", "dst_dir_fd") if key in options}
            self.unsynced |= {_inode(folder) for folder in folders}
            self._begin(name, done, first, options.get("dir_fd"))

    def _begin(self, name: str, done: Any, path: Any, folder: int | None) -> None:
        """What is new has the inode of something that is gone, perhaps, but none of its guilt."""
        if name == "mkdir":
            self.unsynced.discard(os.stat(path, dir_fd=folder).st_ino)
        elif name == "open":
            self.unsynced.discard(_inode(done))

    def lost_by_a_power_cut(self, root: Path) -> list[str]:
        """What lies under the root, but in temp/, and was not synced since it changed; a new folder only with what it holds."""
        paths = [root, *(path for path in root.rglob("*") if "temp" not in path.relative_to(root).parts)]
        return [str(path) for path in paths if path.stat().st_ino in self.unsynced or self._is_unsynced_folder(path)]

    def _is_unsynced_folder(self, path: Path) -> bool:
        return path.stat().st_ino in self.made and path.is_dir() and any(path.iterdir())


def _inode(file: int) -> int:
    return os.fstat(file).st_ino
