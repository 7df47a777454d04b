"""Is what was asked for being done, does it succeed, and how long do people wait?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from portal import database
from portal.histogram import quantile
from portal.jobs.presence import workers
from portal.jobs.queue import BULK
from portal.maintenance.health.check import RANK, Found, Here, Remedy, Severity
from portal.maintenance.health.thresholds import (
    BULK_WAIT,
    CACHE,
    FAILED,
    LEAST_FAILED,
    LEAST_REQUESTS,
    LEAST_SERVED,
    SILENCE,
    SLOW,
    USUAL_WAIT,
)
from portal.maintenance.health.words import count, span
from portal.maintenance.job_words import kind_in_words

JOBS: Final = "maintenance:jobs"
MOST_NAMED: Final = 3  # kinds that are paused

_WAITING: Final = """
    SELECT entrypoint AS kind, priority <= $1 AS is_bulk, count(*) AS jobs,
           extract(epoch FROM now() - min(greatest(created, execute_after)))::float8 AS seconds,
           EXISTS (SELECT 1 FROM pgqueuer_log AS l WHERE l.entrypoint = q.entrypoint AND l.status = 'successful'
                   AND l.created > now() - interval '15 minutes') AS is_moving
    FROM pgqueuer AS q
    WHERE status = 'queued' AND execute_after <= now()
      AND NOT EXISTS (SELECT 1 FROM job_pause AS p WHERE p.kind IN (q.entrypoint, 'all'))
    GROUP BY 1, 2
"""


async def check_queue(here: Here) -> Found:
    """The oldest that could be taken, by kind. A queue that moves is long, not stuck: that calls nobody."""
    rows = await database.fetch(_WAITING, BULK)
    hint = _pauses_in_words([row["kind"] for row in await database.fetch("SELECT kind FROM job_pause ORDER BY kind")])
    if not rows:
        return Found("ok", f"Nothing waits.{hint}", 0, "waiting")
    row = max(rows, key=lambda each: (RANK[_judge(each)], each["seconds"]))
    severity, jobs = _judge(row), sum(each["jobs"] for each in rows)
    kind = kind_in_words(row["kind"]) + (", of an import" if row["is_bulk"] else "")
    detail = f"{count(jobs, 'job')} waiting, the oldest ({kind}) for {span(row['seconds'])}.{hint}"
    words = "Run more workers, or wait." if row["is_moving"] else "See whether a worker runs, and what it is at."
    remedy = None if severity == "ok" else Remedy(words, "Open jobs", JOBS)
    return Found(severity, detail, round(row["seconds"]), "s", remedy)


def _pauses_in_words(kinds: Sequence[str]) -> str:
    if not kinds:
        return ""
    if "all" in kinds:
        return " All jobs are paused."
    if len(kinds) > MOST_NAMED:
        return f" {len(kinds)} kinds of jobs are paused."
    return f" Paused: {', '.join(map(kind_in_words, kinds))}."


def _judge(row: Mapping[str, Any]) -> Severity:
    severity = (BULK_WAIT if row["is_bulk"] else USUAL_WAIT).judge(row["seconds"] / 60)
    return "warning" if severity == "critical" and row["is_moving"] else severity


async def check_failed(here: Here) -> Found:
    """Of the last day; what was tried again and went well does not count any more. A refused file is no failure."""
    failed = await database.fetch_value(
        """SELECT (SELECT count(*) FROM pgqueuer WHERE status = 'failed' AND updated > now() - interval '1 day')
                + (SELECT count(*) FROM job WHERE state = 'failed' AND finished_at > now() - interval '1 day'
                   AND error ->> 'code' <> 'failed' AND NOT EXISTS (SELECT 1 FROM job AS r WHERE r.retry_of = job.id))"""
    )
    if failed < LEAST_FAILED:
        return Found("ok", f"{count(failed, 'job')} failed in the last day.", failed, "failed")
    done = await database.fetch_value(
        "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful' AND created > now() - interval '1 day'"
    )
    percent = 100 * failed / (failed + done)
    severity = FAILED.judge(percent)
    detail = f"{count(failed, 'job')} failed in the last day, {done:,} went well."
    remedy = Remedy("See why, and try them again.", "See what failed", JOBS)
    return Found(severity, detail, round(percent, 1), "%", None if severity == "ok" else remedy)


async def check_workers(here: Here) -> Found:
    """Each tells every ten seconds that it lives, and that it ends when it ends in order."""
    found = await workers()
    alive = [each for each in found if each.is_alive]
    if alive:
        return Found("ok", f"{count(len(alive), 'worker')} at work.", len(alive), "alive")
    if not found:
        return Found("unknown", "Not yet: no worker has told that it lives.")
    last = found[0]
    remedy = Remedy("Start one: portal worker, or portal serve without --no-worker.", "Open jobs", JOBS)
    if last.state == "stopped":
        return Found(
            "warning", f"No worker runs: the last ended in order {span(last.seconds)} ago.", 0, "alive", remedy
        )
    severity = SILENCE.judge(last.seconds)
    return Found(severity, f"The last worker fell silent {span(last.seconds)} ago.", 0, "alive", remedy)


async def check_requests(here: Here) -> Found:
    """What people wait for: what all processes have read out in the last quarter of an hour, pictures left out, which
    are many and quick. Uploads take as long as they are large."""
    counted = await database.fetch(
        """SELECT sum(counted)::bigint AS counted FROM request_minute, unnest(buckets) WITH ORDINALITY AS b (counted, bucket)
           WHERE minute > now() - interval '15 minutes' AND route LIKE 'GET /%' AND route <> 'GET /api/images/serve'
           GROUP BY bucket ORDER BY bucket"""
    )
    buckets = [row["counted"] for row in counted]
    seconds = quantile(buckets, 0.95)
    if seconds is None or sum(buckets) < LEAST_REQUESTS:
        return Found("unknown", "Not yet: in the last 15 minutes there were too few requests to tell.")
    ms = 1000 * seconds
    severity = SLOW.judge(ms)
    detail = f"Of {sum(buckets):,} in the last 15 minutes, 95 of 100 were answered within {ms:,.0f} ms."
    words = "Look which pages are slow, and what the database and the disk are busy with."
    remedy = Remedy(words, "See what is slow", "maintenance:performance")
    return Found(severity, detail, round(ms), "ms", None if severity == "ok" else remedy)


async def check_cache(here: Here) -> Found:
    row = await database.fetch_row(
        """SELECT coalesce(sum(hits), 0)::bigint AS hits, coalesce(sum(misses), 0)::bigint AS misses FROM served_day
           WHERE day >= (now() AT TIME ZONE 'UTC')::date - 1"""
    )
    assert row is not None
    served = row["hits"] + row["misses"]
    if served < LEAST_SERVED:
        return Found("unknown", f"Not yet: {count(served, 'picture')} served since yesterday are too few to tell.")
    percent = 100 * row["hits"] / served
    severity = CACHE.judge(percent)
    detail = f"Of {served:,} pictures served since yesterday, {percent:.0f} % came out of memory or the cache."
    words = "Give the cache more room (PORTAL_CACHE_MAX_MB), or set a cache in front."
    remedy = Remedy(words, "See usage", "maintenance:usage")
    return Found(severity, detail, round(percent), "%", None if severity == "ok" else remedy)
