"""A worker whose render task kills its own process; run as `python -m tests.jobs.killing_worker DSN MARKS`.

Each start leaves a line in MARKS. Ends by itself, with code 0, once nothing is queued or in hand any more.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

from portal import database
from portal.gallery.service import RENDER
from portal.gallery.tasks import give_up_rendering
from portal.jobs.queue import Task
from portal.jobs.worker import Worker
from tests.waiting import eventually


async def main(dsn: str, marks: Path) -> None:
    async def die(payload: dict[str, Any]) -> None:
        with marks.open("a") as file:
            file.write(f"{payload['image']}\n")
        os.kill(os.getpid(), signal.SIGKILL)

    database.DB.config = {"dsn": dsn}
    database.DB.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)
    worker = Worker({RENDER: Task(die, give_up=give_up_rendering)}, at_once=2, lease=timedelta(seconds=60))
    worker.start()
    await eventually(nothing_to_do)
    await worker.stop()
    await database.DB.pool.close()


async def nothing_to_do() -> bool:
    return not await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
