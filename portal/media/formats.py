"""WebP, for who takes it: made when first asked for, and until then the JPEG is good enough."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from uuid import UUID

import structlog

from portal.accounts.pace import Pace
from portal.errors import PortalError
from portal.imaging.pool import ON_DEMAND, RenderPool
from portal.imaging.turnstile import Turnstile
from portal.media.catalogue import Entry, Source
from portal.media.hot import FOR_NEXT_TIME, HotBytes
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
        self,
        pool: RenderPool,
        store: Store,
        cache: Cache,
        hot: HotBytes,
        slot: Turnstile,
        pace: Pace,
        is_there: Callable[[UUID], Awaitable[object]],
    ) -> None:
        self._pool, self._store, self._cache, self._hot, self._slot = pool, store, cache, hot, slot
        self._is_there = is_there
        self._pace = pace
        self._making: dict[str, asyncio.Task[None]] = {}
        self._failed: OrderedDict[str, None] = OrderedDict()

    async def find(self, entry: Entry, size: str) -> tuple[Source, bytes] | None:
        """None when there is none yet."""
        key = _key(entry, size)
        if key is None or key in self._making or key in self._failed:
            return None
        data = self._hot.get(key)
        if data is not None:
            return Source(key, len(data), "", self._hot.etag_of(key), MEDIA_TYPE), data
        kept = await self._cache.find(key)
        if kept is None:
            return None
        etag = f'"{kept.sha256[:32]}-{size}-webp"'.encode()
        self._hot.put(key, kept.data, etag)
        return Source(key, len(kept.data), "", etag, MEDIA_TYPE), kept.data

    def want(self, entry: Entry, size: str, address: str) -> None:
        """There may be one soon. `address` is who asks for what `find` did not find: one alone gets only so many made."""
        key = _key(entry, size)
        if key is None or key in self._making or key in self._failed or len(self._making) >= MOST_WAITING:
            return
        if not self._pace.allows(address):
            return
        task = self._making[key] = asyncio.create_task(self._make(key, entry, size))
        task.add_done_callback(lambda _: self._making.pop(key, None))

    async def _make(self, key: str, entry: Entry, size: str) -> None:
        source = entry.print_from
        assert source is not None
        try:
            async with self._slot.turn(FOR_NEXT_TIME):
                if not await self._cache.has_room() or await self._cache.find(key) is not None:
                    return
                path = self._store.path_of(source.key)
                wanted = ([size], source.focal_point, source.edits)
                (made,) = await self._pool.render(path, *wanted, as_webp=True, priority=ON_DEMAND)
                await self._cache.put(key, made.data)
                if await self._is_there(entry.image_id) is None:
                    await self._cache.forget(entry.entity_type, entry.image_id)
        except (PortalError, OSError, RuntimeError) as error:
            log.warning("no webp", key=key, cause=repr(error.__cause__ or error))
            if isinstance(error, PortalError) and error.status < 500:  # else the next who asks may have it
                self._failed[key] = None
                if len(self._failed) > MOST_FAILED:
                    self._failed.popitem(last=False)


def _key(entry: Entry, size: str) -> str | None:
    if entry.current is None or entry.print_from is None:
        return None
    return cache_key(entry.entity_type, entry.image_id, *entry.current, size)
