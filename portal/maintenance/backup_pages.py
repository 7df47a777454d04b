"""The page about all backups: the proof, what lies there, and the buttons that make, prove, clear and bring in."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, Router, get, post
from litestar.response import Template

from portal.accounts.guards import permit
from portal.backups.api import get_complete, start_backup
from portal.backups.destination import destination_of
from portal.backups.kinds import BACKUP_PRUNE, DRILL
from portal.entities.kinds import KINDS
from portal.errors import FormError
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import start_job
from portal.maintenance import backup_page, backup_runs
from portal.maintenance.backup_views import backup_list, is_empty, place, proof_view, seen
from portal.settings import Settings
from portal.web.forms import read_form, read_form_lists
from portal.web.job_answers import wait_for_job
from portal.web.parameters import TheActor, TheSettings
from portal.web.rendering import AnyRequest, Toast, after, page, redirect

PATIENCE: Final = 1.5  # seconds that an answer waits for a short job's end
_LIST: Final = "backups/_list.html"


async def _list_inputs(settings: Settings) -> dict[str, Any]:
    destination = destination_of(settings)
    return {"found": await backup_list(destination), "proof": await proof_view(), "is_empty": await is_empty()}


async def page_inputs(request: AnyRequest, settings: Settings, errors: dict[str, str]) -> dict[str, Any]:
    schedules = request.app.state.parts.schedules()
    lying = await place(destination_of(settings), settings, schedules)
    return {**await _list_inputs(settings), "place": lying, "kinds": list(KINDS.values()), "errors": errors}


@get("/maintenance/backups", name="backups:list", include_in_schema=False, **permit("admin"))
async def show(request: AnyRequest, settings: TheSettings) -> Template:
    return await page(request, "backups/list.html", **await page_inputs(request, settings, {}))


@get("/maintenance/backups/list", name="backups:lines", include_in_schema=False, **permit("admin"))
async def lines(request: AnyRequest, settings: TheSettings) -> Template:
    return await page(request, _LIST, **await _list_inputs(settings))


@get("/maintenance/backups/found", name="backups:found", include_in_schema=False, **permit("admin"))
async def found(request: AnyRequest, settings: TheSettings) -> Template:
    """For an empty portal: what could be restored."""
    lying, _ = await seen(destination_of(settings))
    return await page(request, "backups/_found.html", complete=[each for each in lying if each.complete])


@get("/maintenance/backups/newest", name="backups:newest", include_in_schema=False, **permit("admin"))
async def newest(request: AnyRequest, settings: TheSettings) -> Response[Any]:
    """The newest complete one's page, with what shall be restored filled in; the list where there is none."""
    lying, _ = await seen(destination_of(settings))
    last = next((each for each in lying if each.complete), None)
    if last is None:
        return redirect(request, request.app.route_reverse("backups:list"), toast=Toast("There is no backup yet."))
    query = request.scope.get("query_string", b"").decode("latin-1")
    to = request.app.route_reverse("backups:backup", id=last.id)
    return redirect(request, f"{to}?{query}#restore" if query else f"{to}#restore")


@post("/maintenance/backups", name="backups:create", status_code=200, include_in_schema=False, **permit("admin"))
async def create(request: AnyRequest, settings: TheSettings, actor: TheActor) -> Response[Any]:
    """Of all, or of the types that were ticked; `some` says that some shall be."""
    sent = await read_form_lists(request)
    types = sent.get("type")
    if "some" in sent and not types:
        raise FormError({"type": "Choose at least one type."})
    job_id = await start_backup(types, actor)
    return await _begun(request, settings, job_id)


@post("/maintenance/backups/drill", name="backups:drill", status_code=200, include_in_schema=False, **permit("admin"))
async def drill(request: AnyRequest, settings: TheSettings, actor: TheActor) -> Response[Any]:
    """Of the newest, or of `backup_id`."""
    backup_id = (await read_form(request)).get("backup_id", "")
    if backup_id:
        await get_complete(settings, backup_id)
    await refuse_while_running(turns.DRILL)
    job_id = await start_job(DRILL, {"backup_id": backup_id} if backup_id else {}, actor=actor)
    return await _begun(request, settings, job_id)


async def _begun(request: AnyRequest, settings: Settings, job_id: Any) -> Response[Any]:
    await wait_for_job(job_id, PATIENCE)
    to = request.app.route_reverse("backups:list")
    return await after(request, _LIST, to=to, **await _list_inputs(settings))


@post("/maintenance/backups/prune", name="backups:prune", status_code=200, include_in_schema=False, **permit("admin"))
async def prune(request: AnyRequest, actor: TheActor) -> Response[Any]:
    """What would go, and why the others stay; nothing is changed by it."""
    await refuse_while_running(turns.PRUNE)
    job_id = await start_job(BACKUP_PRUNE, {"dry_run": True}, actor=actor)
    await wait_for_job(job_id, PATIENCE)
    return redirect(request, request.app.route_reverse("backups:run", id=str(job_id)))


router = Router(
    "/", route_handlers=[show, lines, found, newest, create, drill, prune, backup_page.router, backup_runs.router]
)
