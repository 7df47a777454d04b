"""`/metrics`, for Prometheus: what all processes have served and have to do, and how this one fares."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterator
from typing import Final

import structlog
from litestar import Response, Router, get
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from portal import database
from portal.accounts.guards import permit
from portal.errors import NotFound, Unauthenticated
from portal.gallery.intake import Intake
from portal.imaging.pool import RenderPool
from portal.jobs.queue import queue_counts
from portal.maintenance.health.check import RANK
from portal.maintenance.health.verdict import Health
from portal.maintenance.figures import Figures
from portal.maintenance.statistics import stored_figures
from portal.web.parameters import Http
from portal.web.security import is_loopback

log = structlog.get_logger()

# Whoever sets one of these stands between us and somebody else.
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
_BY_SIZE: Final = ["size", "format"]


class _Families:
    """What was read already, as a collector."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


@get(
    "/metrics",
    name="maintenance:metrics",
    include_in_schema=False,
    **permit("public"),
)
async def metrics(request: Http) -> Response[bytes]:
    """To callers on this machine that come without a proxy; to others with PORTAL_METRICS_TOKEN as bearer token."""
    refuse_strangers(request)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([*await _of_all(request), *_of_this_process(request), _health(request)]))
    ProcessCollector(registry=registry)
    body = await asyncio.to_thread(generate_latest, registry)
    return Response(body, media_type="text/plain; version=0.0.4", headers={"Cache-Control": "no-store"})


def refuse_strangers(request: Http) -> None:
    """Raises Unauthenticated where a token would help, else NotFound."""
    token: str | None = request.app.state.settings.metrics_token
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token is not None and scheme.lower() == "bearer":
        if hmac.compare_digest(given.strip().encode(), token.encode()):
            return
        raise Unauthenticated("This is not the token of PORTAL_METRICS_TOKEN.")
    if _is_of_this_machine(request):
        return
    if token is None:
        raise NotFound("There is no such page.")
    raise Unauthenticated("Send PORTAL_METRICS_TOKEN as: Authorization: Bearer …")


def _is_of_this_machine(request: Http) -> bool:
    """By the socket's peer, and only where nothing says that it asks for somebody else."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    return is_loopback(request.client.host)


async def _of_all(request: Http) -> list[Metric]:
    """From the database, so that every process says the same; without it, that it is away."""
    figures: Figures = request.app.state.figures
    is_up = GaugeMetricFamily("portal_database_up", "1 when the database answers.")
    try:
        found = [*await _served(), await _queue(), *await _images(figures)]
    except Exception as error:  # whatever it is: the process's own gauges are all the more wanted now
        log.warning("metrics without database", error=repr(error))
        found = []
    is_up.add_metric([], 1 if found else 0)
    return [is_up, *found]


async def _served() -> list[Metric]:
    rows = await database.fetch(
        """SELECT preset, format, sum(hits)::bigint AS hits, sum(misses)::bigint AS misses, sum(bytes)::bigint AS bytes
           FROM served_day GROUP BY preset, format ORDER BY preset, format"""
    )
    requests = CounterMetricFamily("portal_served_requests", "Pictures served, 304s included.", labels=_BY_SIZE)
    sent = CounterMetricFamily("portal_served_bytes", "Bytes of pictures served.", labels=_BY_SIZE)
    hits = CounterMetricFamily(
        "portal_served_cache_hits", "Pictures served out of memory or the cache, or as 304.", labels=_BY_SIZE
    )
    misses = CounterMetricFamily(
        "portal_served_cache_misses", "Pictures read from the store, made, or not made yet.", labels=_BY_SIZE
    )
    for row in rows:
        labels = [row["preset"], row["format"]]
        requests.add_metric(labels, row["hits"] + row["misses"])
        sent.add_metric(labels, row["bytes"])
        hits.add_metric(labels, row["hits"])
        misses.add_metric(labels, row["misses"])
    return [requests, sent, hits, misses]


async def _queue() -> Metric:
    counts = await queue_counts()
    jobs = GaugeMetricFamily("portal_jobs", "Jobs in the queue.", labels=["state"])
    for state in ("waiting", "active", "failed"):
        jobs.add_metric([state], getattr(counts, state))
    return jobs


async def _images(figures: Figures) -> list[Metric]:
    stored = await stored_figures()
    images = GaugeMetricFamily("portal_images", "Pictures, by status; those in the trash apart.", labels=["status"])
    size = GaugeMetricFamily("portal_original_bytes", "Bytes of their originals.", labels=["status"])
    for status, amount in [*stored.by_status.items(), ("trash", stored.trash)]:
        images.add_metric([status], amount.count)
        size.add_metric([status], amount.bytes)
    return [images, size]


def _of_this_process(request: Http) -> list[Metric]:
    intake: Intake = request.app.state.intake
    pool: RenderPool = request.app.state.parts.pool
    uploads = GaugeMetricFamily("portal_uploads_in_hand", "Uploads under way in this process.", value=intake.in_hand)
    busy = GaugeMetricFamily("portal_decoders_busy", "Pictures being decoded in this process.", labels=["lane"])
    limit = GaugeMetricFamily("portal_decoders_limit", "How many may be at a time.", labels=["lane"])
    for lane, (taken, places) in pool.places.items():
        busy.add_metric([lane], taken)
        limit.add_metric([lane], places)
    return [uploads, busy, limit]


def _health(request: Http) -> Metric:
    """As the last look has it: nothing is looked at here. What is not known, or not yet, has no value."""
    watched: Health = request.app.state.health
    health = GaugeMetricFamily("portal_health", "By check: 0 ok, 1 warning, 2 critical.", labels=["check"])
    for check in watched.kept.checks if watched.kept is not None else ():
        if check.severity != "unknown":
            health.add_metric([check.name], RANK[check.severity])
    return health


router = Router("/", route_handlers=[metrics])
