"""How the portal fares, over the API; and the shapes in which its pages tell it too."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from litestar import Response, Router, get
from litestar.exceptions import NoRouteMatchFoundException
from litestar.openapi import ResponseSpec

from portal.accounts.guards import permit
from portal.maintenance.health.check import Check, Remedy
from portal.maintenance.health.memory import Verdict
from portal.maintenance.health.verdict import Health
from portal.maintenance.health.words import shown
from portal.web.answers import json_response
from portal.web.parameters import Http


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do, in words. `url` is the page where it is done, or with `method` post the action itself; null: not here."""

    check: str
    words: str
    button: str
    url: str | None
    method: str
    fields: dict[str, str]
    role: str


@dataclass(frozen=True, slots=True)
class CheckView:
    """`severity` is ok, warning, critical or unknown (not known, or not yet); `value` is in `unit`; `since` when so."""

    name: str
    title: str
    severity: str
    value: float | None
    unit: str
    detail: str
    since: dt.datetime
    recommendation: Recommendation | None

    @property
    def shown(self) -> str:
        """The value, for people."""
        return shown(self.value, self.unit)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """`status` is that of the worst check; the worst come first in both lists."""

    status: str
    looked_at: dt.datetime
    checks: list[CheckView]
    recommendations: list[Recommendation]

    @property
    def warnings(self) -> int:
        return self._number("warning")

    @property
    def critical(self) -> int:
        return self._number("critical")

    def _number(self, severity: str) -> int:
        return sum(check.severity == severity for check in self.checks)


def report_of(request: Http, verdict: Verdict) -> HealthReport:
    order = ("critical", "warning", "ok", "unknown")
    checks = sorted((_view(request, check) for check in verdict.checks), key=lambda each: order.index(each.severity))
    recommendations = [each.recommendation for each in checks if each.recommendation is not None]
    return HealthReport(verdict.status, verdict.looked_at, checks, recommendations)


def _view(request: Http, check: Check) -> CheckView:
    remedy = check.recommendation
    return CheckView(
        check.name,
        check.title,
        check.severity,
        check.value,
        check.unit,
        check.detail,
        check.since,
        None if remedy is None else _recommendation(request, check.name, remedy),
    )


def _recommendation(request: Http, name: str, remedy: Remedy) -> Recommendation:
    url = None
    if remedy.route is not None:
        try:
            url = request.app.route_reverse(remedy.route)
        except NoRouteMatchFoundException:  # not in every form of the portal
            url = None
    return Recommendation(name, remedy.words, remedy.button, url, remedy.method, dict(remedy.fields), remedy.role)


@get(
    "/images/health",
    summary="How the portal fares, and what to do",
    description="Each check by itself, at most five seconds old however many ask. Nothing is changed; what is written to try"
    " the disk is gone again. `/health/ready` is for load balancers, this for people and their scripts.",
    responses={200: ResponseSpec(HealthReport, description="Also when something is critical: see `status`")},
    **permit("viewer"),
)
async def health(request: Http) -> Response[bytes]:
    watched: Health = request.app.state.health
    return json_response(200, report_of(request, await watched.verdict()))


router = Router("/api", route_handlers=[health], tags=["maintenance"])
