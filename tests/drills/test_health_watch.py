"""A database that stands still is told while it does, by a watch of its own, and once more when it goes on."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil

from portal.environment import CHECKOUT
from tests.drills.traffic import connect, is_healthy, postmaster
from tests.e2e.server import RunningPortal
from tests.receiving import Receiver, receiving
from tests.waiting import eventually


def send(processes: list[psutil.Process], signum: signal.Signals) -> None:
    for process in processes:
        if process.is_running():
            process.send_signal(signum)


async def test_a_database_that_stands_still_is_told_once_and_that_it_goes_on_once(
    portal: RunningPortal, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    server = postmaster(portal)
    with receiving() as receiver:
        environ = {
            "PORTAL_DATA_DIR": str(tmp_path / "data"),
            "PORTAL_DATABASE_URL": portal.database or f"postgresql://portal@/portal?host={socket_of(portal)}",
            "PORTAL_STORAGE_URL": str(portal.storage),
            "PORTAL_ALERT_WEBHOOK": receiver.url,
        }
        watching = start_watching(environ)
        try:
            await eventually(lambda: has_looked(portal))
            processes = [server, *server.children()]
            send(processes, signal.SIGSTOP)
            try:
                await eventually(lambda: told(receiver) == ["critical"])
                assert not await is_healthy(client)
                said = await asyncio.to_thread(portal.complete, "health")
                assert said.returncode == 1
                assert "critical Database: PostgreSQL does not answer." in said.stdout
            finally:
                send(processes[::-1], signal.SIGCONT)
            await eventually(lambda: told(receiver) == ["critical", "ok"])
            await eventually(lambda: is_healthy(client))
        finally:
            watching.kill()
            watching.wait()
        assert told(receiver) == ["critical", "ok"]


def told(receiver: Receiver) -> list[str]:
    """Of the database; what a busy machine makes of the other checks is not looked at here."""
    return [status for check, status in receiver.told() if check == "database"]


def start_watching(environ: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.domain.watching", json.dumps([environ, 0.5, 2.0])]
    return subprocess.Popen(command, cwd=CHECKOUT)


async def has_looked(portal: RunningPortal) -> bool:
    """The portal itself tells nobody: this book is of the process that watches."""
    connection = await connect(portal)
    try:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT 1 FROM portal_state WHERE name = 'alerts')"))
    finally:
        await connection.close()


def socket_of(portal: RunningPortal) -> str:
    return (portal.data_dir / "postgres" / "socket-dir").read_text().strip()
