"""A million pictures: how long the pages take that show, list and count them. `--million`, or alone with a size, and with a
folder whose portal is kept, and found again by the next run: `python -m bench.million 100000 /tmp/many`."""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.portal_process import PortalProcess
from bench.seeding import seed

IMAGES = 1_000_000
REQUESTS = 40
GOALS_MS = (50, 80)  # of a page, of what is searched for
PAGES = {
    "overview": "/",
    "list of items": "/entities/inventory_items",
    "items without a picture": "/entities/inventory_items?missing=image",
    "items without alt text": "/entities/inventory_items?missing=alt",
    "items too small for print": "/entities/inventory_items?missing=low_resolution",
    "items without a primary picture": "/entities/inventory_items?missing=primary",
    "items by most pictures": "/entities/inventory_items?sort=most",
    "items by last change": "/entities/inventory_items?sort=updated",
    "items too small for print, by last change": "/entities/inventory_items?missing=low_resolution&sort=updated",
    "companies without alt text": "/entities/companies?missing=alt",
    "coverage": "/coverage",
    "next without a picture": "/entity-next/inventory_items?missing=image",
    "next too small for print": "/entity-next/inventory_items?missing=low_resolution&after={entity}",
    "gallery on the way": "/entities/{type}/{entity}?missing=alt",
    "gallery": "/entities/{type}/{entity}",
    "picture": "/images/{image}",
    "trash": "/trash",
    "settings of texts": "/settings/texts",
    "users": "/settings/users",
    "tokens": "/settings/tokens",
    "similar pictures": "/images/{image}/similar",
    "storage": "/maintenance",
    "clean-up's panel": "/maintenance/cleanup",
    "statistics": "/maintenance/statistics",
    "usage": "/maintenance/usage",
    "jobs": "/maintenance/jobs",
    "health": "/maintenance/health",
    "performance": "/maintenance/performance",
    "advice": "/maintenance/advice",
    "audit": "/maintenance/audit",
    "statistics, API": "/api/images/statistics",
    "entities, API": "/api/entities?missing=alt",
    "images, API": "/api/images?type=inventory_items",
    "metrics": "/metrics",
}
SEARCHES = {
    "items as one types": "/entity-results/inventory_items?q=oak+lam&missing=alt",
    "items of an old rule": "/entity-results/inventory_items?q=shop-1",
    "search, rare": "/search?q=SHOP-777",
    "search, common": "/search?q=oak",
    "search, many words": "/search/results?q=oak+lamp+mug+brass",
    "search as one types": "/search/results?q=oak+la",
    "search, what follows": "/search/more?q=oak+la&part=entities",
    "search with filters": "/search/results?q=type:invoices+missing:alt+oak",
    "search by tag and old ids": "/search/results?q=tag:oak+SHOP-12",
    "search by gaps and old ids": "/search/results?q=missing:alt+SHOP-12",
    "quick search": "/search/quick?q=shop-1",
    "targets": "/targets?q=shop-1",
    "search, API": "/api/search?q=oak+la",
}


def measure(images: int = IMAGES, kept: Path | None = None) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        data_dir = (kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))) / "data"
        is_there = data_dir.exists()
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        with PortalProcess(data_dir):
            per_second = 0.0 if is_there else seed(data_dir, images)
        with PortalProcess(data_dir) as portal:  # the first who ask find a portal that has just been started
            portal.get_token()
            pages = {name: _timed(portal, path) for name, path in _paths(portal).items()}
    return {"images": images, "copied_per_second": round(per_second), "pages": pages}


def _paths(portal: PortalProcess) -> dict[str, str]:
    entities = portal.call("GET", "/api/entities?type=inventory_items")["entities"]
    found = next(each for each in entities if each["primary"])
    names = {"type": found["type"], "entity": found["id"], "image": found["primary"]["id"]}
    return {name: path.format(**names) for name, path in {**PAGES, **SEARCHES}.items()}


def _timed(portal: PortalProcess, path: str) -> dict[str, float]:
    """In milliseconds; `first`: what the first who asks waits."""
    times: list[float] = []
    for _ in range(REQUESTS + 1):
        began = time.perf_counter()
        status, body = portal.request("GET", path, headers={"Accept": "text/html"} if "/api/" not in path else {})
        times.append((time.perf_counter() - began) * 1000)
        if status not in (200, 303, 404):
            raise RuntimeError(f"{path}: {status} {body[:200]!r}")
    first, *rest = times
    rest.sort()
    p95 = rest[int(len(rest) * 0.95) - 1]
    return {"status": status, "first": round(first, 1), "p50": round(statistics.median(rest), 1), "p95": round(p95, 1)}


def table(figures: dict[str, Any]) -> str:
    lines = [
        f"{figures['images']:,} pictures, copied in at {figures['copied_per_second']:,} a second. Milliseconds:",
        "",
        "| page | first | p50 | p95 |  |",
        "|---|---|---|---|---|",
    ]
    for name, each in figures["pages"].items():
        goal = GOALS_MS[name in SEARCHES]
        mark = "not there" if each["status"] == 404 else "" if each["p95"] < goal else f"over {goal}"
        lines.append(f"| {name} | {each['first']} | {each['p50']} | {each['p95']} | {mark} |")
    return "\n".join(lines)


if __name__ == "__main__":
    size, *folder = sys.argv[1:] or [str(IMAGES)]
    print(table(measure(int(size), *map(Path, folder))))
