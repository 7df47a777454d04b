"""Verbs over a schema of its own, beside the portal's tables: the same shape, nothing shared, nothing left open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from portal import database
from portal.jobs import queue

SCHEMA = "drill_of_a_test"
SHAPE = """
    SELECT 'column' AS kind, c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
        || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS said
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
    WHERE c.relnamespace = $1::text::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'index', pg_get_indexdef(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = $1::text::regnamespace
    UNION ALL SELECT 'constraint', conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = $1::text::regnamespace
    UNION ALL SELECT 'trigger', pg_get_triggerdef(t.oid)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = $1::text::regnamespace AND NOT tgisinternal
    UNION ALL SELECT 'function', pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = $1::text::regnamespace
"""


@pytest.fixture
async def schema(db: None) -> AsyncIterator[str]:
    await database.execute(f"CREATE SCHEMA {SCHEMA}")
    yield SCHEMA
    await database.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


async def shape_of(schema: str) -> list[tuple[str, str]]:
    """Asked from within the schema, so that its own names are unqualified."""
    return sorted((row["kind"], row["said"].replace(f"{schema}.", "")) for row in await database.fetch(SHAPE, schema))


async def test_the_migrations_make_the_very_same_tables_in_another_schema(schema: str):
    async with database.elsewhere(schema):
        await queue.migrate()
        made = await shape_of(schema)
    here = await shape_of("public")
    assert len(here) > 700
    assert made == here


async def test_what_is_done_elsewhere_is_unseen_here_and_the_other_way_round(schema: str):
    async def state_of_a_task() -> str | None:
        return await database.fetch_value("SELECT value::text FROM portal_state WHERE name = 'x'")

    await database.execute("INSERT INTO portal_state (name, value) VALUES ('x', '1')")
    async with database.elsewhere(schema):
        await queue.migrate()
        assert await state_of_a_task() is None
        async with database.transaction():
            await database.execute("INSERT INTO portal_state (name, value) VALUES ('x', '2')")
            await queue.enqueue("render", {"image": "none"})
        assert await asyncio.create_task(state_of_a_task()) == "2"
    assert await state_of_a_task() == "1"
    assert await database.fetch_value("SELECT count(*) FROM pgqueuer") == 0


async def test_others_go_on_here_while_one_is_elsewhere(schema: str):
    inside, over = asyncio.Event(), asyncio.Event()

    async def go() -> None:
        async with database.elsewhere(schema):
            inside.set()
            await over.wait()

    going = asyncio.create_task(go())
    await inside.wait()
    assert await database.fetch_value("SELECT current_schema()") == "public"
    over.set()
    await going


async def test_an_open_transaction_cannot_go_elsewhere(schema: str):
    async with database.transaction():
        with pytest.raises(RuntimeError, match="open transaction"):
            async with database.elsewhere(schema):
                pass


async def test_a_missing_table_elsewhere_is_never_looked_for_here(schema: str):
    async with database.elsewhere(schema):
        with pytest.raises(Exception, match='relation "image" does not exist'):
            await database.fetch("SELECT 1 FROM image")


async def test_its_connections_are_closed_after_it(schema: str):
    async with database.elsewhere(schema):
        own = database.DB.pool
    assert own is not database.DB.pool
    assert own.is_closing()
