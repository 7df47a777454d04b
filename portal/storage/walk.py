"""Every file below a folder, one folder's names in memory at a time."""

from __future__ import annotations

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


def walk(disk: Disk, folder: Path, prefix: str = "", *, but: Collection[str] = ()) -> Iterator[ObjectEntry]:
    """In no order, symlinks neither followed nor named. `but`: keys of files and folders that are left out."""
    try:
        entries = list(disk.scandir(folder))
    except FileNotFoundError:  # swept while we walked
        return
    for entry in entries:
        key = f"{prefix}{entry.name}"
        if key in but:
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from walk(disk, folder / entry.name, f"{key}/", but=but)
            elif entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                yield ObjectEntry(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
        except FileNotFoundError:
            continue
