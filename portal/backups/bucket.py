"""A bucket as the place for backups."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

from portal.backups.destination import Lost, Wanted, take_one
from portal.storage.bucket import BucketStore
from portal.storage.store import Store

AT_ONCE: Final = 16
IN_FLIGHT: Final = 32 * 1024 * 1024  # bytes


class Bucket(BucketStore):
    """What was put has lasted since the server said so. A temp/ it does not need: objects are seen whole or not at all."""

    async def take(self, source: Store, wanted: Sequence[Wanted]) -> list[Lost]:
        """Several at once, because each waits for the network."""
        room, rest, lost = _Room(IN_FLIGHT), iter(wanted), list[Lost]()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(self._take_some(source, rest, room, lost))
        except ExceptionGroup as errors:
            raise _first(errors) from errors
        return lost

    async def _take_some(self, source: Store, rest: Iterator[Wanted], room: _Room, lost: list[Lost]) -> None:
        for wanted in rest:  # shared: each gets the next one
            async with room.of(wanted.bytes):
                found = await take_one(self, source, wanted)
            if found is not None:
                lost.append(found)

    async def free_bytes(self) -> int | None:
        return None


class _Room:
    """So many bytes at once; what is larger than all of it goes alone."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def of(self, size: int) -> AsyncGenerator[None]:
        share = min(size, self._size)
        async with self._changed:
            await self._changed.wait_for(lambda: share <= self._free)
            self._free -= share
        try:
            yield
        finally:
            async with self._changed:
                self._free += share
                self._changed.notify_all()


@functools.lru_cache(maxsize=4)
def bucket_of(url: str, access: tuple[tuple[str, str], ...]) -> Bucket:
    """The same one for the same settings: it keeps its connections. Raises Unavailable for settings that cannot be used."""
    return Bucket(url, access)


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found
