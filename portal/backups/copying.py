"""The objects that a backup needs, copied from the portal's store where its destination has them not yet.

They come in the order of their SHA-256, so what lies in the destination is asked folder by folder, and what is copied lies
evenly among what is there: the rate of the first part is that of the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final

from portal.backups.destination import Destination, sizes_of
from portal.backups.layout import OBJECTS, object_key
from portal.backups.marks import distrusted, trust
from portal.backups.objects import read_newest
from portal.backups.spool import Spool
from portal.backups.wanted import Lost, Wanted
from portal.errors import DiskFull
from portal.jobs.progress import Report
from portal.storage.store import Store

CHUNK, MOST_SHARDS = 2000, 64  # objects, or folders, that are asked for and copied together
BATCH, BATCH_BYTES = 1000, 128 * 1024 * 1024  # copied before they get their names
IN_FLIGHT: Final = 2  # chunks: while one waits for the disk, the next one is read
_SHARD, _SHA256, _BYTES = slice(12, 14), slice(12, 76), 88  # where they stand in a line of `rows.OBJECTS`


@dataclass(slots=True)
class Copied:
    """Of all types. `objects` and `bytes`: what the destination did not have; `needed_bytes`: of them all."""

    objects: int = 0
    bytes: int = 0
    lost: int = 0
    needed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Brought:
    """Lines of objects in their order, and of those that are lost why, by SHA-256."""

    lines: Sequence[str]
    lost: Mapping[str, str]


class Copying:
    """`done` of `total` before it began. `floor`: bytes that stay free at the destination."""

    def __init__(
        self, destination: Destination, store: Store, report: Report, *, done: int, total: int, floor: int
    ) -> None:
        self.copied = Copied()
        self._destination, self._store, self._report = destination, store, report
        self._done, self._total, self._floor = done, total, floor
        self._distrusted = frozenset[str]()

    async def copy(self, entity_type: str, wanted: Path, spool: Spool) -> None:
        """What this file names; its lines go to `spool` once their objects are durable. Raises DiskFull, Unavailable."""
        self._distrusted = await distrusted()
        chunks, waiting = _chunks(wanted), deque[asyncio.Task[Brought]]()
        try:
            async for chunk in _read(chunks):
                waiting.append(asyncio.create_task(self._bring(entity_type, chunk)))
                if len(waiting) == IN_FLIGHT:
                    await self._list(await waiting.popleft(), spool)
            while waiting:
                await self._list(await waiting.popleft(), spool)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _list(self, brought: Brought, spool: Spool) -> None:
        await asyncio.to_thread(lambda: spool.add("".join(_told(brought)).encode()))
        self._done += len(brought.lines)
        await self._report(self._done, self._total)

    async def _bring(self, entity_type: str, lines: list[str]) -> Brought:
        held = await self._held(entity_type, lines)
        missing, size = await asyncio.to_thread(_compared, entity_type, lines, held)
        self.copied.needed_bytes += size
        lost: list[Lost] = []
        for batch in _batches(missing):
            await self._keep_floor(sum(each.bytes for each in batch))
            lost += await self._destination.take(self._store, batch)
        reasons = {each.wanted.sha256: each.reason for each in lost if not await self._is_healed(each.wanted)}
        self.copied.lost += len(reasons)
        came = [each for each in missing if each.sha256 not in reasons]
        await trust([_key(each) for each in came if self._is_distrusted(each)])
        self.copied.objects += len(came)
        self.copied.bytes += sum(each.bytes for each in came)
        return Brought(lines, reasons)

    def _is_distrusted(self, wanted: Wanted) -> bool:
        """A verification has found other bytes under its name."""
        return bool(self._distrusted) and _key(wanted) in self._distrusted

    async def _held(self, entity_type: str, lines: Sequence[str]) -> dict[str, int]:
        """Sizes by SHA-256, but for what is distrusted."""
        shards = sorted({line[_SHARD] for line in lines})
        held = await sizes_of(self._destination, [f"{entity_type}/{OBJECTS}/{shard}" for shard in shards])
        for key in self._distrusted:
            of_type, _, sha256 = key.partition(f"/{OBJECTS}/")
            if of_type == entity_type:
                held.pop(sha256[3:], None)
        return held

    async def _keep_floor(self, more: int) -> None:
        free = await self._destination.free_bytes()
        if self._floor and free is not None and free - more < self._floor:
            raise DiskFull(
                "The disk for backups is nearly full. Free some space, or have fewer backups kept, then try again."
            )

    async def _is_healed(self, wanted: Wanted) -> bool:
        """From a backup that holds these bytes for another entity type."""
        found = await read_newest(self._destination, wanted.sha256)
        if found is not None:
            await self._destination.put(_key(wanted), found[1])
        return found is not None


def _key(wanted: Wanted) -> str:
    return object_key(wanted.entity_type, wanted.sha256)


def _compared(entity_type: str, lines: Sequence[str], held: Mapping[str, int]) -> tuple[list[Wanted], int]:
    """What is not there, or of another size; and the bytes of them all. Blocks."""
    missing: list[Wanted] = []
    total = 0
    for line in lines:
        size = int(line[_BYTES : line.index(",", _BYTES)])
        total += size
        if held.get(line[_SHA256]) != size:
            said = json.loads(line)
            missing.append(Wanted(entity_type, said["sha256"], size, said["key"]))
    return missing, total


def _told(brought: Brought) -> Iterator[str]:
    """The lines, with the reasons of those that are lost."""
    for line in brought.lines:
        reason = brought.lost.get(line[_SHA256])
        yield line if reason is None else json.dumps(json.loads(line) | {"lost": reason}) + "\n"


def _chunks(path: Path) -> Iterator[list[str]]:
    """Whole shards. Blocks."""
    chunk: list[str] = []
    shards = 0
    with path.open(encoding="ascii") as lines:
        for _, shard in groupby(lines, itemgetter(_SHARD)):
            chunk.extend(shard)
            shards += 1
            if len(chunk) >= CHUNK or shards == MOST_SHARDS:
                yield chunk
                chunk, shards = [], 0
    if chunk:
        yield chunk


async def _read(chunks: Iterator[list[str]]) -> AsyncIterator[list[str]]:
    with contextlib.closing(chunks):  # type: ignore[type-var] - a generator
        while chunk := await asyncio.to_thread(next, chunks, None):
            yield chunk


def _batches(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    batch: list[Wanted] = []
    size = 0
    for each in wanted:
        batch.append(each)
        size += each.bytes
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
