"""`python -m tests.attack.watcher URL PID`: until its input ends, how long the portal takes to say that it lives, asked
every 50 ms, and what it needs. In a process of its own, so that what it measures is not this side's own business."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import psutil

from tests.e2e.server import CHECKOUT, RunningPortal

BEAT, LOOK = 0.05, 0.1
NEVER = 1e9


def family(pid: int) -> list[psutil.Process]:
    """The server and its children; the embedded PostgreSQL is nobody's child, and keeps memory bounds of its own."""
    try:
        server = psutil.Process(pid)
        return [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def resident_mb(pid: int) -> float:
    """Pages that several of them share are counted for each."""
    total = 0
    for process in family(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def descriptors(pid: int) -> int:
    """Of those that have not ended since they were listed."""
    total = 0
    for process in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.num_fds()
    return total


def beat(url: str) -> float:
    """Milliseconds."""
    began = time.monotonic()
    parts = urlsplit(url)
    try:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
        connection.request("GET", "/health/live")
        answer = connection.getresponse()
        answer.read()
        connection.close()
    except (OSError, http.client.HTTPException):
        return NEVER
    return 1000 * (time.monotonic() - began) if answer.status == 200 else NEVER


@dataclass(frozen=True)
class Watched:
    """`beats` in milliseconds, ascending; `memory` in MB, in their order."""

    beats: list[float]
    memory: list[float]

    @property
    def p99(self) -> float:
        return self.beats[int(len(self.beats) * 0.99)]

    @property
    def slowest(self) -> float:
        return self.beats[-1]

    @property
    def peak_mb(self) -> float:
        return max(self.memory)

    def __str__(self) -> str:
        return (
            f"heartbeat p99 {self.p99:.0f} ms, slowest {self.slowest:.0f} ms of {len(self.beats)};"
            f" server and children at most {self.peak_mb:.0f} MB"
        )


class Watch:
    """`with Watch(portal) as watch: …`, then `watch.seen`."""

    seen: Watched

    def __init__(self, portal: RunningPortal) -> None:
        assert portal.process is not None
        self._command = [sys.executable, "-m", "tests.attack.watcher", portal.url, str(portal.process.pid)]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, text=True)
        return self

    def __exit__(self, *_: Any) -> None:
        said = self._process.communicate(timeout=60)[0]
        self.seen = Watched(**json.loads(said))


def main(url: str, pid: int) -> None:
    beats: list[float] = []
    memory: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK):
            memory.append(resident_mb(pid))

    def listen() -> None:
        while not over.wait(BEAT):
            beats.append(beat(url))

    threads = [threading.Thread(target=each) for each in (look, listen)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    json.dump({"beats": sorted(beats), "memory": memory}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
