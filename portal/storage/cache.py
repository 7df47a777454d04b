"""Files that may vanish at any time, as they can be made again: renditions made when asked for. One folder on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import math
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from portal.settings import MB
from portal.storage.keys import DRAFT, cache_folder, is_cache_key

_TURN_SECONDS: Final = 0.01  # between two looks whether it is our turn
_MOST_LOOKS: Final = 6000
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
        self._others_until = 0.0  # so long after a turn of ours we leave the next one to other processes
        self._unmeasured = max_bytes  # bytes put since the folder was measured; other processes put as well

    async def find(self, key: str) -> Cached | None:
        """A file that is not whole is none, and is removed."""
        return await asyncio.to_thread(self._find, key)

    async def put(self, key: str, data: bytes) -> None:
        """Whole or not at all, also after a power cut. Raises OSError."""
        await asyncio.to_thread(self._put, key, data)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Alone among all processes of this machine, to make what nobody has made; a killed one leaves its place free.

        Nobody waits for ever for one that hangs. Raises OSError.
        """
        folder = await asyncio.to_thread(self._open)
        try:
            await asyncio.sleep(self._others_until - time.monotonic())
            for _ in range(_MOST_LOOKS):
                if _is_locked(folder):
                    break
                await asyncio.sleep(_TURN_SECONDS)
            yield
        finally:
            os.close(folder)
            self._others_until = time.monotonic() + 2 * _TURN_SECONDS

    async def has_room(self) -> bool:
        """Is there more disk free than is kept back for what cannot be made again? Raises OSError."""
        return await asyncio.to_thread(self._has_room)

    async def forget(self, entity_type: str, image_id: UUID) -> None:
        """All that is kept of this image. Raises OSError for what stays, when the rest is gone."""
        await asyncio.to_thread(self._forget, entity_type, image_id)

    def expired(self, age: timedelta) -> Iterator[Path]:
        """Ours that are older than this, those never finished included, whatever else lies in the folder; blocks."""
        end = time.time() - age.total_seconds()
        return (path for path, found in self._files() if found.st_mtime < end)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        start = len(str(self.root)) + 1
        for folder, _, names in os.walk(self.root):  # follows no symlinks
            for name in names:
                if is_cache_key(f"{folder[start:]}/{name}"):
                    path = Path(folder, name)
                    with contextlib.suppress(OSError):
                        yield path, path.lstat()

    def _find(self, key: str) -> Cached | None:
        path = self.root / key
        try:
            data = path.read_bytes()
            if _is_whole(data, key):
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
        """The oldest go, until there is room for what is put before this is called again.

        Walks twice rather than sort all files: that, and so many objects, would hold up the event loop.
        """
        sizes: defaultdict[float, int] = defaultdict(int)  # bytes, by when they were put
        for _, found in self._files():
            sizes[found.st_mtime] += found.st_size
        oldest, left = math.inf, self._max - self._max // _PARTS
        for moment in sorted(sizes, reverse=True):
            left -= sizes[moment]
            if left < 0:
                self._unlink_older(oldest)
                break
            oldest = moment
        self._unmeasured = 0

    def _unlink_older(self, oldest: float) -> None:
        for path, found in self._files():
            if found.st_mtime < oldest:
                with contextlib.suppress(OSError):  # what can't go stays; the others make room
                    path.unlink()

    def _has_room(self) -> bool:
        there = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        usage = os.statvfs(there)
        return usage.f_bavail * usage.f_frsize > self._floor

    def _open(self) -> int:
        self._make_folder(self.root)
        return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)

    def _make_folder(self, folder: Path) -> None:
        for each in reversed([folder, *folder.parents]):
            each.mkdir(mode=0o700, exist_ok=True)

    def _forget(self, entity_type: str, image_id: UUID) -> None:
        failure: OSError | None = None
        for path in (self.root / cache_folder(entity_type, image_id)).glob(f"{image_id}-v*"):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure


def _is_locked(folder: int) -> bool:
    """By us, from now on until it is closed."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_whole(data: bytes, key: str) -> bool:
    """Does it begin and end as its format does?"""
    if key.endswith(".webp"):  # eight bytes come before what the head counts
        return data[:4] == b"RIFF" and data[8:12] == b"WEBP" and int.from_bytes(data[4:8], "little") == len(data) - 8
    if key.endswith(".avif"):
        return data[4:12] == b"ftypavif" and _ends_with_a_box(data)
    return data[:3] == b"\xff\xd8\xff" and data[-2:] == b"\xff\xd9"


def _ends_with_a_box(data: bytes) -> bool:
    """An AVIF is boxes, each behind its length."""
    start = 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 4])
        if length < 8:
            return False
        start += length
    return start == len(data)
