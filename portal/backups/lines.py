"""The lines of a manifest, one after the other: however long the file, or a line that was made to fill the memory."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from portal.backups.destination import Destination
from portal.backups.root import Damaged, Member

MOST_LINE: Final = 8 * 1024 * 1024  # bytes
Line = dict[str, Any]


class Reading:
    """What a manifest was as it was read: its SHA-256, bytes and lines, and the first thing that is wrong with a line."""

    def __init__(self, *, has_lines: bool = True) -> None:
        self._has_lines = has_lines
        self._digest = hashlib.sha256()
        self._rest = bytearray()
        self._is_passing = False  # a line that is too long goes by
        self.bytes = 0
        self.lines = 0
        self.fault: str | None = None

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def feed(self, piece: bytes) -> list[Line]:
        """The lines that end in this piece, as far as they are lines."""
        self._digest.update(piece)
        self.bytes += len(piece)
        if not self._has_lines:
            return []
        if self.fault is not None:  # no line counts any more: a file of millions that are none is passed by quickly
            self.lines += piece.count(b"\n")
            return []
        *ended, rest = piece.split(b"\n")
        found: list[Line] = []
        for place, each in enumerate(ended):
            self._take(each)
            found += self._line()
            if self.fault is not None:
                self.lines += len(ended) - place - 1
                return found
        self._take(rest)
        return found

    def end(self) -> None:
        if self._rest or self._is_passing:
            self._blame("its last line has no end")

    def _take(self, part: bytes) -> None:
        if len(self._rest) + len(part) > MOST_LINE:
            self._rest.clear()
            self._is_passing = True
        if not self._is_passing:
            self._rest += part

    def _line(self) -> list[Line]:
        self.lines += 1
        text, is_too_long = bytes(self._rest), self._is_passing
        self._rest.clear()
        self._is_passing = False
        if is_too_long:
            self._blame(f"line {self.lines} has more than {MOST_LINE} bytes")
            return []
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if isinstance(line, dict):
            return [line]
        self._blame(f"line {self.lines} is no JSON object")
        return []

    def _blame(self, words: str) -> None:
        self.fault = self.fault or words

    def difference(self, member: Member) -> str | None:
        """From what the root says of it, in words: the bytes first, since all else follows from them."""
        if self.bytes != member.bytes:
            return f"expected {member.bytes} bytes, found {self.bytes}"
        if self.sha256 != member.sha256:
            return f"expected SHA-256 {member.sha256}, found {self.sha256}"
        if member.lines is not None and self.lines != member.lines:
            return f"expected {member.lines} lines, found {self.lines}"
        return None if member.lines is None else self.fault


async def read_lines(destination: Destination, key: str, reading: Reading | None = None) -> AsyncIterator[list[Line]]:
    """Some lines at a time; the caller's `reading` knows at the end what the file was. Raises Gone, Unavailable."""
    reading = reading or Reading()
    async for piece in destination.pieces(key):
        if found := await asyncio.to_thread(reading.feed, piece):
            yield found
    reading.end()


async def read_sound_lines(destination: Destination, key: str, member: Member) -> AsyncIterator[list[Line]]:
    """As `read_lines`, for who trusts what was verified before. Raises Damaged at the end where it is another by now."""
    reading = Reading()
    async for found in read_lines(destination, key, reading):
        yield found
    if difference := reading.difference(member):
        raise Damaged(f"{key}: {difference}.")
