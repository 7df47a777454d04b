"""The page about health: what is wrong first, each with what to do; who is told; and the panel beside storage."""

from __future__ import annotations

from typing import Any

from litestar import Router, get, post
from litestar.response import Response, Template

from portal import database
from portal.accounts.guards import permit
from portal.audit.service import record
from portal.maintenance.health.letters import NotTold
from portal.maintenance.health.verdict import Health
from portal.maintenance.health_api import report_of
from portal.web.parameters import TheActor
from portal.web.rendering import AnyRequest, Toast, after, page

ALERT_FRAGMENT = "maintenance/_health_alerts.html"


async def health_inputs(request: AnyRequest) -> dict[str, Any]:
    """What `_health_panel.html` needs."""
    return {"health_panel": await _report(request)}


async def _report(request: AnyRequest) -> Any:
    watched: Health = request.app.state.health
    return report_of(request, await watched.verdict())


@get("/maintenance/health", name="maintenance:health", include_in_schema=False, **permit("viewer"))
async def show(request: AnyRequest) -> Template:
    watched: Health = request.app.state.health
    report, alerts = await _report(request), await watched.alerts.correspondence()
    return await page(request, "maintenance/health.html", report=report, alerts=alerts)


@get("/maintenance/health/checks", name="maintenance:health_checks", include_in_schema=False, **permit("viewer"))
async def checks(request: AnyRequest) -> Template:
    return await page(request, "maintenance/_health.html", report=await _report(request))


@get("/maintenance/health/panel", name="maintenance:health_panel", include_in_schema=False, **permit("viewer"))
async def panel(request: AnyRequest) -> Template:
    return await page(request, "maintenance/_health_panel.html", **await health_inputs(request))


@post("/maintenance/health/test-alert", name="maintenance:test_alert", include_in_schema=False, **permit("admin"))
async def test_alert(request: AnyRequest, actor: TheActor) -> Response[Any]:
    watched: Health = request.app.state.health
    try:
        await watched.alerts.send_test()
    except NotTold as error:
        said, was_taken = f"The test was not taken: {error}.", False
    else:
        said, was_taken = "The test was taken. Look whether it has arrived.", True
    async with database.transaction():
        await record(actor, "alert.test", "portal", "alerts", after={"taken": was_taken})
    alerts = await watched.alerts.correspondence()
    to = request.app.route_reverse("maintenance:health")
    return await after(request, ALERT_FRAGMENT, to=to, toast=Toast(said), alerts=alerts)


router = Router("/", route_handlers=[show, checks, panel, test_alert])
