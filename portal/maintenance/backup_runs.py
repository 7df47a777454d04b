"""A job about backups on a page of its own: how far it is, a dry run with the button that does it, what came of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.response import Template

from portal.accounts.guards import confirm_with, needs_password, permit
from portal.backups.destination import destination_of
from portal.backups.kinds import BACKUP_PRUNE, RESTORE
from portal.errors import Conflict, FormError, NotFound, RateLimited
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.lists import JobLine, line_of_job
from portal.jobs.progress import start_job
from portal.maintenance.backup_run_views import run_view
from portal.maintenance.backup_views import JOBS, prune_lines, work
from portal.maintenance.job_lists import line_of
from portal.web.exceptions import wants_json
from portal.web.forms import read_form
from portal.web.job_answers import read_job_id
from portal.web.parameters import PathText, TheActor
from portal.web.refusals import note_refusal
from portal.web.rendering import AnyRequest, page, redirect

_TURNS = {RESTORE: turns.RESTORE, BACKUP_PRUNE: turns.PRUNE}


async def _of_backups(id: str) -> JobLine:
    """Raises NotFound also for jobs about something else."""
    found = await line_of_job(read_job_id(id))
    if found.job.kind not in JOBS:
        raise NotFound("There is no job with this id.")
    return found


async def _inputs(request: AnyRequest, found: JobLine, errors: dict[str, str]) -> dict[str, Any]:
    _, stamp = await work()
    run, settings = run_view(found), request.app.state.settings
    going, staying = await prune_lines(destination_of(settings), run.prune) if run.prune else ([], [])
    shown = {
        "run": run,
        "going": going if run.is_dry else [],
        "staying": staying,
        "each": line_of(found, {}),
        "stamp": stamp,
    }
    return {**shown, "asks": needs_password(request), "errors": errors}


@get("/maintenance/backups/runs/{id:str}", name="backups:run", include_in_schema=False, **permit("admin"))
async def show(request: AnyRequest, id: PathText) -> Template:
    return await page(request, "backups/run.html", **await _inputs(request, await _of_backups(id), {}))


@get("/maintenance/backups/runs/{id:str}/now", name="backups:run_now", include_in_schema=False, **permit("admin"))
async def now(request: AnyRequest, id: PathText) -> Template:
    return await page(request, "backups/_run.html", **await _inputs(request, await _of_backups(id), {}))


@post(
    "/maintenance/backups/runs/{id:str}/apply",
    name="backups:apply",
    status_code=200,
    include_in_schema=False,
    **permit("admin"),
)
async def apply(request: AnyRequest, actor: TheActor, id: PathText) -> Response[Any]:
    """What this dry run has shown, done. The password is asked for again."""
    found = await _of_backups(id)
    if found.job.kind not in _TURNS or found.job.state != "succeeded" or not found.arguments.get("dry_run"):
        raise Conflict("This was no dry run, or it came to nothing. Try first, then do it.")
    fields = await read_form(request)
    try:
        await confirm_with(request, fields.get("current", ""))
    except (FormError, RateLimited) as error:
        if wants_json(request):
            raise
        note_refusal(request, error)
        errors = error.errors if isinstance(error, FormError) else {"current": error.message}
        return await page(
            request, "backups/run.html", status_code=error.status, **await _inputs(request, found, errors)
        )
    return await _start(request, found, actor)


async def _start(request: AnyRequest, found: JobLine, actor: TheActor) -> Response[Any]:
    await refuse_while_running(_TURNS[found.job.kind])
    asked = {name: value for name, value in found.arguments.items() if name != "kept"}
    job_id: UUID = await start_job(found.job.kind, asked | {"dry_run": False}, actor=actor)
    return redirect(request, request.app.route_reverse("backups:run", id=str(job_id)))


router = Router("/", route_handlers=[show, now, apply])
