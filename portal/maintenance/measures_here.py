"""What this process alone can tell: its requests, its decoders, its connections, its memory."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from portal import database
from portal.histogram import Histogram, Timings
from portal.imaging.pool import RenderPool
from portal.maintenance.families import Family, by_label, gauge, histogram
from portal.web.timing import Requests

_ANSWERS: Final = ("cut off", "1xx", "2xx", "3xx", "4xx", "5xx")
_CHILD: Final = b"portal.imaging.child"


def requests(found: Requests) -> list[Family]:
    routes = sorted(_routes(found.timings))
    answers = {
        (*labels, _ANSWERS[number]): float(count)
        for labels, each in routes
        for number, count in enumerate(each.classes)
        if count
    }
    return [
        Family(
            "portal_http_requests",
            "Requests answered, by route and by class of status.",
            "counter",
            ("method", "route", "status"),
            answers,
        ),
        histogram(
            "portal_http_request_duration_seconds",
            "From when a request has come whole until its answer begins.",
            ("method", "route"),
            routes,
        ),
        gauge("portal_http_requests_in_flight", "Requests under way; pictures out of memory not.", found.in_flight),
        by_label("portal_errors", "Refusals and failures answered, by code.", "code", found.errors, "counter"),
    ]


def _routes(timings: Timings) -> Iterator[tuple[tuple[str, str], Histogram]]:
    for name, each in list(timings.items()):
        method, _, route = name.partition(" ")
        if method.isupper() and each.count:
            yield (method, route), each


def decoders(pool: RenderPool, in_hand: int) -> list[Family]:
    places = pool.places
    return [
        gauge("portal_uploads_in_hand", "Uploads under way in this process.", in_hand),
        by_label(
            "portal_decoders_busy",
            "Pictures being decoded in this process.",
            "lane",
            {lane: taken for lane, (taken, _) in places.items()},
        ),
        by_label(
            "portal_decoders_limit", "How many may be at a time.", "lane", {lane: n for lane, (_, n) in places.items()}
        ),
    ]


def connections() -> list[Family]:
    pool = database.DB.pool
    waits = histogram(
        "portal_database_wait_seconds", "How long one waits for a connection.", (), [((), database.waits.copy())]
    )
    if pool is None:
        return [waits]
    idle = pool.get_idle_size()
    return [
        waits,
        by_label(
            "portal_database_connections",
            "Connections of this process.",
            "state",
            {"in use": pool.get_size() - idle, "idle": idle},
        ),
        gauge("portal_database_connections_limit", "How many there may be.", pool.get_max_size()),
    ]


def memory() -> list[Family]:
    """Of the decoding children, where the system tells; the process's own is the client library's. Blocks."""
    resident = list(_children())
    return [
        gauge("portal_decoder_processes", "Decoding children of this process.", len(resident)),
        gauge("portal_decoder_resident_memory_bytes", "Their resident memory, together.", sum(resident)),
    ]


def _children() -> Iterator[int]:
    """Bytes of each. Linux alone tells."""
    for listed in Path("/proc/self/task").glob("*/children"):
        for pid in _read(listed).split():
            process = Path("/proc") / pid.decode()
            if _CHILD in _read(process / "cmdline").split(b"\0"):
                pages = _read(process / "statm").split()
                yield int(pages[1]) * 4096 if len(pages) > 1 else 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def build() -> list[Family]:
    labels = (version("image-portal"), platform.python_version())
    return [Family("portal_build_info", "Always 1.", labels=("version", "python"), values={labels: 1})]
