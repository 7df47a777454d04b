"""Originals as one ZIP, made while it is sent: stored, since pictures do not get smaller, with ZIP64 where it is large.

Of a thousand pictures one piece is in memory. What is lost or damaged is left out, and a text file at the end says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import zipfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import IO, Any, Final
from uuid import UUID

from portal import database
from portal.errors import Busy, Gone
from portal.gallery.file_names import file_name
from portal.storage.keys import original_key
from portal.storage.store import Store

PIECE: Final = 256 * 1024
AT_ONCE: Final = 32  # archives that one process sends; each holds a file and a piece
FOR_ONE: Final = 8  # of them, so that nobody who reads slowly, or not at all, takes the room of all others
_ROWS: Final = 500
_LIST: Final = "not-here.txt"


class ZipRoom:
    """How many are being sent, and to whom."""

    def __init__(self) -> None:
        self.sent = 0
        self._sent_to: Counter[str] = Counter()

    def refuse_when_full(self, who: str) -> None:
        """Raises Busy."""
        if self._sent_to[who] >= FOR_ONE:
            raise Busy("Many downloads of yours are under way. Let one of them end first.", retry_after=5)
        if self.sent >= AT_ONCE:
            raise Busy("Many downloads are under way. Try again in a moment.", retry_after=5)

    @contextmanager
    def taken(self, who: str) -> Iterator[None]:
        self.sent += 1
        self._sent_to[who] += 1
        try:
            yield
        finally:
            self.sent -= 1
            self._sent_to[who] -= 1
            self._sent_to += Counter()  # forgets who has none


class _Out:
    """What the archive's writer has written and nobody has taken yet. It cannot be sought in: so nothing is written twice."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def write(self, data: Any) -> int:
        self._pieces += data
        return len(data)

    def flush(self) -> None:
        return None

    def taken(self) -> bytes:
        taken, self._pieces = bytes(self._pieces), bytearray()
        return taken


async def zip_of(ids: Sequence[UUID], store: Store, room: ZipRoom, who: str = "") -> AsyncGenerator[bytes]:
    """In the order of `ids`, numbered; those that are gone are left out. `who` it is sent to."""
    with room.taken(who):
        async for piece in _zip(ids, store):
            yield piece


async def _zip(ids: Sequence[UUID], store: Store) -> AsyncIterator[bytes]:
    out = _Out()
    archive = zipfile.ZipFile(out, "w", zipfile.ZIP_STORED)  # type: ignore[arg-type] - all that it needs of a file
    lost: list[str] = []
    rows: Mapping[UUID, Mapping[str, Any]] = {}
    for place, image_id in enumerate(ids):
        if place % _ROWS == 0:
            rows = await _rows(ids[place : place + _ROWS])
        row = rows.get(image_id)
        if row is None:
            continue
        name = file_name(place, len(ids) - 1, row["filename"], row["extension"])
        try:
            file = await store.open(original_key(row["type"], image_id, row["version"], row["extension"]))
        except Gone:
            lost.append(name)
            continue
        with closing(file):
            async for piece in _member(archive, out, name, row, file, lost):
                yield piece
    if lost:
        archive.writestr(_LIST, "Lost or damaged, so not (whole) in this archive:\r\n" + "\r\n".join(lost) + "\r\n")
    archive.close()
    yield out.taken()


async def _rows(ids: Sequence[UUID]) -> dict[UUID, Mapping[str, Any]]:
    rows = await database.fetch(
        """SELECT image.id, type, version, extension, filename, bytes, sha256, image.created_at FROM image
           JOIN entity ON pk = entity WHERE image.id = ANY($1::uuid[])""",
        list(ids),
    )
    return {row["id"]: row for row in rows}


async def _member(
    archive: zipfile.ZipFile, out: _Out, name: str, row: Mapping[str, Any], file: IO[bytes], lost: list[str]
) -> AsyncIterator[bytes]:
    head = zipfile.ZipInfo(name, row["created_at"].timetuple()[:6])
    head.external_attr = 0o644 << 16
    head.file_size = row["bytes"]  # decides whether this one needs ZIP64
    digest = hashlib.sha256()
    with archive.open(head, "w") as member:
        while piece := await asyncio.to_thread(_next, file, member, digest):
            yield out.taken()
            del piece
    if digest.hexdigest() != row["sha256"]:
        lost.append(name)
    yield out.taken()


def _next(file: IO[bytes], member: IO[bytes], digest: Any) -> int:
    """From the disk into the archive. Blocks."""
    piece = file.read(PIECE)
    digest.update(piece)
    member.write(piece)
    return len(piece)
