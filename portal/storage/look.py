"""What lies in the store, for who checks it: objects read in pieces, and all names in chunks. Memory stays bounded."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from portal.errors import Gone, Unavailable
from portal.storage.disk import plain_words
from portal.storage.store import ObjectEntry, Store

_PIECE: Final = 1024 * 1024
_CHUNK: Final = 1000
HEAD: Final = 16  # bytes: every format is known by them
# The disk knows the file and cannot give its bytes: what lay there is lost, however well the rest of the disk is.
_UNREADABLE: Final = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})


@dataclass(frozen=True, slots=True)
class Seen:
    """What lies under a key. `bytes` is None where nothing does; `sha256` also where the disk cannot read it. `head`: how what
    was read begins."""

    key: str
    bytes: int | None = None
    modified_at: datetime | None = None
    sha256: str | None = None
    head: bytes = b""

    @property
    def is_there(self) -> bool:
        return self.bytes is not None


async def look_at(store: Store, keys: Iterable[str], *, read: bool = True) -> dict[str, Seen]:
    """One object after the other, in one thread; without `read` no SHA-256.

    Raises Unavailable when the disk is not mounted or does not answer at all.
    """
    wanted = list(keys)
    return await asyncio.to_thread(lambda: {key: _look(store, key, read) for key in wanted})


async def walked(store: Store, size: int = _CHUNK) -> AsyncIterator[list[ObjectEntry]]:
    """`Store.walk` from threads, so many entries at a time. Raises Unavailable as that does, also at its end: of a disk
    that went away meanwhile the rest has only seemed to be empty."""
    entries = store.walk()
    while chunk := await asyncio.to_thread(lambda: list(islice(entries, size))):
        yield chunk
    await store.check_marker()


def _look(store: Store, key: str, read: bool) -> Seen:
    try:
        reader = store.open_now(key)
    except Gone:
        return Seen(key)
    except Unavailable as error:
        if is_unreadable(error.__cause__):
            return Seen(key, 0)
        raise
    with reader, plain_words():
        found = store.disk.fstat(reader.fileno())
        modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
        sha256, head = _digest(store, reader.fileno()) if read else (None, b"")
        return Seen(key, found.st_size, modified_at, sha256, head)


def _digest(store: Store, file: int) -> tuple[str | None, bytes]:
    digest, head = hashlib.sha256(), b""
    try:
        while piece := store.disk.read(file, _PIECE):
            digest.update(piece)
            head = head or piece[:HEAD]
    except OSError as error:
        if is_unreadable(error):
            return None, b""
        raise
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)  # the machine's memory is for what people look at
    return digest.hexdigest(), head


def is_unreadable(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in _UNREADABLE
