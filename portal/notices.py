"""What the database tells all processes at once (LISTEN), and small caches that stay true because of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, Generic, NoReturn, TypeVar

import asyncpg
import structlog

from portal import database

log = structlog.get_logger()

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
PING_SECONDS: Final = 5  # a connection that dies without a word is found dead after at most twice that
PAUSE_SECONDS: Final = 0.5


class FreshCache(Generic[K, V]):
    """The `size` values used last, read by `load` on a miss. What `load` does not find is not remembered.

    Trusts what it holds only between `trust` and `distrust`; otherwise every `find` loads.
    """

    def __init__(self, load: Callable[[K], Awaitable[V | None]], size: int) -> None:
        self._load = load
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._loading: dict[K, asyncio.Task[V | None]] = {}
        self.is_trusted = False

    async def find(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
            return value
        if not self.is_trusted:
            return await self._load(key)
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._fill(key))
            task.add_done_callback(_heard)
        return await asyncio.shield(task)

    def held(self, key: K) -> V | None:
        """What is held of it now; nothing is loaded."""
        return self._values.get(key)

    async def _fill(self, key: K) -> V | None:
        """Kept only if nothing was heard of the key in the meantime: the value may be of before that."""
        me = asyncio.current_task()
        try:
            value = await self._load(key)
            if value is not None and self._loading.get(key) is me:
                self._values[key] = value
                if len(self._values) > self._size:
                    self._values.popitem(last=False)
            return value
        finally:
            if self._loading.get(key) is me:
                del self._loading[key]

    def forget(self, key: K) -> None:
        self._values.pop(key, None)
        self._loading.pop(key, None)

    def forget_all(self) -> None:
        self._values.clear()
        self._loading.clear()

    def trust(self) -> None:
        self.forget_all()
        self.is_trusted = True

    def distrust(self) -> None:
        self.forget_all()
        self.is_trusted = False


def _heard(task: asyncio.Task[Any]) -> None:
    """Whoever waited may have gone away: their error is nobody's, not an unretrieved one."""
    if not task.cancelled():
        task.exception()


async def listen(channel: str, cache: FreshCache[Any, Any], heard: Callable[[str], None]) -> NoReturn:
    """Call `heard` with each notice's payload, for ever, on a connection of its own; `cache` is trusted while it stands."""
    while True:
        try:
            await _listen_once(channel, cache, heard)
        except (*database.AWAY, OSError, asyncpg.PostgresError) as error:
            log.warning("notices are away", channel=channel, error=str(error) or type(error).__name__)
        await asyncio.sleep(PAUSE_SECONDS)


async def _listen_once(channel: str, cache: FreshCache[Any, Any], heard: Callable[[str], None]) -> None:
    """Until the connection is lost."""

    def receive(_connection: Any, _process: int, _channel: str, payload: object) -> None:
        heard(str(payload))

    lost = asyncio.Event()
    connection = await asyncpg.connect(**database.DB.config)
    try:
        connection.add_termination_listener(lambda _: (cache.distrust(), lost.set()))
        await connection.add_listener(channel, receive)
        cache.trust()
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(lost.wait(), PING_SECONDS)
                return
            await connection.fetchval("SELECT 1", timeout=PING_SECONDS)
    finally:
        cache.distrust()
        connection.terminate()
