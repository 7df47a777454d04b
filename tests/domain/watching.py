"""A process that watches and tells, to be killed: `python -m tests.domain.watching <settings, seconds between looks and for a
check as JSON>`."""

from __future__ import annotations

import asyncio
import json
import sys

import asyncpg

from portal import database, settings
from portal.maintenance.health import letters, looking
from portal.maintenance.health.verdict import Health
from portal.storage.store import Store
from tests.waiting import PATIENCE


async def watch(environ: dict[str, str], every: float, seconds: float) -> None:
    looking.look.__defaults__ = (seconds, looking.REST)
    letters.PATIENCE = PATIENCE
    config = settings.load(environ, None)
    database.DB.config = {"dsn": config.database_url}
    database.DB.pool = await asyncpg.create_pool(**database.DB.config, min_size=1, max_size=4)
    await Health(config, Store(config.storage_dir), every=every, first_after=0).run()


if __name__ == "__main__":
    asyncio.run(watch(*json.loads(sys.argv[1])))
