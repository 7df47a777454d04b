"""Seconds from the command to the first answer of /health/ready: with nothing there, and with a warm data directory."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from bench.portal_process import PortalProcess

AGAIN = 3


def measure(data_dir: Path) -> dict[str, Any]:
    with PortalProcess(data_dir) as portal:
        first = portal.start_seconds
    again: list[float] = []
    for _ in range(AGAIN):
        with PortalProcess(data_dir) as portal:
            again.append(portal.start_seconds)
    return {"first_s": round(first, 2), "again_s": round(statistics.median(again), 2)}
