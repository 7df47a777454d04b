"""Objects stay in the store for as long as somebody needs all that the rows of one moment name: a backup, a restore.

Who keeps them has a lock alone; who removes shares it until the end of the transaction, and comes later while it is held.
A killed keeper frees it with its connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import asyncpg

from portal import database
from portal.jobs.alone import Hold
from portal.jobs.progress import Later

IN_PLACE: Final = 7_310_023  # an advisory lock's number, unlike those of `alone`
PAUSE: Final = timedelta(seconds=30)


@contextlib.asynccontextmanager
async def objects_in_place() -> AsyncIterator[Hold]:
    """Once removals that are under way have ended. Who has it must not ask again: it would wait for itself."""
    connection = await asyncpg.connect(**database.DB.config)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", IN_PLACE)
        yield Hold(connection)
    finally:
        await connection.close()


async def refuse_while_kept() -> None:
    """In an open transaction: until its end objects may be removed. Raises Later while they are kept in place."""
    if not await database.fetch_value("SELECT pg_try_advisory_xact_lock_shared($1)", IN_PLACE):
        raise Later("A backup or a restore needs all pictures in their places. What nobody owns goes after it.", PAUSE)
