"""Renditions that are made only when somebody asks for them: WebP, AVIF where it is smaller, and the print size."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

import structlog

from portal.accounts.pace import Pace
from portal.errors import FileRefused, Gone, NotReady, PortalError, Unavailable
from portal.imaging.pool import ON_DEMAND, RenderPool
from portal.imaging.render import Rendered
from portal.imaging.turnstile import Turnstile
from portal.media.accept import MEDIA_TYPES, Better
from portal.media.catalogue import Entry, Source
from portal.media.hot import HotBytes
from portal.storage.cache import Cache
from portal.storage.keys import CacheFormat, cache_key
from portal.storage.store import Store

log = structlog.get_logger()
_T = TypeVar("_T")

AWAITED, FOR_NEXT_TIME = range(2)  # priorities in the slot
MOST_WAITING: Final = 16
MOST_REMEMBERED: Final = 10_000
TRIED_AGAIN: Final = 600.0  # seconds: the decoder's end may have been the machine's fault, not the picture's
_PRINT: Final = "print"
_TYPES: Final[dict[CacheFormat, bytes]] = {**MEDIA_TYPES, "jpg": b"image/jpeg"}


class Made(NamedTuple):
    source: Source
    data: bytes


class MadeRoom:
    """Finds them in memory and in the cache. What is not there is made behind everything else, one at a time on this machine,
    once however many ask.

    A picture's WebP and AVIF are made together and the AVIF is put first: where there is a WebP alone, AVIF does not pay.
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
        self._making, self._printing = _Once[None](), _Once[Made | None]()
        self._never: dict[
            str, float
        ] = {}  # keys of what does not pay or can't be made, and until when that is believed

    async def find_better(self, entry: Entry, size: str, takes: Sequence[Better]) -> Made | Literal["jpeg", "later"]:
        """`takes`: liked best first. "jpeg" where none of them pays, "later" where there may be one."""
        webp = _key(entry, size, "webp")
        if webp is None or webp in self._making or self._is_never(webp):
            return "later"
        avif = webp.removesuffix("webp") + "avif"
        for format in takes:
            made = await self._find(avif if format == "avif" else webp, format)
            if made is not None:
                is_second = format == "webp" and takes[0] == "avif"
                return await self._late_avif(avif) or made if is_second else made
        if "webp" in takes or await self._find(webp, "webp") is None:
            return "later"
        return await self._late_avif(avif) or "jpeg"

    async def _late_avif(self, key: str) -> Made | None:
        """Looked for once more, now that there is a WebP: it may have been put between the two looks."""
        made = await self._find(key, "avif")
        if made is None:
            self._remember(key)
        return made

    def want(self, entry: Entry, size: str, address: str) -> None:
        """There may be better ones soon. `address` is who asks for what was not found: one alone gets only so many made."""
        key = _key(entry, size, "webp")
        if key is None or key in self._making or self._is_never(key) or len(self._making) >= MOST_WAITING:
            return
        if self._pace.allows(address):
            self._making.begin(key, self._make_better(key, entry, size))

    async def find_print(self, entry: Entry) -> Made | None:
        """Raises NotReady."""
        return await self._find(_print_key(entry), "jpg")

    async def make_print(self, entry: Entry, address: str | None) -> Made | None:
        """None where the decoder refuses, or a stranger (who has an `address`) asks for too much.

        Raises NotReady, Gone, Unavailable.
        """
        key = _print_key(entry)
        if self._is_never(key):
            return None
        is_free = key in self._printing or address is None
        if not is_free and (len(self._printing) >= MOST_WAITING or not self._pace.allows(address or "")):
            return None
        return await asyncio.shield(self._printing.begin(key, self._make_print(key, entry)))

    async def _find(self, key: str, format: CacheFormat) -> Made | None:
        if self._is_never(key):
            return None
        data = self._hot.get(key)
        if data is not None:
            return Made(Source(key, len(data), "", self._hot.etag_of(key), _TYPES[format]), data)
        kept = await self._cache.find(key)
        return None if kept is None else self._held(key, kept.data, kept.sha256)

    def _held(self, key: str, data: bytes, sha256: str) -> Made:
        """From now on in memory."""
        size, _, format = key.rpartition("-")[2].partition(".")
        etag = f'"{sha256[:32]}-{size}-{format}"'.encode()
        data = self._hot.put(key, data, etag)
        return Made(Source(key, len(data), "", etag, _TYPES[format]), data)  # type: ignore[index] - a key of ours ends so

    async def _make_better(self, key: str, entry: Entry, size: str) -> None:
        try:
            async with self._turn(FOR_NEXT_TIME) as is_kept:
                if not is_kept or await self._cache.find(key) is not None:
                    return
                for made in reversed(await self._render(entry, size, modern=True)):
                    format = made.media_type.removeprefix("image/")
                    await self._keep(entry, key.removesuffix("webp") + format, made.data)
        except (PortalError, OSError, RuntimeError) as error:
            log.warning("no better format", key=key, cause=repr(error.__cause__ or error))
            if isinstance(error, PortalError) and error.status < 500:  # else the next who asks may have it
                self._remember(key, TRIED_AGAIN)

    async def _make_print(self, key: str, entry: Entry) -> Made | None:
        async with self._turn(AWAITED) as is_kept:
            kept = await self._cache.find(key)
            if kept is not None:
                return self._held(key, kept.data, kept.sha256)
            try:
                (made,) = await self._render(entry, _PRINT, modern=False)
            except FileNotFoundError as error:
                raise Gone("The original of this picture is missing from the store.") from error
            except OSError as error:
                raise Unavailable(
                    "The original of this picture can't be read at the moment.", retry_after=30
                ) from error
            except FileRefused as error:
                log.warning("no print", key=key, cause=repr(error.__cause__ or error))
                self._remember(key, TRIED_AGAIN)
                return None
            if is_kept:
                with contextlib.suppress(OSError, PortalError):  # then it is made again after a restart, or swept
                    await self._keep(entry, key, made.data)
        return self._held(key, made.data, hashlib.sha256(made.data).hexdigest())

    @contextlib.asynccontextmanager
    async def _turn(self, priority: int) -> AsyncGenerator[bool]:
        """Says whether what is made can be kept."""
        async with self._slot.turn(priority), contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._cache.turn())
                is_kept = await self._cache.has_room()
            except OSError as error:
                log.warning("no cache", cause=repr(error))
                is_kept = False
            yield is_kept

    async def _render(self, entry: Entry, size: str, *, modern: bool) -> list[Rendered]:
        source = entry.print_from
        assert source is not None  # else there is no key
        path = self._store.path_of(source.key)
        wanted = ([size], source.focal_point, source.edits)
        how: dict[str, Any] = {"changes": source.presets, "modern": modern, "priority": ON_DEMAND}
        return await self._pool.render(path, *wanted, **how)

    async def _keep(self, entry: Entry, key: str, data: bytes) -> None:
        await self._cache.put(key, data)
        self._never.pop(key, None)
        if await self._is_there(entry.image_id) is None:
            await self._cache.forget(entry.entity_type, entry.image_id)

    def _is_never(self, key: str) -> bool:
        until = self._never.get(key)
        return until is not None and time.monotonic() < until

    def _remember(self, key: str, seconds: float = math.inf) -> None:
        self._never[key] = time.monotonic() + seconds
        if len(self._never) > MOST_REMEMBERED:
            del self._never[next(iter(self._never))]


class _Once(Generic[_T]):
    """What is being made, by key: begun once however many ask."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[_T]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, key: str, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = self._tasks.get(key)
        if task is not None:
            work.close()  # it was not started
            return task
        task = self._tasks[key] = asyncio.create_task(work)
        task.add_done_callback(lambda done: self._end(key, done))
        return task

    def _end(self, key: str, task: asyncio.Task[_T]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # retrieved, also when nobody waits any more


def _key(entry: Entry, size: str, format: CacheFormat) -> str | None:
    if entry.current is None or entry.print_from is None:
        return None
    return cache_key(entry.entity_type, entry.image_id, *entry.current, size, format)


def _print_key(entry: Entry) -> str:
    """Raises NotReady."""
    key = _key(entry, _PRINT, "jpg")
    if key is None:
        raise NotReady("This picture is being rendered. Ask again in a moment.", retry_after=2)
    return key
