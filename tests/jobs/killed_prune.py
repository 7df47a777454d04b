"""Prunes copies of a folder of backups, and dies in each at another point; `python -m tests.jobs.killed_prune DSN FROM TO SEED…`.

Each seed has a copy TO/<seed> of its own, and a child that is killed in it; says how each child ended.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups.destination import Folder
from portal.backups.retention import prune_backups
from portal.settings import Keep
from portal.storage.disk import Disk
from portal.storage.store import Store

KEEP = Keep(last=2)
CALLS = 110  # of unlink and fsync that a whole pruning of these does, roughly


class DeadlyDisk(Disk):
    """Its n-th call of those that change something never comes back."""

    def __init__(self, deadly: int) -> None:
        self._left = deadly
        self.unlink = self._counted(os.unlink)  # type: ignore[method-assign] - what stands there is a function
        self.fsync = self._counted(os.fsync)  # type: ignore[method-assign] - as above

    def _counted(self, call: Any) -> Any:
        def counted(*arguments: Any, **more: Any) -> None:
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            call(*arguments, **more)

        return counted


async def prune(dsn: str, folder: Path, deadly: int) -> None:
    database.DB.config = {"dsn": dsn}
    database.DB.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=3)
    place = Folder(folder)
    place.store = Store(folder, DeadlyDisk(deadly))
    await prune_backups(destination=place, keep=KEEP, zone=ZoneInfo("UTC"), actor=SYSTEM, dry_run=False)
    await database.DB.pool.close()


def main(dsn: str, template: str, copies: str, *seeds: str) -> None:
    for seed in seeds:
        folder = Path(copies) / seed
        shutil.copytree(template, folder)
        child = os.fork()
        if child == 0:
            asyncio.run(prune(dsn, folder, random.Random(seed).randrange(CALLS)))
            os._exit(0)
        sys.stdout.write(f"{seed} {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
