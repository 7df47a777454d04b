"""Many objects at once into a folder: written without a sync each, then synced together, then named.

A sync for each file costs more than copying it. So all drafts of a batch are written, the system is asked once for all of its
file system, and the sync of each file that follows finds nothing left to write. Only then they get their names, and their
folders are synced in the same way.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from portal.backups.wanted import CHANGED, MISSING, UNREADABLE, Lost, Wanted
from portal.errors import Conflict
from portal.storage.disk import plain_words
from portal.storage.keys import TEMP
from portal.storage.look import is_unreadable
from portal.storage.store import LOST, Store

DRAFTS: Final = "batch-"  # what the names of objects begin with until they are whole, where who writes does not say
SYNCS: Final = 8  # at once: the disk answers them together
_PIECE: Final = 1024 * 1024
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AGAIN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = _AGAIN | os.O_DIRECTORY


def take_many(target: Store, source: Store, wanted: Sequence[tuple[str, Wanted]], drafts: str = DRAFTS) -> list[Lost]:
    """By their keys in `target`; all but the lost ones are durable there when this returns. Blocks: run it in a thread.

    Raises DiskFull, Unavailable; then no draft is left.
    """
    lost: list[Lost] = []
    with plain_words(target.what), contextlib.ExitStack() as stack:
        batch = _Batch(target, stack, drafts)
        for key, each in wanted:
            draft = batch.draft(key)
            reason = _copied(each, source, target, batch.temp, draft)
            if reason is not None:
                batch.spoil(draft)
                lost.append(Lost(each, reason))
        batch.name_all()
    return lost


def put_files(target: Store, files: Iterable[tuple[str, Path]], drafts: str = DRAFTS) -> None:
    """Files of any length by their keys, durable when this returns. Blocks. Raises DiskFull, Unavailable."""
    with plain_words(target.what), contextlib.ExitStack() as stack:
        batch = _Batch(target, stack, drafts)
        for key, path in files:
            _copy(path, target, batch.temp, batch.draft(key))
        batch.name_all()


def put_pieces(target: Store, items: Iterable[tuple[str, bytes]]) -> None:
    """The same of bytes, which stay in memory no longer than it takes to write them."""
    with plain_words(target.what), contextlib.ExitStack() as stack:
        batch = _Batch(target, stack)
        for key, data in items:
            file = target.disk.open(batch.draft(key), _CREATE, 0o600, dir_fd=batch.temp)
            try:
                target.disk.write_all(file, data)
            finally:
                os.close(file)
        batch.name_all()


class _Batch:
    """Drafts on their way to their names; what has none at the end of `stack` is removed."""

    def __init__(self, target: Store, stack: contextlib.ExitStack, drafts: str = DRAFTS) -> None:
        self.target, self.disk, self._stack, self._drafts = target, target.disk, stack, drafts
        self.temp = target.open_folder(stack, (TEMP,), make=True)
        self._keys: dict[str, str] = {}  # of drafts
        self._spoilt: list[str] = []
        stack.callback(lambda: target.unlink_all(self.temp, [*self._spoilt, *self._keys]))

    def draft(self, key: str) -> str:
        name = f"{self._drafts}{uuid4()}.part"
        self._keys[name] = key
        return name

    def spoil(self, draft: str) -> None:
        del self._keys[draft]
        self._spoilt.append(draft)

    def name_all(self) -> None:
        if not self._keys:
            return
        self.disk.syncfs(self.temp)
        self._each(self._sync_draft, list(self._keys))
        above: dict[tuple[str, ...], int] = {}
        inner: list[int] = []
        for folder, drafts in self._by_folder().items():
            if folder[:-1] not in above:
                above[folder[:-1]] = self.target.open_folder(self._stack, folder[:-1], make=True)
            inner.append(self._opened(above[folder[:-1]], folder[-1]))
            for draft in drafts:
                self._name(draft, inner[-1])
        self.disk.syncfs(self.temp)
        self._each(self.disk.fsync, [*inner, *above.values()])

    def _name(self, draft: str, folder: int) -> None:
        key = self._keys[draft]
        try:
            self.disk.rename(draft, key.rpartition("/")[2], src_dir_fd=self.temp, dst_dir_fd=folder)
        except IsADirectoryError as error:  # the disk is well: trying again would not help
            raise Conflict(f"A folder lies in the place of {key}. Remove it by hand.") from error
        del self._keys[draft]

    def _by_folder(self) -> Mapping[tuple[str, ...], list[str]]:
        found: dict[tuple[str, ...], list[str]] = {}
        for draft, key in self._keys.items():
            found.setdefault(tuple(key.split("/")[:-1]), []).append(draft)
        return found

    def _opened(self, above: int, name: str) -> int:
        with contextlib.suppress(FileExistsError):
            self.disk.mkdir(name, 0o700, dir_fd=above)
        folder = self.disk.open(name, _FOLDER, dir_fd=above)
        self._stack.callback(os.close, folder)
        return folder

    def _sync_draft(self, draft: str) -> None:
        file = self.disk.open(draft, _AGAIN, dir_fd=self.temp)
        try:
            self.disk.fsync(file)
        finally:
            os.close(file)

    def _each(self, work: Callable[[Any], None], of: Sequence[Any]) -> None:
        """Some at once. Raises what one of them raised, once all have ended."""
        with ThreadPoolExecutor(min(SYNCS, len(of)), thread_name_prefix="backup-sync") as threads:
            deque(threads.map(work, of), maxlen=0)


def _copy(path: Path, target: Store, temp: int, draft: str) -> None:
    with open(path, "rb", buffering=0) as reader:
        writer = target.disk.open(draft, _CREATE, 0o600, dir_fd=temp)
        try:
            while piece := reader.read(_PIECE):
                target.disk.write_all(writer, piece)
        finally:
            os.close(writer)


def _copied(each: Wanted, source: Store, target: Store, temp: int, draft: str) -> str | None:
    """Why it is lost. Read once: what is written is what was summed."""
    summed, left, piece = hashlib.sha256(), each.bytes + 1, b""
    reader = _opened(each, source)
    if isinstance(reader, str):
        return reader
    try:
        writer = target.disk.open(draft, _CREATE, 0o600, dir_fd=temp)
        try:
            while left > 0 and (piece := _read(source, reader, min(_PIECE, left))):
                summed.update(piece)
                target.disk.write_all(writer, piece)
                left -= len(piece)
        finally:
            os.close(writer)
    finally:
        os.close(reader)
    if piece is None:
        return UNREADABLE
    return None if left == 1 and summed.hexdigest() == each.sha256 else CHANGED


def _opened(each: Wanted, source: Store) -> int | str:
    """Its descriptor, or why it is lost. A link in the way is followed: what it leads to is compared with its SHA-256."""
    with plain_words(source.what):
        try:
            return source.disk.open(source.path_of(each.key), _READ)
        except OSError as error:
            if error.errno in LOST:
                return MISSING
            if is_unreadable(error):
                return UNREADABLE
            raise


def _read(source: Store, reader: int, size: int) -> bytes | None:
    """None for what the disk cannot read."""
    with plain_words(source.what):
        try:
            return source.disk.read(reader, size)
        except OSError as error:
            if error.errno in LOST:
                return b""  # a folder of this name
            if is_unreadable(error):
                return None
            raise
