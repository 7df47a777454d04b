"""Imports a folder and dies while its third picture is stored; run as `python -m tests.jobs.killed_import DSN DATA FOLDER`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg

from portal import database, settings
from portal.audit.actors import SYSTEM
from portal.backups.folders import import_folder
from portal.imaging.pool import RenderPool
from portal.storage.store import Store


class DeadlyStore(Store):
    left = 2

    async def adopt(self, path: Path, key: str) -> None:
        await super().adopt(path, key)
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


async def main(dsn: str, data: str, folder: str) -> None:
    database.DB.config = {"dsn": dsn}
    database.DB.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)
    config = settings.load({"PORTAL_DATA_DIR": data, "PORTAL_WORKERS": "1"}, None)
    parts = {"settings": config, "store": DeadlyStore(config.storage_dir), "pool": RenderPool(1)}
    await import_folder(folder=Path(folder), dry_run=False, actor=SYSTEM, **parts)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
