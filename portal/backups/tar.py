"""A tar, as far as an archive of a backup needs one: plain files, one after the other, as POSIX has it since 1988 (ustar).

What is read may come from anywhere. So of all that tars can say only a file's name and size are taken, and whatever could
mean something else (links, devices, folders, sparse files, extended headers, long names) is refused by its kind.
"""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterable, AsyncIterator
from datetime import datetime
from typing import Final, NamedTuple

from portal.backups.destination import PIECE
from portal.backups.root import Damaged

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
_MOST_PADDING: Final = 1024 * 1024  # zeros after the end: other programs fill their last record up
_PLAIN: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)
_KINDS: Final = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.GNUTYPE_LONGNAME: "a long name",
    tarfile.GNUTYPE_LONGLINK: "a long name",
    tarfile.XHDTYPE: "an extended header",
    tarfile.XGLTYPE: "an extended header",
    tarfile.SOLARIS_XHDTYPE: "an extended header",
}
_COMPRESSED: Final = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7z",
}


class Header(NamedTuple):
    name: str
    bytes: int


def header_of(name: str, size: int, at: datetime) -> bytes:
    """One block, always the same for the same. A size beyond 8 GiB is said in the way that GNU, BSD and Python read."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, int(at.timestamp()), 0o644
    return entry.tobuf(tarfile.GNU_FORMAT if size >= 8**11 else tarfile.USTAR_FORMAT)


def padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def padding_of(size: int) -> bytes:
    return bytes(padded(size) - size)


class TarReader:
    """Reads `pieces` once, from the front, never more than two of them in memory. Everything raises Damaged."""

    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self._pieces = aiter(pieces)
        self._held = bytearray()
        self._is_first = True

    async def header(self) -> Header | None:
        """Of the next file, whose bytes are to be read next; None at the end."""
        block = await self._exactly(BLOCK, "a header")
        if self._is_first:
            _refuse_compressed(block)
            self._is_first = False
        if not any(block):
            if any(await self._exactly(BLOCK, "its end")):
                raise Damaged("The archive is damaged: it goes on after its end.")
            return None
        return _header(block)

    async def content(self, header: Header) -> AsyncIterator[bytes]:
        """At most PIECE bytes at a time."""
        left = header.bytes
        while left:
            await self._fill(1)
            piece = bytes(self._held[: min(left, PIECE)])
            if not piece:
                raise Damaged(f"The archive is cut: it ends in the middle of {header.name}.")
            del self._held[: len(piece)]
            left -= len(piece)
            yield piece
        await self._exactly(padded(header.bytes) - header.bytes, header.name)

    async def finish(self) -> None:
        """Nothing but zeros may follow its end."""
        zeros = 0
        while await self._fill(1):
            zeros += len(self._held)
            if any(self._held) or zeros > _MOST_PADDING:
                raise Damaged("The archive is damaged: it goes on after its end.")
            self._held.clear()

    async def _exactly(self, size: int, what: str) -> bytes:
        if not await self._fill(size):
            raise Damaged(f"The archive is cut: it ends in the middle of {what}.")
        found = bytes(self._held[:size])
        del self._held[:size]
        return found

    async def _fill(self, size: int) -> bool:
        while len(self._held) < size:
            try:
                self._held += await anext(self._pieces)
            except StopAsyncIteration:
                return False
        return True


def _refuse_compressed(block: bytes) -> None:
    for begin, kind in _COMPRESSED.items():
        if block.startswith(begin):
            raise Damaged(f"The archive is compressed ({kind}). Unpack that first: what is taken in is a plain tar.")


def _header(block: bytes) -> Header:
    kind = block[156:157]
    try:
        entry = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise Damaged("The archive is damaged, or no tar: a header in it does not match its own checksum.") from error
    if kind not in _PLAIN or entry.isdir():  # an old one says a folder by a name that ends with /
        raise Damaged(
            f"The archive holds {_KINDS.get(kind, 'something')} ({entry.name!r:.120}); it must hold files alone."
        )
    if entry.size < 0:
        raise Damaged(f"The archive is damaged: it says that {entry.name!r:.120} has {entry.size} bytes.")
    return Header(entry.name, entry.size)
