from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from portal import database
from portal.environment import CHECKOUT
from portal.gallery.tasks import gallery_tasks
from portal.jobs.queue import Task
from portal.jobs.worker import Worker
from portal.settings import Settings
from tests.factories import Studio

RunWorker = Callable[..., AbstractAsyncContextManager[Worker]]


@pytest.fixture
def dsn(database_arguments: Mapping[str, Any]) -> str:
    """This test's database as a URL, for other processes."""
    if "dsn" in database_arguments:
        return str(database_arguments["dsn"])
    return "postgresql://{user}@/{database}?host={host}".format_map(database_arguments)


@pytest.fixture
def run_worker(studio: Studio) -> RunWorker:
    """A worker of the gallery's jobs (or of `tasks`) in this process, with a lease of eight seconds."""

    @contextlib.asynccontextmanager
    async def running(tasks: Mapping[str, Task] | None = None, **options: Any) -> AsyncIterator[Worker]:
        options = {"at_once": 4, "lease": timedelta(seconds=8), **options}
        worker = Worker(tasks or gallery_tasks(studio.store, studio.pool), **options)
        worker.start()
        try:
            yield worker
        finally:
            await worker.stop()

    return running


@pytest.fixture
def portal_worker(dsn: str, config: Settings) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a real `portal worker` over this test's database and store."""
    begun: list[subprocess.Popen[bytes]] = []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    environment |= {"PORTAL_DATABASE_URL": dsn, "PORTAL_DATA_DIR": str(config.data_dir), "PORTAL_WORKERS": "1"}

    def start() -> subprocess.Popen[bytes]:
        with (Path(config.data_dir) / f"worker-{len(begun)}.log").open("wb") as log:
            command = [sys.executable, "-m", "portal", "worker"]
            begun.append(subprocess.Popen(command, cwd=CHECKOUT, env=environment, stderr=log))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


async def status_of(image_id: object) -> str:
    return await database.fetch_value("SELECT status FROM image WHERE id = $1", image_id)
