"""Findings on the page of storage: what is wrong, why we know, and the buttons that look again or make it right."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, Router, get, post
from litestar.response import Template

from portal.accounts.guards import permit
from portal.errors import FormError
from portal.integrity.check import CHECK
from portal.integrity.findings import KINDS
from portal.integrity.recheck import RECHECK
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import start_job
from portal.maintenance import quarantine_pages, repair_api
from portal.maintenance.repair import REPAIR, Selection
from portal.maintenance.repair_api import read_selection
from portal.maintenance.repair_views import findings_panel
from portal.web.forms import read_form, read_form_lists
from portal.web.job_answers import wait_for_job
from portal.web.parameters import PathText, TheActor
from portal.web.rendering import AnyRequest, after, page

PATIENCE: Final = 1.5  # seconds that an answer waits for a short job's end
_CHECKS: Final = {"full": CHECK, "recheck": RECHECK}


async def findings_inputs(request: AnyRequest) -> dict[str, Any]:
    """For the page of storage, whose query may choose a kind."""
    kind = request.query_params.get("kind") or None
    return await _inputs(request, kind if kind in KINDS else None, request.query_params.get("cursor"))


async def _inputs(request: AnyRequest, kind: str | None, cursor: str | None = None) -> dict[str, Any]:
    parts = request.app.state.parts
    return {"findings": await findings_panel(settings=parts.settings, links=parts.links, kind=kind, cursor=cursor)}


@get("/maintenance/findings", name="maintenance:findings", include_in_schema=False, **permit("viewer"))
async def findings(request: AnyRequest) -> Template:
    return await page(request, "maintenance/_findings.html", **await findings_inputs(request))


@post(
    "/maintenance/findings/repair",
    name="maintenance:repair",
    status_code=200,
    include_in_schema=False,
    **permit("admin"),
)
async def repair(request: AnyRequest, actor: TheActor) -> Response[Any]:
    """`one`: this finding; else `do`: try or repair, of the chosen ones where there are some, else of the kind, else all."""
    sent = await read_form_lists(request)
    kind = next(iter(sent.get("kind", [])), "") or None
    one, do = sent.get("one"), next(iter(sent.get("do", [])), "")
    chosen = one or (sent.get("finding") if do != "all" else None)
    if do == "chosen" and not chosen:
        raise FormError({"finding": "Choose at least one finding first."})
    selection = read_selection({"finding_ids": chosen, "kinds": [kind] if kind and not chosen else None})
    return await _start(request, actor, selection, kind, dry_run=do == "try")


@post(
    "/maintenance/findings/{id:str}/adopt",
    name="maintenance:adopt",
    status_code=200,
    include_in_schema=False,
    **permit("admin"),
)
async def adopt(request: AnyRequest, actor: TheActor, id: PathText) -> Response[Any]:
    form = await read_form(request)
    selection = read_selection({"finding_ids": [id], "adopt_into": form.get("entity", "")})
    return await _start(request, actor, selection, form.get("kind") or None, dry_run=False)


async def _start(
    request: AnyRequest, actor: TheActor, selection: Selection, kind: str | None, *, dry_run: bool
) -> Response[Any]:
    await refuse_while_running(turns.REPAIR)
    return await _run(request, REPAIR, {"dry_run": dry_run, **selection.arguments()}, actor, kind)


@post(
    "/maintenance/findings/check",
    name="maintenance:check",
    status_code=200,
    include_in_schema=False,
    **permit("admin"),
)
async def check(request: AnyRequest, actor: TheActor) -> Response[Any]:
    """`how`: full or recheck."""
    form = await read_form(request)
    how = form.get("how", "")
    if how not in _CHECKS:
        raise FormError({"how": "Use full or recheck."})
    if how == "full":
        await refuse_while_running(turns.CHECK)
    return await _run(request, _CHECKS[how], {}, actor, form.get("kind") or None)


async def _run(
    request: AnyRequest, job: str, arguments: dict[str, Any], actor: TheActor, kind: str | None
) -> Response[Any]:
    job_id = await start_job(job, arguments, actor=actor)
    await wait_for_job(job_id, PATIENCE)
    chosen = kind if kind in KINDS else None
    inputs = await _inputs(request, chosen)
    to = request.app.route_reverse("maintenance:show") + (f"?kind={chosen}" if chosen else "") + "#findings"
    return await after(request, "maintenance/_findings.html", to=to, counts=True, takes_focus=True, **inputs)


# with its own API and the way back, so that the portal is told of one router
router = Router("/", route_handlers=[findings, repair, adopt, check, quarantine_pages.router, repair_api.router])
