"""Requests as fast as they are answered, by wrk, which costs little beside what it loads."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

SECONDS, ROUNDS = 5, 3


@dataclass(frozen=True)
class Target:
    """What is asked for, by how many connections at once."""

    url: str
    connections: int = 32
    headers: Mapping[str, str] = field(default_factory=dict)


def check_wrk() -> None:
    """Raises RuntimeError without wrk."""
    if shutil.which("wrk") is None:
        raise RuntimeError("make bench needs wrk to load the server: apt-get install wrk")


def in_turns(targets: Mapping[str, Target]) -> dict[str, float]:
    """Requests a second of each: the median of rounds in which all have their turn, so that ratios hold on a busy machine."""
    measured: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(ROUNDS):
        for name, target in targets.items():
            measured[name].append(load(target))
    return {name: statistics.median(each) for name, each in measured.items()}


def load(target: Target) -> float:
    """Requests a second. Raises RuntimeError when any is answered with an error."""
    headers = [word for name, value in target.headers.items() for word in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{target.connections}", f"-d{SECONDS}s", *headers, target.url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    return float(found[1])
