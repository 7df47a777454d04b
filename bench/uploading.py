"""Uploads of 12 MP photographs until all renditions are ready, one and eight at a time; memory and page times meanwhile."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.portal_process import PortalProcess

COUNTS = {1: 12, 8: 48}
MANY, WARM_UP, STEP = 1000, 100, 100


def measure(portal: PortalProcess, photos: Sequence[Path]) -> dict[str, Any]:
    portal.get_token()
    portal.call("PUT", "/api/entities/inventory_items/BENCH", {"name": "Bench"})
    pictures = [photo.read_bytes() for photo in photos]
    portal.upload("BENCH", pictures[0], wait=60)  # warms the children up
    idle = portal.memory_mb()
    with _Watch(portal) as watch:
        runs = [run_uploads(portal, pictures, at_once, count) for at_once, count in COUNTS.items()]
    return {"runs": runs, "idle_mb": idle, "peak_mb": watch.peak_mb, "page_p99_ms": watch.p99_ms()}


def run_uploads(portal: PortalProcess, pictures: Sequence[bytes], at_once: int, count: int) -> dict[str, Any]:
    """Until all are ready."""
    cpu, begun = portal.cpu_seconds(), time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        uploads = itertools.islice(itertools.cycle(pictures), count)
        images = list(pool.map(lambda data: portal.upload("BENCH", data, wait=60), uploads))
    seconds = time.monotonic() - begun
    unready = [image["status"] for image in images if image["status"] != "ready"]
    if unready:
        raise RuntimeError(f"{len(unready)} of {count} did not become ready: {unready[0]}")
    cpu = portal.cpu_seconds() - cpu
    return {"at_once": at_once, "per_second": round(count / seconds, 1), "cpu_s": round(cpu / count, 3)}


def measure_many(portal: PortalProcess, photos: Sequence[Path]) -> dict[str, Any]:
    """Does memory grow? Eight at a time; of each hundred uploads after the first the median, as every single picture
    moves it up and down."""
    pictures = [photo.read_bytes() for photo in photos]
    medians: list[float] = []
    with _Watch(portal) as watch:
        begun = time.monotonic()
        for _ in range(MANY // STEP):
            watch.memory.clear()
            run_uploads(portal, pictures, 8, STEP)
            medians.append(statistics.median(watch.memory))
        seconds = time.monotonic() - begun
    steady = medians[WARM_UP // STEP :]
    return {
        "count": MANY,
        "per_second": round(MANY / seconds, 1),
        "memory_mb": [round(min(steady)), round(max(steady))],
        "grown_mb": round(steady[-1] - steady[0]),
        "peak_mb": watch.peak_mb,
    }


class _Watch:
    """Memory ten times a second, and how long a list page takes while all else goes on."""

    def __init__(self, portal: PortalProcess) -> None:
        self._portal = portal
        self._over = threading.Event()
        self.peak_mb = 0
        self.memory: list[int] = []
        self._pages: list[float] = []

    def __enter__(self) -> _Watch:
        self._threads = [threading.Thread(target=each) for each in (self._memory, self._page)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _memory(self) -> None:
        while not self._over.wait(0.1):
            self.memory.append(self._portal.memory_mb())
            self.peak_mb = max(self.peak_mb, self.memory[-1])

    def _page(self) -> None:
        while not self._over.wait(0.05):
            begun = time.monotonic()
            self._portal.request("GET", "/entities/inventory_items")
            self._pages.append(time.monotonic() - begun)

    def p99_ms(self) -> float:
        ordered = sorted(self._pages)
        return round(1000 * ordered[int(len(ordered) * 0.99)], 1)
