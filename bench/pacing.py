"""`python -m bench.pacing URL`: asks RATE times a second until its input ends, then prints how long the answers took.

A process of its own, so that what else the benchmark does is not in its times.
"""

from __future__ import annotations

import http.client
import json
import select
import subprocess
import sys
import time
from typing import Any, Self
from urllib.parse import urlsplit

RATE = 200


class Paced:
    """`with Paced(url) as paced: …`, then `paced.milliseconds`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.milliseconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.pacing", self._url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.milliseconds = json.loads(self._process.communicate()[0])


def main() -> None:
    address, times = urlsplit(sys.argv[1]), list[float]()
    connection = http.client.HTTPConnection(address.netloc, timeout=60)
    due = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        times.append(_ask(connection, f"{address.path}?{address.query}"))
        due = max(due + 1 / RATE, time.monotonic())
    print(json.dumps(_figures(times)))


def _ask(connection: http.client.HTTPConnection, path: str) -> float:
    begun = time.monotonic()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status}")
    return 1000 * (time.monotonic() - begun)


def _figures(times: list[float]) -> dict[str, Any]:
    ordered = sorted(times)
    return {
        "count": len(ordered),
        "p50": round(ordered[len(ordered) // 2], 2),
        "p99": round(ordered[int(len(ordered) * 0.99)], 2),
    }


if __name__ == "__main__":
    main()
