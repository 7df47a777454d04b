"""The engine: transactions that give their connection back, an audit that only grows, constraints that hold."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from portal import database
from portal.tables import Audit, Entity

pytestmark = pytest.mark.usefixtures("db")


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


async def test_audit_refuses_change_and_removal() -> None:
    await Audit.insert(Audit(actor="system", action="test", subject_type="portal", subject_id="1"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await database.execute("UPDATE audit SET actor = 'somebody else'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await database.execute("DELETE FROM audit")
    assert await Audit.count() == 1
