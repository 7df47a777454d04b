"""`/metrics`, for Prometheus: what all processes have served and have to do, and how this one fares."""

from __future__ import annotations

import asyncio
import hmac
import itertools
import re
from collections.abc import Iterator
from typing import Final

import structlog
from litestar import Response, Router, get
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from portal.accounts.guards import permit
from portal.errors import NotFound, Unauthenticated
from portal.histogram import BOUNDS, Histogram
from portal.maintenance import measures, measures_here
from portal.maintenance.families import Family, gauge
from portal.maintenance.health.verdict import Health
from portal.web.parameters import Http
from portal.web.security import is_loopback

log = structlog.get_logger()

# Whoever sets one of these stands between us and somebody else: as X-Forwarded-For, X-Real-IP, CF-Connecting-IP, Via.
_FORWARDED: Final = re.compile(r".*forwarded.*|.*-ip|x-envoy-.*|via")


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
    families = [*await _of_all(request), *_of_this_process(request), *await asyncio.to_thread(measures_here.memory)]
    registry.register(_Families([_metric(each) for each in families]))
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
    if request.client is None or any(map(_FORWARDED.fullmatch, request.headers)):
        return False
    return is_loopback(request.client.host)


async def _of_all(request: Http) -> list[Family]:
    """From the database, so that every process says the same; without it, that it is away."""
    state = request.app.state
    kinds = tuple(sorted(state.parts.tasks()))
    readers = (
        measures.served,
        lambda: measures.queue(kinds),
        measures.images,
        lambda: measures.disk(state.figures),
        measures.stages,
        measures.schedules,
    )
    try:
        found = [family for read in readers for family in await read()]
    except Exception as error:  # whatever it is: the process's own gauges are all the more wanted now
        log.warning("metrics without database", error=repr(error))
        found = []
    return [gauge("portal_database_up", "1 when the database answers.", 1 if found else 0), *found]


def _of_this_process(request: Http) -> list[Family]:
    state = request.app.state
    watched: Health = state.health
    return [
        *measures_here.requests(state.requests),
        *measures_here.decoders(state.parts.pool, state.intake.in_hand),
        *measures_here.connections(),
        *measures_here.build(),
        *measures.health(watched.kept.checks if watched.kept is not None else ()),
    ]


def _metric(family: Family) -> Metric:
    if family.kind == "histogram":
        found = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, each in family.histograms.items():
            found.add_metric(list(labels), _cumulated(each), each.seconds)
        return found
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for labels, value in family.values.items():
        metric.add_metric(list(labels), value)
    return metric


def _cumulated(each: Histogram) -> list[tuple[str, float]]:
    bounds = [*(floatToGoString(bound) for bound in BOUNDS), "+Inf"]
    return list(zip(bounds, itertools.accumulate(each.buckets), strict=True))


router = Router("/", route_handlers=[metrics])
