"""The one engine, its pool, transactions that always give their connection back, and migrations under a lock.

Rows come through Piccolo; statements that Piccolo cannot say (locks, full text, window functions) through `fetch`,
`fetch_row`, `fetch_value` and `execute`, which join the open transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Literal, NamedTuple

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy
from piccolo.apps.migrations.commands.forwards import run_forwards
from piccolo.apps.migrations.tables import Migration
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction

from portal.embedded import EmbeddedServer
from portal.errors import Unavailable
from portal.histogram import Histogram
from portal.patience import INTERRUPTED, USUAL_SECONDS, bounds, given_patience
from portal.patience import REQUEST_SECONDS as REQUEST_SECONDS
from portal.patience import patience as patience
from portal.settings import Settings

log = structlog.get_logger()
Row = Mapping[str, Any]

MIGRATION_LOCK = 7_310_001
LEAST_SERVER_VERSION = 150_000
MIGRATION_SECONDS: Final = 3600.0
# What asyncpg raises when the server is away, restarting or out of reach: a reason to come back, not a defect of ours.
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    FileNotFoundError,  # the socket of a server that is restarting
    TimeoutError,
)


# Two transactions have waited for each other, or one for longer than it may: it has done nothing, and may try again.
CONTENDED = (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
# Rows that no table can hold, beside others or at all.
UNFIT = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.ProgramLimitExceededError)
FULL = asyncpg.DiskFullError
_releasing: set[asyncio.Task[None]] = set()
waits: Final = Histogram()  # for a connection of the pool


class SafeTransaction(PostgresTransaction):
    """Piccolo's transaction keeps its connection when COMMIT fails or the task is cancelled; this one never does.

    asyncpg's own takes what was interrupted for a mistake, and says so where errors go: here it is plain SQL.
    """

    own: Any = None  # a connection that lives longer than the transaction: whose it is closes it

    async def __aenter__(self) -> PostgresTransaction:
        if self._parent is not None:
            return self._parent
        self.connection = self.own or await (_take() if DB.pool is not None else asyncpg.connect(**DB.config))
        try:
            async with bounds():
                await self.begin()
        except BaseException as error:
            await self._let_go(error)
            raise
        self.context = self.engine.current_transaction.set(self)
        return self

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> Literal[False]:
        if self._parent is not None:
            return False
        try:
            await self._end(error)
        except BaseException as trouble:
            error = trouble
            raise
        finally:
            self.engine.current_transaction.reset(self.context)
            await self._let_go(error)
        return False

    async def _let_go(self, error: BaseException | None) -> None:
        if self.own is None:
            await _give_back(self.connection, error)
        elif isinstance(error, INTERRUPTED):
            self.own.terminate()  # it may stand in the middle of a statement

    async def _end(self, error: Any) -> None:
        if self._committed or self._rolled_back or isinstance(error, INTERRUPTED):
            return  # what was interrupted is undone when its connection is given back
        async with bounds():
            await (self.commit() if error is None else self.rollback())

    async def begin(self) -> None:
        await self.connection.execute("BEGIN")

    async def commit(self) -> None:
        await self.connection.execute("COMMIT")
        self._committed = True

    async def rollback(self) -> None:
        await self.connection.execute("ROLLBACK")
        self._rolled_back = True


class _Place(NamedTuple):
    config: dict[str, Any]
    pool: Any


_place: ContextVar[_Place | None] = ContextVar("place", default=None)  # None: the portal's own tables


class SafeEngine(PostgresEngine):
    """Connects only when asked to: importing a table needs no server. `config` and `pool` are those of `elsewhere` inside it."""

    _own = _Place({}, None)

    @property
    def config(self) -> dict[str, Any]:
        return (_place.get() or self._own).config

    @config.setter
    def config(self, value: dict[str, Any]) -> None:
        self._own = self._own._replace(config=value)

    @property
    def pool(self) -> Any:
        return (_place.get() or self._own).pool

    @pool.setter
    def pool(self, value: Any) -> None:  # type: ignore[override] - a property, so that it is another one inside `elsewhere`
        self._own = self._own._replace(pool=value)

    async def check_version(self) -> None:
        return None

    async def prep_database(self) -> None:
        return None

    def transaction(self, allow_nested: bool = True) -> SafeTransaction:
        return SafeTransaction(engine=self, allow_nested=allow_nested)

    async def run_querystring(self, querystring: Any, in_pool: bool = True) -> Any:
        """Piccolo's own statements go through the same door as ours."""
        sql, arguments = querystring.compile_string(engine_type=self.engine_type)
        return await fetch(sql, *arguments)

    async def run_ddl(self, ddl: str, in_pool: bool = True) -> Any:
        return await fetch(ddl)


