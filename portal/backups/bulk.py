"""Many objects at once into a folder: written without a sync each, then synced together, then named.

A sync for each file costs more than copying it. So all drafts of a batch are written, the system is asked once for all of its
file system, and the sync of each file that follows finds nothing left to write. Only then they get their names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from uuid import uuid4

from portal.backups.layout import object_key
from portal.backups.wanted import CHANGED, MISSING, UNREADABLE, Lost, Wanted
from portal.storage.disk import plain_words
from portal.storage.keys import TEMP
from portal.storage.look import is_unreadable
from portal.storage.store import LOST, Store

DRAFT: Final = "backup-"  # what the names of objects begin with until they are whole: nobody but a backup has such
SYNCS: Final = 8  # at once: the disk answers them together
_PIECE: Final = 1024 * 1024
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AGAIN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def take_many(target: Store, source: Store, wanted: Sequence[Wanted]) -> list[Lost]:
    """All but the lost ones are durable under their names when this returns. Blocks: run it in a thread.

    Raises DiskFull, Unavailable; then no draft is left.
    """
    drafts: list[tuple[str, str]] = []
    spoilt: list[str] = []
    lost: list[Lost] = []
    with contextlib.ExitStack() as stack, plain_words(target.what):
        temp = target.open_folder(stack, (TEMP,), make=True)
        try:
            for each in wanted:
                drafts.append((f"{DRAFT}{uuid4()}.part", object_key(each.entity_type, each.sha256)))
                reason = _copied(each, source, target, temp, drafts[-1][0])
                if reason is not None:
                    spoilt.append(drafts.pop()[0])
                    lost.append(Lost(each, reason))
            _name_all(target, stack, temp, drafts)
        finally:
            target.unlink_all(temp, [*spoilt, *(draft for draft, _ in drafts)])
    return lost


def put_file(target: Store, key: str, path: Path) -> None:
    """A file of any length, durable under its name when this returns. Blocks."""
    drafts = [(f"{uuid4()}.part", key)]
    with contextlib.ExitStack() as stack, plain_words(target.what):
        temp = target.open_folder(stack, (TEMP,), make=True)
        try:
            with open(path, "rb", buffering=0) as reader:
                writer = target.disk.open(drafts[0][0], _CREATE, 0o600, dir_fd=temp)
                try:
                    while piece := reader.read(_PIECE):
                        target.disk.write_all(writer, piece)
                finally:
                    os.close(writer)
            _name_all(target, stack, temp, drafts)
        finally:
            target.unlink_all(temp, [draft for draft, _ in drafts])


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


def _name_all(target: Store, stack: contextlib.ExitStack, temp: int, drafts: list[tuple[str, str]]) -> None:
    """Sync drafts, then let them have their names, then sync their folders; those that have them leave the list."""
    if not drafts:
        return

    def sync(draft: tuple[str, str]) -> None:
        file = target.disk.open(draft[0], _AGAIN, dir_fd=temp)
        try:
            target.disk.fsync(file)
        finally:
            os.close(file)

    if len(drafts) > 1:
        target.disk.syncfs(temp)
    with ThreadPoolExecutor(min(SYNCS, len(drafts)), thread_name_prefix="backup-sync") as threads:
        deque(threads.map(sync, drafts), maxlen=0)
    for folder in target.move_in(stack, temp, drafts):
        target.disk.fsync(folder)
