"""Every file below a folder, one folder's names in memory at a time."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from portal.storage.disk import Disk


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One file under the root, in flight (`temp/…`) and foreign ones included."""

    key: str
    bytes: int
    modified_at: datetime


def walk(disk: Disk, folder: Path, *, but: Collection[str] = ()) -> Iterator[ObjectEntry]:
    """In no order, symlinks neither followed nor named. `but`: keys of files and folders that are left out.

    However deep folders lie in each other; what lies deeper than the system can name is not ours.
    """
    waiting = [""]
    while waiting:
        above = waiting.pop()
        for entry in _entries(disk, folder, above):
            key = f"{above}{entry.name}"
            if key in but:
                continue
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{key}/")
                elif entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    yield ObjectEntry(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _entries(disk: Disk, root: Path, below: str) -> list[os.DirEntry[str]]:
    try:
        return list(disk.scandir(root / below))
    except FileNotFoundError:  # swept while we walked
        return []
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return []
