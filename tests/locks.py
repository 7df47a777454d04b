"""Who waits, and what is held, in this worker's database: those of the others are on the same server."""

from __future__ import annotations

from typing import Final

from portal import database

OURS: Final = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"  # of pg_locks


async def how_many_wait() -> int:
    """For any lock."""
    return await database.fetch_value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )


async def somebody_waits() -> bool:
    return await how_many_wait() > 0
