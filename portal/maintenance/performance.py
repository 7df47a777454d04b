"""How quick the portal is: the minutes that all processes wrote down, summed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from portal import database
from portal.histogram import SIZE, Histogram, quantile
from portal.jobs.queue import QueueCounts, queue_counts
from portal.media.wish import MOUNT

KEPT: Final = timedelta(days=2)
STAGES_KEPT: Final = timedelta(hours=2)
WINDOW: Final = 60  # minutes
PICTURES: Final = f"GET {MOUNT}"
STAGES: Final = {
    "stage verify": "Checking an upload, with its wait",
    "stage wait": "Waiting for a decoder",
    "stage render": "Making a picture’s sizes",
    "stage decode": "of it, decoding",
    "stage resize": "of it, resizing",
    "stage encode": "of it, encoding",
    "store write": "Writing to the store",
    "store adopt": "Taking an original into the store",
    "store read": "Reading from the store",
}

_BUCKETS: Final = f"ARRAY[{', '.join(f'coalesce(sum(buckets[{n}]), 0)::bigint' for n in range(1, SIZE + 1))}]"
_SUMS: Final = (
    f"sum(requests)::bigint AS requests, sum(errors)::bigint AS errors, sum(seconds) AS seconds, {_BUCKETS} AS buckets"
)
_IS_STAGE: Final = "(route LIKE 'stage %' OR route LIKE 'store %')"
# Of stages what is older is summed up in one row each, so that counters never fall and are quick to read.
_BEFORE: Final = "'epoch'::timestamptz"
_NOBODY: Final = "'00000000-0000-0000-0000-000000000000'::uuid"
_MOST: Final = 2**31 - 1
_ADDED: Final = ", ".join(
    f"least(kept.buckets[{n}]::bigint + excluded.buckets[{n}], {_MOST})" for n in range(1, SIZE + 1)
)
_IS_OLD: Final = (
    f"minute > {_BEFORE} AND minute < now() - CASE WHEN {_IS_STAGE} THEN $2::interval ELSE $1::interval END"
)
_FORGET: Final = f"""
    WITH gone AS (
        DELETE FROM request_minute WHERE {_IS_OLD} RETURNING *
    ), folded AS (
        INSERT INTO request_minute AS kept (minute, process, route, requests, errors, seconds, buckets)
        SELECT {_BEFORE}, {_NOBODY}, route, sum(requests), sum(errors), sum(seconds), {_BUCKETS}
        FROM gone WHERE {_IS_STAGE} GROUP BY route
        ON CONFLICT (minute, process, route) DO UPDATE SET
            requests = least(kept.requests::bigint + excluded.requests, {_MOST}),
            errors = kept.errors + excluded.errors, seconds = kept.seconds + excluded.seconds, buckets = ARRAY[{_ADDED}]
    ) SELECT count(*) FROM gone
