"""Files that may vanish at any time, as they can be made again: renditions in other formats. One folder on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from portal.settings import MB
from portal.storage.keys import DRAFT, cache_folder, is_cache_key

_PARTS: Final = 16  # so small a part of the whole is put before the folder is measured again


@dataclass(frozen=True, slots=True)
class Cached:
    data: bytes
    sha256: str


class Cache:
    """`root` is made when the first file is written. It holds `max_bytes`: the oldest make room.

    Nothing should be made for it that would leave less than `floor_bytes` of its disk free.
    """

    def __init__(self, root: Path, max_bytes: int = 2048 * MB, floor_bytes: int = 0) -> None:
        self.root = root
        self._max, self._floor = max_bytes, floor_bytes
        self._unmeasured = max_bytes  # bytes put since the folder was measured; other processes put as well

    async def find(self, key: str) -> Cached | None:
        """A file that is not whole is none, and is removed."""
        return await asyncio.to_thread(self._find, key)

    async def put(self, key: str, data: bytes) -> None:
        """Whole or not at all, also after a power cut. Raises OSError."""
        await asyncio.to_thread(self._put, key, data)

    async def has_room(self) -> bool:
        """Is there more disk free than is kept back for what cannot be made again? Raises OSError."""
        return await asyncio.to_thread(self._has_room)

    async def forget(self, entity_type: str, image_id: UUID) -> None:
        """All that is kept of this image. Raises OSError."""
        await asyncio.to_thread(self._forget, entity_type, image_id)

    def expired(self, age: timedelta) -> Iterator[Path]:
        """Ours that are older than this, those never finished included, whatever else lies in the folder; blocks."""
        end = time.time() - age.total_seconds()
        return (path for path, found in self._files() if found.st_mtime < end)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for folder, _, names in os.walk(self.root):  # follows no symlinks
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(OSError):
                    if is_cache_key(path.relative_to(self.root).as_posix()):
                        yield path, path.lstat()

    def _find(self, key: str) -> Cached | None:
        path = self.root / key
        try:
            data = path.read_bytes()
            if _is_whole(data):
                return Cached(data, hashlib.sha256(data).hexdigest())
            path.unlink()
        except OSError:
            pass
        return None

    def _put(self, key: str, data: bytes) -> None:
        path = self.root / key
        self._make_folder(path.parent)
        descriptor, draft = tempfile.mkstemp(prefix=DRAFT, dir=path.parent)  # 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # else a power cut may leave the name without the bytes
            os.replace(draft, path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        self._unmeasured += len(data)
        if self._unmeasured > self._max // _PARTS:
            self._make_room()

    def _make_room(self) -> None:
        """The oldest go, until there is room for what is put before this is called again."""
        files = sorted(((found.st_mtime, found.st_size, path) for path, found in self._files()), reverse=True)
        held = 0
        for _, size, path in files:
            held += size
            if held > self._max - self._max // _PARTS:
                path.unlink(missing_ok=True)
        self._unmeasured = 0

    def _has_room(self) -> bool:
        there = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        usage = os.statvfs(there)
        return usage.f_bavail * usage.f_frsize > self._floor

    def _make_folder(self, folder: Path) -> None:
        for each in reversed([folder, *folder.parents]):
            each.mkdir(mode=0o700, exist_ok=True)

    def _forget(self, entity_type: str, image_id: UUID) -> None:
        for path in (self.root / cache_folder(entity_type, image_id)).glob(f"{image_id}-v*"):
            path.unlink(missing_ok=True)


def _is_whole(webp: bytes) -> bool:
    """As long as its head says; eight bytes come before what that counts."""
    return webp[:4] == b"RIFF" and webp[8:12] == b"WEBP" and int.from_bytes(webp[4:8], "little") == len(webp) - 8
