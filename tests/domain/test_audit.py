from __future__ import annotations

import json
from datetime import UTC, datetime

import asyncpg
import pytest

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.audit.queries import history_of
from portal.audit.service import record, request_id

ANA = Actor("user:ana@example.com", "editor")


async def test_history_is_newest_first_and_tells_before_and_after(db: None) -> None:
    async with database.transaction():
        await record(ANA, "image.add", "image", "1")
        await record(ANA, "image.describe", "image", "1", before={"alt_text": None}, after={"alt_text": "A chair"})
        await record(SYSTEM, "image.add", "image", "2")
    history = await history_of("image", "1")
    assert [(entry.actor, entry.action) for entry in history] == [
        ("user:ana@example.com", "image.describe"),
        ("user:ana@example.com", "image.add"),
    ]
    assert (history[0].before, history[0].after) == ({"alt_text": None}, {"alt_text": "A chair"})
    assert (history[1].before, history[1].after) == (None, None)
    assert len(await history_of("image", "1", limit=1)) == 1


async def test_a_line_belongs_to_the_transaction_of_its_deed(db: None) -> None:
    with pytest.raises(RuntimeError):
        await record(ANA, "image.add", "image", "1")


async def test_a_deed_that_fails_leaves_no_line(db: None) -> None:
    async def fail() -> None:
        async with database.transaction():
            await record(ANA, "image.add", "image", "1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await history_of("image", "1") == []


async def test_values_that_json_does_not_know_are_kept_as_text(db: None) -> None:
    async with database.transaction():
        await record(ANA, "token.add", "token", "1", after={"expires_at": datetime(2030, 1, 1, tzinfo=UTC)})
    (entry,) = await history_of("token", "1")
    assert entry.after == {"expires_at": "2030-01-01 00:00:00+00:00"}
    assert json.dumps(entry.after)


async def test_a_line_carries_the_request_that_made_it(db: None) -> None:
    mark = request_id.set("r-1")
    try:
        async with database.transaction():
            await record(ANA, "image.add", "image", "1")
    finally:
        request_id.reset(mark)
    assert await database.fetch_value("SELECT request_id FROM audit") == "r-1"


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "DELETE FROM audit_change"]
)
async def test_nobody_rewrites_the_audit_by_accident(db: None, statement: str) -> None:
    async with database.transaction():
        await record(ANA, "image.add", "image", "1", after={})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.execute(statement)
