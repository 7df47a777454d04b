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


@dataclass(slots=True)
class Copied:
    """Of all types. `objects` and `bytes`: what the destination did not have."""

    objects: int = 0
    bytes: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Brought:
    """Objects in their order, and of those that are lost why, by SHA-256."""

    objects: Sequence[Wanted]
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
        chunks, waiting = _chunks(entity_type, wanted), deque[asyncio.Task[Brought]]()
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
        await asyncio.to_thread(lambda: spool.add(_line(each, brought.lost) for each in brought.objects))
        self._done += len(brought.objects)
        await self._report(self._done, self._total)

    async def _bring(self, entity_type: str, chunk: list[Wanted]) -> Brought:
        held = await self._held(entity_type, chunk)
        missing = [each for each in chunk if held.get(each.sha256) != each.bytes or self._is_distrusted(each)]
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
        return Brought(chunk, reasons)

    def _is_distrusted(self, wanted: Wanted) -> bool:
        """A verification has found other bytes under its name."""
        return bool(self._distrusted) and _key(wanted) in self._distrusted

    async def _held(self, entity_type: str, chunk: Sequence[Wanted]) -> dict[str, int]:
        shards = sorted({each.sha256[:2] for each in chunk})
        found = await asyncio.gather(
            *(sizes_of(self._destination, f"{entity_type}/{OBJECTS}/{shard}") for shard in shards)
        )
        return {sha256: size for each in found for sha256, size in each.items()}

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


def _line(each: Wanted, lost: Mapping[str, str]) -> str:
    """None of what is said needs to be escaped but the reason."""
    said = f'"sha256": "{each.sha256}", "bytes": {each.bytes}, "key": "{each.key}"'
    return f'{{{said}, "lost": {json.dumps(lost[each.sha256])}}}' if each.sha256 in lost else f"{{{said}}}"


def _chunks(entity_type: str, path: Path) -> Iterator[list[Wanted]]:
    """Whole shards. Blocks."""
    chunk: list[Wanted] = []
    shards = 0
    with path.open(encoding="ascii") as lines:
        for _, shard in groupby(lines, lambda line: line[:2]):
            for line in shard:
                sha256, size, key = line.rstrip("\n").split("\t")
                chunk.append(Wanted(entity_type, sha256, int(size), key))
            shards += 1
            if len(chunk) >= CHUNK or shards == MOST_SHARDS:
                yield chunk
                chunk, shards = [], 0
    if chunk:
        yield chunk


async def _read(chunks: Iterator[list[Wanted]]) -> AsyncIterator[list[Wanted]]:
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
