"""Originals, and what else is too large for memory: sent in pieces, or left to the web server in front (PORTAL_SENDFILE).

Each is held against its SHA-256 before its first byte goes out, not after: what has been sent can't be taken back. That is done
once for the file as it lies there (its device, inode, size and times), so that ranges and repetitions don't read it whole again;
whoever touches the file has it checked anew. The descriptor that was checked is the one that is sent from.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import FileIO
from typing import Final
from urllib.parse import quote

import structlog
from litestar.types import HTTPScope, Scope

from portal.errors import Gone
from portal.media.catalogue import Source
from portal.storage.store import Store

log = structlog.get_logger()

PIECE: Final = 256 * 1024  # bytes in memory for each that is being sent
REMEMBERED: Final = 10_000  # files checked last
INTERNAL: Final = "/_originals/"  # nginx's location, which nobody reaches from outside
_FIXED: Final = frozenset(
    {b"if-match", b"if-unmodified-since"}
)  # web servers hold these against what they know of a file

Identity = tuple[int, int, int, int, int]


class Originals:
    """Opens them, checked. `is_proxy`: does a request come through a proxy of ours? It alone is told where a file lies."""

    def __init__(
        self, store: Store, sendfile: str = "off", is_proxy: Callable[[Scope], bool] = lambda _: False
    ) -> None:
        self._store = store
        self._sendfile = sendfile
        self.are_sent_by_nginx = sendfile == "x-accel"
        self._is_proxy = is_proxy
        self._checked: OrderedDict[str, Identity] = OrderedDict()

    @asynccontextmanager
    async def opened(self, source: Source) -> AsyncIterator[FileIO]:
        """Raises Gone when the bytes are lost or no longer what was stored."""
        try:
            file = await self._store.open(source.key)
        except Gone:
            log.error("object missing", key=source.key)
            raise
        try:
            await asyncio.to_thread(self._check, source, file)
            yield file
        finally:
            file.close()

    def _check(self, source: Source, file: FileIO) -> None:
        found = os.fstat(file.fileno())
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if self._checked.get(source.key) == identity:
            return
        if found.st_size != source.bytes or hashlib.file_digest(file, "sha256").hexdigest() != source.sha256:
            log.error("checksum mismatch", key=source.key)
            raise Gone("The bytes of this picture are damaged. It has to be healed from a backup or uploaded again.")
        self._checked[source.key] = identity
        while len(self._checked) > REMEMBERED:
            self._checked.popitem(last=False)

    def left_to_proxy(self, source: Source, scope: HTTPScope) -> tuple[bytes, bytes] | None:
        """The header by which the web server in front sends it, ranges included; None where we send it ourselves."""
        if self._sendfile == "off" or scope["method"] != "GET" or not self._is_proxy(scope):
            return None
        if any(name in _FIXED for name, _ in scope["headers"]):
            return None
        if self._sendfile == "x-accel":
            return b"x-accel-redirect", f"{INTERNAL}{quote(source.key)}".encode()
        return b"x-sendfile", os.fsencode(self._store.path_of(source.key))


async def pieces(file: FileIO, start: int, stop: int) -> AsyncIterator[bytes]:
    """The bytes from `start` up to `stop`; each is read when the one before it has been taken."""
    while start < stop:
        piece = await asyncio.to_thread(os.pread, file.fileno(), min(PIECE, stop - start), start)
        if not piece:
            raise OSError(f"{file.name} became shorter while it was sent")
        yield piece
        start += len(piece)
