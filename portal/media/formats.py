"""WebP, for who takes it: made when first asked for, and until then the JPEG is good enough."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from uuid import UUID

import structlog

from portal.errors import PortalError
from portal.imaging.pool import RenderPool
from portal.media.catalogue import Entry, Source
from portal.media.hot import HotBytes
from portal.storage.cache import Cache
from portal.storage.keys import cache_key
from portal.storage.store import Store

log = structlog.get_logger()

MEDIA_TYPE: Final = b"image/webp"
MOST_WAITING: Final = 16
MOST_FAILED: Final = 10_000  # keys of which it is known that they can't be made


def takes_webp(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Does Accept name it? `*/*` alone does not: scripts send that, and mean nothing by it."""
    for name, value in headers:
        if name == b"accept" and MEDIA_TYPE in value:
            return any(_is_wanted(part) for part in value.split(b","))
    return False


def _is_wanted(part: bytes) -> bool:
    name, *parameters = (each.strip() for each in part.split(b";"))
    return name == MEDIA_TYPE and not any(each.replace(b" ", b"") in _NEVER for each in parameters)


_NEVER: Final = frozenset({b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"})


class WebpRoom:
    """Finds WebP renditions; what is not there is made behind everything else, one at a time, once however many ask.

    `is_there` tells whether an image still is: one that is deleted meanwhile leaves nothing behind.
    """

    def __init__(
        self, pool: RenderPool, store: Store, cache: Cache, hot: HotBytes, is_there: Callable[[UUID], Awaitable[object]]
    ) -> None:
        self._pool, self._store, self._cache, self._hot = pool, store, cache, hot
        self._is_there = is_there
        self._slot = asyncio.Semaphore(1)
        self._making: dict[str, asyncio.Task[None]] = {}
        self._failed: OrderedDict[str, None] = OrderedDict()

    async def find(self, entry: Entry, size: str) -> tuple[Source, bytes] | None:
        """None when there is none yet, after which there may be one soon."""
        if entry.current is None or entry.print_from is None:
            return None
        key = cache_key(entry.entity_type, entry.image_id, *entry.current, size)
        if key in self._making or key in self._failed:
            return None
        data = self._hot.get(key) or await self._cache.find(key)
        if data is None:
            self._want(key, entry, size)
            return None
        self._hot.put(key, data)
        etag = f'"{hashlib.sha256(data).hexdigest()[:32]}-{size}-webp"'.encode()
        return Source(key, len(data), "", etag, MEDIA_TYPE), data

    def _want(self, key: str, entry: Entry, size: str) -> None:
        if key in self._making or len(self._making) >= MOST_WAITING:
            return
        task = self._making[key] = asyncio.create_task(self._make(key, entry, size))
        task.add_done_callback(lambda _: self._making.pop(key, None))

    async def _make(self, key: str, entry: Entry, size: str) -> None:
        source = entry.print_from
        assert source is not None
        try:
            async with self._slot:
                path = self._store.path_of(source.key)
                (made,) = await self._pool.render(path, [size], source.focal_point, source.edits, as_webp=True)
                await self._cache.put(key, made.data)
                if await self._is_there(entry.image_id) is None:
                    await self._cache.forget(entry.entity_type, entry.image_id)
        except (PortalError, OSError, RuntimeError) as error:
            log.warning("no webp", key=key, cause=repr(error.__cause__ or error))
            if isinstance(error, PortalError) and error.status < 500:  # else the next who asks may have it
                self._failed[key] = None
                if len(self._failed) > MOST_FAILED:
                    self._failed.popitem(last=False)
