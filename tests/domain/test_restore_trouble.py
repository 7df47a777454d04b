"""What fails under a restore, and none of its own steps: it ends as a sentence, and all is as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from portal import database
from portal.errors import DiskFull
from portal.gallery.tasks import purge_objects
from tests.restoring import Bench, furnish

_FULL = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$
"""


@asynccontextmanager
async def full_disk() -> AsyncIterator[None]:
    """PostgreSQL says in the middle of the switch what it says then."""
    await database.execute(_FULL)
    await database.execute("CREATE TRIGGER full_disk BEFORE INSERT ON image_version EXECUTE FUNCTION full_disk()")
    try:
        yield
    finally:
        await database.execute("DROP FUNCTION full_disk CASCADE")


async def test_a_full_disk_of_the_database_is_said_and_takes_all_of_it_back(bench: Bench) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    await bench.wipe()
    before = await bench.state()
    async with full_disk():
        with pytest.raises(DiskFull, match="database's disk is full"):
            await bench.ask(root, dry_run=False)
    await purge_objects({}, store=bench.store)
    assert await bench.state() == before
    await bench.restore(root)
