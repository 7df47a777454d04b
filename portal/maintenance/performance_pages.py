"""The page about performance, and the part of it that renews itself while somebody looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Router, get
from litestar.response import Template

from portal import database
from portal.accounts.guards import permit
from portal.histogram import BOUNDS, quantile
from portal.maintenance.performance import STAGES, Performance, Quickness, performance
from portal.maintenance.performance_chart import HourChart, bars_of, lines_of
from portal.web.parameters import TheSettings
from portal.web.rendering import AnyRequest, page

SLOWEST: Final = 12
_NBSP: Final = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table, its times in words."""

    name: str
    requests: int
    errors: int
    mean: str
    p50: str
    p95: str
    p99: str


@dataclass(frozen=True, slots=True)
class Panel:
    """`rate`: requests a second, in the last whole minute. `slowest` and the `rest` of the routes; `minutes` newest first."""

    found: Performance
    at: str
    rate: str
    total: Row
    error_share: float
    requests: HourChart
    times: HourChart
    errors: HourChart
    minutes: list[tuple[str, int, int, Row]]
    slowest: list[Row]
    rest: list[Row]
    stages: list[Row]
    queue_age: str
    connections: tuple[int, int] | None
    connection_wait: str


def panel_of(found: Performance, zone: Any) -> Panel:
    times = [each.at.astimezone(zone).strftime("%H:%M") for each in found.minutes]
    pages = [each.pages for each in found.minutes]
    pool = database.DB.pool
    last = found.minutes[-1]
    return Panel(
        found=found,
        at=found.at.astimezone(zone).strftime("%H:%M:%S"),
        rate=rate_in_words((last.requests) / 60),
        total=_row(found.total),
        error_share=100 * found.total.errors / found.total.requests if found.total.requests else 0.0,
        requests=bars_of(
            [[each.pages.requests / 60 for each in found.minutes], [each.pictures / 60 for each in found.minutes]],
            times,
            rate_in_words,
        ),
        times=lines_of([[getattr(each, share) for each in pages] for share in ("p50", "p95", "p99")], times, in_words),
        errors=bars_of([[float(each.errors) for each in pages]], times, rate_in_words),
        minutes=[
            (time, each.requests, each.pictures, _row(each.pages))
            for time, each in reversed(list(zip(times, found.minutes, strict=True)))
        ],
        slowest=[_row(each) for each in found.routes[:SLOWEST]],
        rest=[_row(each) for each in found.routes[SLOWEST:]],
        stages=[_row(each, STAGES[each.name]) for each in found.stages],
        queue_age=in_words(found.queue_age),
        connections=(pool.get_size() - pool.get_idle_size(), pool.get_max_size()) if pool is not None else None,
        connection_wait=in_words(quantile(database.waits.buckets, 0.95)),
    )


def _row(each: Quickness, name: str | None = None) -> Row:
    said = [in_words(value) for value in (each.mean, each.p50, each.p95, each.p99)]
    return Row(name or each.name, each.requests, each.errors, *said)


def in_words(seconds: float | None) -> str:
    """`4 ms`, `1.2 s`, `3 min`; what lies beyond the last bound is at least that."""
    if seconds is None:
        return "—"
    if seconds == 0:
        return "0"
    if seconds < 0.9995:
        ms = seconds * 1000
        return f"{ms:.1f}{_NBSP}ms" if ms < 9.95 else f"{ms:.0f}{_NBSP}ms"
    if seconds == BOUNDS[-1]:
        return f"10{_NBSP}s or more"
    return f"{seconds:.3g}{_NBSP}s" if seconds < 90 else f"{seconds / 60:.0f}{_NBSP}min"


def rate_in_words(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


@get("/maintenance/performance", name="maintenance:performance", include_in_schema=False, **permit("viewer"))
async def show(request: AnyRequest, settings: TheSettings) -> Template:
    panel = panel_of(await performance(), settings.timezone)
    return await page(request, "maintenance/performance.html", panel=panel)


@get("/maintenance/performance/live", name="maintenance:performance_live", include_in_schema=False, **permit("viewer"))
async def live(request: AnyRequest, settings: TheSettings) -> Template:
    panel = panel_of(await performance(), settings.timezone)
    return await page(request, "maintenance/_performance.html", panel=panel)


router = Router("/", route_handlers=[show, live])
