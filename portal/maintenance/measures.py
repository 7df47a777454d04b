"""What all processes have done and have to do, read from the database: every process tells the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from portal import database
from portal.histogram import Histogram
from portal.jobs.presence import workers_alive
from portal.jobs.queue import queue_counts
from portal.maintenance.families import Family, by_label, gauge, histogram
from portal.maintenance.figures import Figures
from portal.maintenance.growth import growth
from portal.maintenance.health.check import RANK, Check
from portal.maintenance.performance import totals_by_stage
from portal.maintenance.statistics import stored_figures

_BY_SIZE: Final = ("size", "format")


async def served() -> list[Family]:
    rows = await database.fetch(
        """SELECT preset, format, sum(hits)::bigint AS hits, sum(misses)::bigint AS misses, sum(bytes)::bigint AS bytes
           FROM served_day GROUP BY preset, format ORDER BY preset, format"""
    )
    keys = [(row["preset"], row["format"]) for row in rows]

    def counter(name: str, help: str, *columns: str) -> Family:
        values = [sum(row[column] for column in columns) for row in rows]
        return Family(name, help, "counter", _BY_SIZE, dict(zip(keys, values, strict=True)))

    return [
        counter("portal_served_requests", "Pictures served, 304s included.", "hits", "misses"),
        counter("portal_served_bytes", "Bytes of pictures served.", "bytes"),
        counter("portal_served_cache_hits", "Pictures served out of memory or the cache, or as 304.", "hits"),
        counter("portal_served_cache_misses", "Pictures read from the store, made, or not made yet.", "misses"),
    ]


_QUEUE: Final = """
    SELECT entrypoint AS kind, status::text AS status, count(*) AS jobs,
           extract(epoch FROM now() - min(created) FILTER (WHERE status = 'queued' AND execute_after <= now()))::float8 AS age
    FROM pgqueuer GROUP BY entrypoint, status ORDER BY entrypoint, status
"""
_STATES: Final = {"queued": "waiting", "picked": "active", "failed": "failed"}


async def queue(kinds: tuple[str, ...]) -> list[Family]:
    """`kinds`: those that are known; each is told, also when nothing waits, so that graphs have no gaps."""
    counts = await queue_counts()
    jobs = {(kind, state): 0.0 for kind in kinds for state in _STATES.values()}
    ages = dict.fromkeys(kinds, 0.0)
    for row in await database.fetch(_QUEUE):
        if row["status"] in _STATES:
            jobs[row["kind"], _STATES[row["status"]]] = row["jobs"]
        ages[row["kind"]] = max(ages.get(row["kind"], 0.0), row["age"] or 0.0)
    states = {state: float(getattr(counts, state)) for state in _STATES.values()}
    return [
        by_label("portal_jobs", "Jobs in the queue.", "state", states),
        Family("portal_queue_jobs", "Jobs in the queue, by kind.", labels=("kind", "state"), values=jobs),
        by_label("portal_queue_oldest_seconds", "How long the oldest job that could be taken waits.", "kind", ages),
        gauge(
            "portal_workers_alive",
            "Workers that take jobs and were seen within half a minute.",
            len(await workers_alive()),
        ),
    ]


async def images() -> list[Family]:
    stored = await stored_figures()
    amounts = {**stored.by_status, "trash": stored.trash}
    return [
        by_label(
            "portal_images",
            "Pictures, by status; those in the trash apart.",
            "status",
            {status: amount.count for status, amount in amounts.items()},
        ),
        by_label(
            "portal_original_bytes",
            "Bytes of their originals.",
            "status",
            {status: amount.bytes for status, amount in amounts.items()},
        ),
    ]


async def disk(figures: Figures) -> list[Family]:
    """`days until full` is left out before two weeks are noted, and where nothing grows."""
    parts, now = await figures.parts(), await figures.disk()
    days = (await growth(now)).days_until_full
    found = [
        gauge("portal_disk_free_bytes", "Free on the disk of the pictures.", parts["disk_free"].bytes),
        gauge("portal_disk_size_bytes", "Size of the disk of the pictures.", parts["disk_total"].bytes),
        gauge("portal_cache_bytes", "Bytes in the cache's folder on this machine.", parts["cache"].bytes),
        gauge("portal_cache_files", "Files in the cache's folder on this machine.", parts["cache"].count),
    ]
    if days is not None:
        found.append(gauge("portal_disk_days_until_full", "At the pace of the last weeks.", days))
    return found


async def stages() -> list[Family]:
    totals = await totals_by_stage()
    return [
        histogram(
            "portal_stage_duration_seconds",
            "What a picture costs: verify and wait as an upload sees them; render is decode, resize and encode together.",
            ("stage",),
            _of("stage", totals),
        ),
        histogram(
            "portal_storage_operation_duration_seconds",
            "Operations on the store.",
            ("operation",),
            _of("store", totals),
        ),
        by_label(
            "portal_storage_errors",
            "Operations on the store that failed.",
            "operation",
            {key: each.errors for (key,), each in _of("store", totals)},
            "counter",
        ),
    ]


def _of(sort: str, totals: Mapping[str, Histogram]) -> list[tuple[tuple[str], Histogram]]:
    return [((name.partition(" ")[2],), each) for name, each in sorted(totals.items()) if name.startswith(f"{sort} ")]


async def schedules() -> list[Family]:
    rows = await database.fetch(
        """SELECT schedule, extract(epoch FROM max(finished_at))::float8 AS at FROM job
           WHERE schedule IS NOT NULL AND state = 'succeeded' GROUP BY schedule ORDER BY schedule"""
    )
    return [
        by_label(
            "portal_schedule_last_success_timestamp_seconds",
            "When a schedule's job last ended well.",
            "schedule",
            {row["schedule"]: row["at"] for row in rows},
        )
    ]


def health(checks: Sequence[Check]) -> list[Family]:
    """As the last look has it: nothing is looked at here. What is not known, or not yet, has no value."""
    known = {check.name: float(RANK[check.severity]) for check in checks if check.severity != "unknown"}
    return [by_label("portal_health", "By check: 0 ok, 1 warning, 2 critical.", "check", known)]