"""  # noqa: S608 - joined from constants


@dataclass(frozen=True, slots=True)
class Quickness:
    """Of a route, a stage, or a minute. Times in seconds, None where nothing was done; `errors`: ours, 5xx."""

    name: str
    requests: int
    errors: int
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Minute:
    """`pictures` are served ones; `pages` is all the rest, and its times."""

    at: datetime
    pictures: int
    pages: Quickness

    @property
    def requests(self) -> int:
        return self.pictures + self.pages.requests


@dataclass(frozen=True, slots=True)
class Performance:
    """Of the last hour. `minutes` are whole ones, the oldest first; `routes` the slowest first."""

    at: datetime
    minutes: list[Minute]
    total: Quickness
    pictures: int
    routes: list[Quickness]
    stages: list[Quickness]
    processes: int
    queue: QueueCounts
    queue_age: float
    cache_ratio: float | None


async def forget_old_minutes(*, dry_run: bool) -> int:
    """How many rows are (or, in a dry run, would be) removed."""
    if dry_run:
        count = f"SELECT count(*) FROM request_minute WHERE {_IS_OLD}"  # noqa: S608 - constants
        return await database.fetch_value(count, KEPT, STAGES_KEPT)
    return await database.fetch_value(_FORGET, KEPT, STAGES_KEPT)


async def totals_by_stage() -> dict[str, Histogram]:
    """Since ever, in all processes."""
    rows = await database.fetch(f"SELECT route, {_SUMS} FROM request_minute WHERE {_IS_STAGE} GROUP BY route")  # noqa: S608 - constants
    return {row["route"]: _histogram(row) for row in rows}


def _histogram(row: Mapping[str, Any]) -> Histogram:
    found = Histogram()
    found.buckets, found.seconds = list(row["buckets"]), row["seconds"]
    found.classes[2], found.classes[5] = row["requests"] - row["errors"], row["errors"]
    return found


async def performance() -> Performance:
    now: datetime = await database.fetch_value("SELECT clock_timestamp()")
    last = now.replace(second=0, microsecond=0)
    begin = last - timedelta(minutes=WINDOW)
    routes = await _summed("route", begin)
    stages = {each.name: each for each in routes if each.name in STAGES}
    asked = [each for each in routes if each.name.split(" ")[0].isupper()]
    pages = await _summed("minute", begin, f"NOT {_IS_STAGE} AND route <> $2", PICTURES)
    total = await _summed("'all'", begin, f"NOT {_IS_STAGE} AND route <> $2", PICTURES)
    return Performance(
        at=now,
        minutes=_minutes(begin, pages, await _pictures(begin)),
        total=total[0] if total else _nothing("all"),
        pictures=sum(each.requests for each in asked if each.name == PICTURES),
        routes=sorted((each for each in asked if each.requests), key=lambda each: -(each.p95 or 0)),
        stages=[stages.get(name, _nothing(name)) for name in STAGES],
        processes=await database.fetch_value(
            "SELECT count(DISTINCT process) FROM request_minute WHERE minute >= $1", last - timedelta(minutes=1)
        ),
        queue=await queue_counts(),
        queue_age=await database.fetch_value(_QUEUE_AGE),
        cache_ratio=await database.fetch_value(_CACHE_RATIO),
    )


_QUEUE_AGE: Final = """
    SELECT coalesce(extract(epoch FROM now() - min(created)), 0)::float8 FROM pgqueuer
    WHERE status = 'queued' AND execute_after <= now()
"""
_CACHE_RATIO: Final = """
    SELECT (sum(hits)::float8 / nullif(sum(hits + misses), 0)) FROM served_day WHERE day >= (now() AT TIME ZONE 'UTC')::date - 1
"""


async def _summed(by: str, begin: datetime, where: str = "true", *values: str) -> list[Quickness]:
    rows = await database.fetch(
        f"SELECT {by} AS name, {_SUMS} FROM request_minute WHERE minute >= $1 AND {where} GROUP BY 1 ORDER BY 1",  # noqa: S608 - constants
        begin,
        *values,
    )
    return [_quickness(row) for row in rows]


def _quickness(row: Mapping[str, Any]) -> Quickness:
    name, buckets, requests = row["name"], row["buckets"], row["requests"]
    shares = (quantile(buckets, share) for share in (0.5, 0.95, 0.99))
    said = name.isoformat() if isinstance(name, datetime) else name
    return Quickness(said, requests, row["errors"], row["seconds"] / requests if requests else None, *shares)


def _nothing(name: str) -> Quickness:
    return Quickness(name, 0, 0, None, None, None, None)


async def _pictures(begin: datetime) -> dict[str, int]:
    rows = await database.fetch(
        "SELECT minute, sum(requests)::bigint AS requests FROM request_minute WHERE minute >= $1 AND route = $2 GROUP BY minute",
        begin,
        PICTURES,
    )
    return {row["minute"].isoformat(): row["requests"] for row in rows}


def _minutes(begin: datetime, pages: Sequence[Quickness], pictures: Mapping[str, int]) -> list[Minute]:
    known = {each.name: each for each in pages}
    times = [begin + timedelta(minutes=number) for number in range(WINDOW)]
    return [
        Minute(at, pictures.get(at.isoformat(), 0), known.get(at.isoformat(), _nothing(at.isoformat()))) for at in times
    ]
