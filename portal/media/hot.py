"""Bytes in memory: objects never change under their key, so what was read once need not be read again."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from portal.errors import Busy, FileRefused, Gone, NotReady
from portal.imaging.pool import ON_DEMAND, RenderPool
from portal.imaging.turnstile import Turnstile
from portal.media.catalogue import Entry, PrintSource, Source
from portal.storage.keys import rendition_key
from portal.storage.store import Store

log = structlog.get_logger()

HOT_BYTES: Final = 64 * 1024 * 1024
MOST_WAITING: Final = 16
AWAITED, FOR_NEXT_TIME = range(2)  # priorities in the slot that makes what is not there yet
_PRINT: Final = "print"


class HotBytes:
    """Pictures by key, those used last, `limit` bytes in all; one that would push out a sixteenth is not kept.

    Beside a picture its ETag, where nobody else knows it.
    """

    def __init__(self, limit: int = HOT_BYTES) -> None:
        self._limit = limit
        self._held = 0
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._etags: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        data = self._pictures.get(key)
        if data is not None:
            self._pictures.move_to_end(key)
        return data

    def etag_of(self, key: str) -> bytes:
        """As it was put together with the picture, which is still held."""
        return self._etags[key]

    def put(self, key: str, data: bytes, etag: bytes | None = None) -> None:
        if len(data) * 16 > self._limit or key in self._pictures:
            return
        self._pictures[key] = data
        self._held += len(data)
        if etag is not None:
            self._etags[key] = etag
        while self._held > self._limit:
            dropped, picture = self._pictures.popitem(last=False)
            self._held -= len(picture)
            self._etags.pop(dropped, None)


async def read_source(source: Source, store: Store, hot: HotBytes) -> bytes:
    """The object's bytes, checked the first time. Raises Gone when they are lost or no longer what was stored."""
    data = hot.get(source.key)
    if data is None:
        try:
            data = await store.read(source.key)
        except Gone:
            log.error("object missing", key=source.key)
            raise
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        if digest != source.sha256:
            log.error("checksum mismatch", key=source.key)
            raise Gone("The bytes of this picture are damaged. It has to be healed from a backup or uploaded again.")
        hot.put(source.key, data)
    return data


class PrintRoom:
    """Print renditions, made when first asked for: in the one slot for such work, and one render however many ask for it."""

    def __init__(self, pool: RenderPool, store: Store, hot: HotBytes, slot: Turnstile) -> None:
        self._pool, self._store, self._hot, self._slot = pool, store, hot, slot
        self._making: dict[str, asyncio.Task[bytes]] = {}

    def has(self, entry: Entry) -> bool:
        """In memory."""
        return entry.current is not None and self._hot.get(_key(entry, entry.current)) is not None

    async def print_of(self, entry: Entry) -> bytes:
        """Raises NotReady, Gone, Busy when too many different ones are asked for."""
        source = entry.print_from
        if entry.current is None or source is None:
            raise NotReady("This picture is being rendered. Ask again in a moment.", retry_after=2)
        key = _key(entry, entry.current)
        return self._hot.get(key) or await self._once(key, lambda: self._make(key, source))

    async def _once(self, key: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        task = self._making.get(key)
        if task is None:
            if len(self._making) >= MOST_WAITING:
                raise Busy("Many pictures are being made for print. Ask again in a moment.", retry_after=5)
            task = self._making[key] = asyncio.ensure_future(make())
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task)

    def _done(self, key: str, task: asyncio.Task[bytes]) -> None:
        del self._making[key]
        if not task.cancelled():
            task.exception()  # retrieved, also when nobody waits any more

    async def _make(self, key: str, source: PrintSource) -> bytes:
        async with self._slot.turn(AWAITED):
            try:
                path = self._store.path_of(source.key)
                wanted = ([_PRINT], source.focal_point, source.edits)
                (rendered,) = await self._pool.render(path, *wanted, priority=ON_DEMAND)
            except FileNotFoundError as error:
                raise Gone("The original of this picture is missing from the store.") from error
            except FileRefused as error:
                raise NotReady("This picture cannot be made for print.") from error
        self._hot.put(key, rendered.data)
        return rendered.data


def _key(entry: Entry, of: tuple[int, int]) -> str:
    return rendition_key(entry.entity_type, entry.image_id, *of, _PRINT)
