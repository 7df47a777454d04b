"""What a backup's objects.jsonl lists, in the order of the SHA-256: of very many, one shard at a time is in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from portal.backups.destination import Destination
from portal.backups.layout import OBJECT_LIST, OBJECTS, folder_of
from portal.backups.lines import Line, Reading, read_lines
from portal.backups.root import Damaged

_SHARDS: Final = tuple(f"{number:02x}" for number in range(256))
FEW: Final = 50_000  # are gone through at once
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Listed(NamedTuple):
    """`is_lost`: the store did not have it any more when the backup was made."""

    sha256: str
    bytes: int
    is_lost: bool


def list_key(backup_id: str, entity_type: str) -> str:
    return f"{folder_of(backup_id)}/{entity_type}/{OBJECT_LIST}"


def shards_of(count: int) -> tuple[str, ...]:
    """So many objects, in parts that fit into memory: what their SHA-256 begins with, in order."""
    return ("",) if count <= FEW else _SHARDS


def shard_key(entity_type: str, shard: str) -> str:
    """The folder in which these objects lie."""
    return f"{entity_type}/{OBJECTS}/{shard}".rstrip("/")


async def listed_objects(
    destination: Destination, key: str, reading: Reading | None = None
) -> AsyncIterator[list[Listed]]:
    """Some at a time; `reading` knows at the end what the file was. Raises Damaged for a line that is none, or out of order;
    Gone, Unavailable."""
    last, reading = "", reading or Reading()
    async for lines in read_lines(destination, key, reading):
        found = await asyncio.to_thread(_listed, lines, key, last)
        last = found[-1].sha256
        yield found


def _listed(lines: list[Line], key: str, last: str) -> list[Listed]:
    found = [_one(line, key) for line in lines]
    for each in found:
        if each.sha256 <= last:
            raise Damaged(f"{key} is not in order, or names {each.sha256} twice.")
        last = each.sha256
    return found


def _one(line: Line, key: str) -> Listed:
    sha256, size = line.get("sha256"), line.get("bytes")
    if not isinstance(sha256, str) or not isinstance(size, int) or size < 0 or not _SHA256.fullmatch(sha256):
        raise Damaged(f"{key} has a line that names no object.")
    return Listed(sha256, size, bool(line.get("lost")))


class Shards:
    """A list, asked for its shards in their order."""

    def __init__(self, destination: Destination, key: str) -> None:
        self._pieces = listed_objects(destination, key)
        self._ahead: list[Listed] = []

    async def of(self, shard: str) -> list[Listed]:
        """Of one that comes after all that were asked for before."""
        found: list[Listed] = []
        while True:
            found += [each for each in self._ahead if each.sha256.startswith(shard)]
            self._ahead = [each for each in self._ahead if each.sha256[: len(shard)] > shard]
            if self._ahead:
                return found
            try:
                self._ahead = await anext(self._pieces)
            except StopAsyncIteration:
                return found
