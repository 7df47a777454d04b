"""Restores a backup, for who kills it: `python -m tests.drills.killed_restore DSN DATA BACKUP`. Says when it begins to work."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncpg

from portal import database, settings
from portal.backups.destination import destination_of
from portal.backups.restore import restore_backup
from portal.storage.store import Store
from tests.restoring import ADMIN


async def told(done: int, total: int | None) -> None:
    sys.stdout.write(f"{done} {total}\n")
    sys.stdout.flush()


async def main(dsn: str, data: str, backup_id: str) -> None:
    config = settings.load({"PORTAL_DATA_DIR": data}, None)
    database.DB.config = {"dsn": dsn}
    database.DB.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=4)
    store, destination = Store(Path(config.storage_dir)), destination_of(config)
    await store.open_root()
    await destination.open_root()
    where = {"settings": config, "store": store, "destination": destination}
    how = {"on_conflict": "replace", "dry_run": False, "actor": ADMIN}
    await restore_backup(**where, **how, backup_id=backup_id, report=told)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