DB = SafeEngine(config={"database": "portal"})


def transaction() -> SafeTransaction:
    """One transaction; inside another one it joins that. One query at a time inside."""
    return DB.transaction()


@contextlib.asynccontextmanager
async def snapshot() -> AsyncIterator[Any]:
    """A connection of its own, on which every statement sees the moment of the first one and nothing is changed.

    Raises Unavailable, also when the server goes away meanwhile.
    """
    try:
        connection = await asyncpg.connect(**DB.config)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield connection
        finally:
            connection.terminate()
    except AWAY as error:
        raise Unavailable("The database was away meanwhile. Start it again.") from error


@contextlib.asynccontextmanager
async def session() -> AsyncIterator[Callable[[], SafeTransaction]]:
    """`transaction()` as above, but all on one connection: temporary tables last from one to the next, until the end."""
    connection = await asyncpg.connect(**DB.config)

    def on_it() -> SafeTransaction:
        begun = transaction()
        begun.own = connection
        return begun

    try:
        yield on_it
    finally:
        connection.terminate()


def connection_of_transaction() -> Any:
    """The open transaction's connection. Raises RuntimeError outside a transaction."""
    current = DB.current_transaction.get()
    if current is None:
        raise RuntimeError("this needs an open transaction")
    return current.connection


async def _take() -> Any:
    if DB.pool is None:
        raise Unavailable("The database is not connected yet.", retry_after=1)
    began = time.perf_counter()
    async with bounds():
        connection = await DB.pool.acquire()
    waits.add(time.perf_counter() - began)
    return connection


async def _give_back(connection: Any, error: BaseException | None = None) -> None:
    """What was done is done: a server that goes away now costs the connection, not the answer."""
    given = given_patience.get()
    if DB.pool is None or not isinstance(connection, PoolConnectionProxy):
        connection.terminate()
    elif isinstance(error, INTERRUPTED):
        # Useful again once the server has stopped, rolled back and freed its locks; nobody waits for that.
        task = asyncio.create_task(_undo_and_release(DB.pool, connection))
        _releasing.add(task)
        task.add_done_callback(_releasing.discard)
    else:
        await asyncio.shield(_release(DB.pool, connection, given.left if given else USUAL_SECONDS))


async def _undo_and_release(pool: Any, connection: Any) -> None:
    with contextlib.suppress(*AWAY, asyncpg.PostgresError):  # in a failed transaction nothing is answered
        await connection.execute("SELECT 1", timeout=USUAL_SECONDS)  # waits until the server has stopped the other one
    with contextlib.suppress(*AWAY, asyncpg.PostgresError):
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK", timeout=USUAL_SECONDS)
    await _release(pool, connection, USUAL_SECONDS)


