"""A process that holds a standstill as a restore does, until it is told to end, or killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.e2e.server import CHECKOUT

BACKUP = "2026-11-23T055012Z-4f2a1b"
_HOLD = f"""
import asyncio, sys
from portal import database, settings
from portal.audit.actors import SYSTEM
from portal.jobs.alone import RESTORE, alone
from portal.jobs.standstill import standing_still

async def hold():
    async with database.open_database(settings.load()), alone(RESTORE):
        async with standing_still(actor=SYSTEM, backup_id={BACKUP!r}):
            print("standing", flush=True)
            await asyncio.to_thread(sys.stdin.read)

asyncio.run(hold())
"""


@contextmanager
def standstill(environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Of the portal with this environment; ends in order with the block, unless it was killed before."""
    command = [sys.executable, "-c", _HOLD]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=CHECKOUT, env=dict(environment), text=True, **pipes) as process:  # type: ignore[call-overload] - pipes alone
        assert process.stdout is not None
        assert process.stdout.readline() == "standing\n"
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
