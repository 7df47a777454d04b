"""A portal as people run it: `portal serve` in a process of its own, on a free port, over a data directory of its own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from portal.embedded import EmbeddedServer
from tests.ports import free_port
from tests.waiting import PATIENCE

CHECKOUT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


class RunningPortal:
    """`start`, `stop` and `kill` may be called in turn; port and data stay the same. `command` is what `start` runs."""

    def __init__(self, data_dir: Path | None = None, **settings: str) -> None:
        # directly below /tmp: where root runs the tests, the embedded server's user must be able to pass
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix="portal-e2e-", dir="/tmp"))
        self.command = [sys.executable, "-m", "portal", "serve"]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = _make_database(self.data_dir.name)
        outside = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        own = {"PORTAL_DATA_DIR": str(self.data_dir), "PORTAL_PORT": str(self.port), "PORTAL_GRACE_MINUTES": "0"}
        if self.database:
            own["PORTAL_DATABASE_URL"] = self.database
        self.environment = outside | own | settings
        self.storage = Path(self.environment.get("PORTAL_STORAGE_URL") or self.data_dir / "uploads" / "images")
        self.process: subprocess.Popen[str] | None = None
        self.log: IO[str] = (self.data_dir / "server.log").open("w+")
        self.said = ""

    def start(self) -> RunningPortal:
        """Returns once the portal answers; `said` is what it printed by then."""
        self.process = subprocess.Popen(
            self.command,
            cwd=CHECKOUT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        assert "The portal is at" in first, f"the portal did not start:\n{self.logged()}"
        self.said = first
        return self

    def setup_link(self) -> str:
        """The one-time link, which a portal without accounts prints after its address."""
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+/setup\?token=\S+", line)
        assert found, line
        return found[0]

    def run(self, *words: str) -> str:
        """Another `portal` command beside the running server; its output."""
        done = self.complete(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def complete(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "portal", *words]
        return subprocess.run(command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, timeout=300)

    def execute(self, statement: str) -> None:
        """What no page does, as making yesterday of today."""
        if self.database:
            return _execute(statement, dsn=self.database)
        server = EmbeddedServer(self.data_dir)
        server.start()
        try:
            _execute(statement, host=str(server.socket_dir), user="portal", database="portal")
        finally:
            server.release()

    def logged(self) -> str:
        return (self.data_dir / "server.log").read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self._await_end()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self._await_end()

    def _await_end(self) -> None:
        assert self.process is not None
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def remove(self) -> None:
        self.stop()
        self.log.close()
        _drop_database(self.database)
        shutil.rmtree(self.data_dir, ignore_errors=True)


def _make_database(name: str) -> str | None:
    """A database of this run's own on the server that the environment names; None: the portal's embedded one."""
    url = os.environ.get("PORTAL_TEST_DATABASE_URL")
    if not url:
        return None
    _execute(f'CREATE DATABASE "{name}"', dsn=url)
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _drop_database(url: str | None) -> None:
    if url:
        name = urlsplit(url).path.removeprefix("/")
        _execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', dsn=os.environ["PORTAL_TEST_DATABASE_URL"])


def _execute(statement: str, **place: Any) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(**place)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    # a thread of its own: the browser's synchronous interface holds a running loop in this one
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, run()).result(PATIENCE)


def wait_until_gone(url: str, seconds: float = PATIENCE) -> None:
    """Until nothing listens there."""
    parts = urlsplit(url)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex((str(parts.hostname), int(parts.port or 80))):
                return
        time.sleep(0.05)
    raise AssertionError(f"{url} still answers")