async def _release(pool: Any, connection: Any, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's own
    with contextlib.suppress(*AWAY, asyncpg.PostgresError):
        await pool.release(connection, timeout=timeout)


@contextlib.asynccontextmanager
async def _connection() -> AsyncIterator[Any]:
    current = DB.current_transaction.get()
    if current is not None:
        async with bounds():
            yield current.connection
        return
    connection = await _take()
    failure: BaseException | None = None
    try:
        async with bounds():
            yield connection
    except BaseException as error:
        failure = error
        raise
    finally:
        await _give_back(connection, failure)


async def fetch(sql: str, *arguments: Any) -> list[Row]:
    async with _connection() as connection:
        return await connection.fetch(sql, *arguments)


async def fetch_row(sql: str, *arguments: Any) -> Row | None:
    async with _connection() as connection:
        return await connection.fetchrow(sql, *arguments)


async def fetch_value(sql: str, *arguments: Any) -> Any:
    async with _connection() as connection:
        return await connection.fetchval(sql, *arguments)


async def execute(sql: str, *arguments: Any) -> int:
    """Run one statement; the number of rows it touched."""
    async with _connection() as connection:
        status: str = await connection.execute(sql, *arguments)
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


def connection_arguments(settings: Settings, server: EmbeddedServer | None) -> dict[str, Any]:
    """What asyncpg.connect takes to reach the portal's database."""
    if server is not None:
        return {"host": str(server.socket_dir), "user": "portal", "database": "portal", "timeout": 10}
    return {"dsn": settings.database_url, "timeout": 10}


@contextlib.asynccontextmanager
async def open_database(settings: Settings, *, size: int = 8, warm: bool = False) -> AsyncIterator[None]:
    """Start (or adopt) the embedded server where no URL is set, and keep a pool until the end (`warm`: all of it at once).

    Raises Unavailable in one sentence when the server cannot be had.
    """
    server = EmbeddedServer(settings.data_dir) if settings.database_url is None else None
    async with contextlib.AsyncExitStack() as stack:
        if server is not None:
            await asyncio.to_thread(server.start)
            stack.push_async_callback(asyncio.to_thread, server.release)
            watch = asyncio.create_task(server.keep_alive())
            stack.push_async_callback(_cancel, watch)
        DB.config = connection_arguments(settings, server)
        await _check_server()
        DB.pool = await asyncpg.create_pool(**DB.config, min_size=size if warm else 1, max_size=size)
        stack.push_async_callback(_close_pool)
        yield


@contextlib.asynccontextmanager
async def elsewhere(schema: str, *, size: int = 4) -> AsyncIterator[None]:
    """Inside, and in tasks begun there, every statement and connection finds the tables of this schema, and never the
    portal's own; what others do meanwhile is untouched. Advisory locks and notices are the whole database's.

    `migrate` makes its tables. Raises RuntimeError in an open transaction, which would stay where it is.
    """
    if DB.current_transaction.get() is not None:
        raise RuntimeError("an open transaction cannot go elsewhere")
    settings = {**DB.config.get("server_settings", {}), "search_path": schema}
    config = {**DB.config, "server_settings": settings}
    pool = await asyncpg.create_pool(**config, min_size=1, max_size=size)
    mark = _place.set(_Place(config, pool))
    try:
        yield
    finally:
        _place.reset(mark)
        await _close(pool)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _close_pool() -> None:
    pool, DB.pool = DB.pool, None
    if pool is not None:
        await _close(pool)


async def _close(pool: Any) -> None:
    try:
        await asyncio.wait_for(pool.close(), timeout=5)
    except TimeoutError:
        pool.terminate()


async def _check_server() -> None:
    try:
        connection = await asyncpg.connect(**DB.config)
    except (*AWAY, OSError, asyncpg.PostgresError, ValueError) as error:
        raise Unavailable(f"PostgreSQL cannot be reached: {error}") from error
    try:
        version = int(await connection.fetchval("SHOW server_version_num"))
    finally:
        await connection.close()
    if version < LEAST_SERVER_VERSION:
        raise Unavailable(f"PostgreSQL {version // 10_000} is too old: the portal needs 15 or newer.")


async def migrate() -> None:
    """Bring the schema up to date, all or nothing; processes that start together queue for one lock."""
    # Piccolo finds the app by this module, whatever the current folder is.
    os.environ.setdefault("PICCOLO_CONF", "piccolo_conf")
    guard = await asyncpg.connect(**DB.config)
    try:
        await guard.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        output = io.StringIO()
        with contextlib.redirect_stdout(output), patience(MIGRATION_SECONDS):
            async with transaction():
                await Migration.create_table(if_not_exists=True)  # Piccolo looks for it in `public` alone
                result = await run_forwards("all")
                if not result.success:
                    raise Unavailable(f"The database could not be migrated: {result.message}")
        log.debug("migrated", output=output.getvalue())
    finally:
        await guard.close()
