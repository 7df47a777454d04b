"""Gives a picture another file and dies between bytes and row; run as `python -m tests.jobs.killed_replace DSN ROOT IMAGE`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

import asyncpg

from portal import database
from portal.imaging.pool import RenderPool
from portal.storage.store import Store
from tests.factories import Studio


class DeadlyStore(Store):
    async def adopt(self, path: Path, key: str) -> None:
        await super().adopt(path, key)
        os.kill(os.getpid(), signal.SIGKILL)


async def main(dsn: str, root: str, image_id: str) -> None:
    database.DB.config = {"dsn": dsn}
    database.DB.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)
    await Studio(DeadlyStore(Path(root)), RenderPool(1)).replace(UUID(image_id))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
