"""The engine: transactions that give their connection back, an audit that only grows, constraints that hold."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from portal import database
from portal.tables import Audit, Entity
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("db")
# A transaction with a row in this table takes a minute to commit.
SLOW_COMMIT = """
CREATE FUNCTION pg_temp.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION pg_temp.slow()"""


async def idle_connections() -> int:
    assert database.DB.pool is not None
    return database.DB.pool.get_idle_size()


async def test_failed_commit_gives_the_connection_back() -> None:
    await database.fetch_value("SELECT 1")
    before = await idle_connections()
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.transaction():
            await database.execute("CREATE TEMP TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP")
            await database.execute("INSERT INTO t VALUES (1), (1)")
    assert await idle_connections() == before
    assert database.DB.current_transaction.get() is None


async def test_cancelled_transaction_gives_the_connection_back_and_keeps_nothing() -> None:
    await database.fetch_value("SELECT 1")

    async def never_ends() -> None:
        async with database.transaction():
            await Entity.insert(Entity(type="customers", id="1", name="Gone"))
            await asyncio.sleep(60)

    task = asyncio.create_task(never_ends())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await Entity.count() == 0


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(60)", "SELECT 1", "COMMIT"])
async def test_what_is_interrupted_is_undone_without_a_word(statement: str, caplog: pytest.LogCaptureFixture) -> None:
    """In the middle of a statement, between two of them, and while it is committed."""
    await database.fetch_value("SELECT 1")
    before = await idle_connections()
    begun = asyncio.Event()

    async def never_ends() -> None:
        async with database.transaction():
            await database.execute("CREATE TEMP TABLE slow (a int) ON COMMIT DROP")
            await database.execute(SLOW_COMMIT)
            await Entity.insert(Entity(type="customers", id="1", name="Gone"))
            begun.set()
            if statement == "COMMIT":
                await database.execute("INSERT INTO slow VALUES (1)")
                return
            await database.execute(statement)
            await asyncio.sleep(60)

    task = asyncio.create_task(never_ends())
    await begun.wait()
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: database.DB.pool is not None and database.DB.pool.get_idle_size() == before)
    assert (await Entity.count(), caplog.messages) == (0, [])


async def test_audit_refuses_change_and_removal() -> None:
    await Audit.insert(Audit(actor="system", action="test", subject_type="portal", subject_id="1"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await database.execute("UPDATE audit SET actor = 'somebody else'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await database.execute("DELETE FROM audit")
    assert await Audit.count() == 1


async def test_a_request_does_not_wait_for_a_server_that_does_not_answer() -> None:
    with database.patience(0.3):
        with pytest.raises(TimeoutError):
            await database.fetch_value("SELECT pg_sleep(60)")
        with pytest.raises(TimeoutError):  # it has no patience left
            await database.fetch_value("SELECT pg_sleep(60)")
    assert await database.fetch_value("SELECT 1") == 1


async def test_an_answer_renews_the_patience() -> None:
    with database.patience(4):
        for _ in range(9):
            await database.fetch_value("SELECT pg_sleep(0.5)")


async def test_a_transaction_that_waits_too_long_is_undone_and_its_connection_replaced() -> None:
    with pytest.raises(TimeoutError), database.patience(0.5):
        async with database.transaction():
            await Entity.insert(Entity(type="customers", id="1", name="Gone"))
            await Entity.raw("SELECT pg_sleep(60)")
    assert database.DB.current_transaction.get() is None
    assert await Entity.count() == 0
    # the server does not go on with it behind our back, where it would keep its locks
    await asyncio.wait_for(Entity.insert(Entity(type="customers", id="1", name="Next")), PATIENCE)


async def test_a_request_that_finds_every_connection_taken_is_told_so() -> None:
    assert database.DB.pool is not None
    most = database.DB.pool.get_max_size()
    taken = [await database.DB.pool.acquire() for _ in range(most)]
    try:
        with pytest.raises(TimeoutError), database.patience(0.3):
            await database.fetch_value("SELECT 1")
    finally:
        for connection in taken:
            await database.DB.pool.release(connection)
    assert await database.fetch_value("SELECT 1") == 1
