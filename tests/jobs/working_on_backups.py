"""Works on backups when told so, and never ends; `python -m tests.jobs.working_on_backups DSN DATA_DIR VERB BACKUP_ID`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncpg

from portal import database, settings
from portal.audit.actors import SYSTEM
from portal.backups.create import create_backup
from portal.backups.destination import destination_of
from portal.backups.retention import prune_backups
from portal.backups.verify import verify_backup
from portal.storage.store import Store


async def for_ever(done: int, total: int | None) -> None:
    sys.stdout.write("at it\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def main(dsn: str, data_dir: str, verb: str, backup_id: str) -> None:
    database.DB.config = {"dsn": dsn}
    database.DB.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=3)
    config = settings.load({"PORTAL_DATA_DIR": str(Path(data_dir))}, None)
    place = destination_of(config)
    await asyncio.to_thread(sys.stdin.readline)
    if verb == "verify":
        await verify_backup(destination=place, backup_id=backup_id, report=for_ever)
    if verb == "create":
        about = {"settings": config, "store": Store(config.storage_dir), "actor": SYSTEM}
        await create_backup(**about, report=for_ever)
    if verb == "prune":
        keep = {"keep": config.backup_keep, "zone": config.timezone, "actor": SYSTEM, "dry_run": False}
        await prune_backups(destination=place, **keep, report=for_ever)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
