"""Storage and room on the page about them: twelve weeks, what can go, and the forms that look and clean up."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, Router, get, post
from litestar.response import Template

from portal.accounts.guards import permit
from portal.audit.actors import Actor
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import start_job
from portal.maintenance.cleanup import CLEANUP
from portal.maintenance.figures import Figures
from portal.maintenance.room import room
from portal.maintenance.storage_view import storage_view
from portal.web.job_answers import wait_for_job
from portal.web.parameters import TheActor
from portal.web.rendering import AnyRequest, after, page

PATIENCE: Final = 1.5  # seconds that an answer waits for a short job's end
_FRAGMENT: Final = "maintenance/_cleanup.html"


async def storage_inputs(request: AnyRequest) -> dict[str, Any]:
    figures: Figures = request.app.state.figures
    return {"storage": await storage_view(await figures.parts(), await figures.disk())}


async def cleanup_inputs(request: AnyRequest) -> dict[str, Any]:
    return {"cleanup": await room()}


@get("/maintenance/storage", name="maintenance:storage", include_in_schema=False, **permit("viewer"))
async def storage(request: AnyRequest) -> Template:
    return await page(request, "maintenance/_storage.html", **await storage_inputs(request))


@get("/maintenance/cleanup", name="maintenance:cleanup", include_in_schema=False, **permit("viewer"))
async def cleanup(request: AnyRequest) -> Template:
    return await page(request, _FRAGMENT, **await cleanup_inputs(request))


@post("/maintenance/cleanup/look", name="maintenance:look", status_code=200, include_in_schema=False, **permit("admin"))
async def look(request: AnyRequest, actor: TheActor) -> Response[Any]:
    """A dry run."""
    return await _start(request, actor, dry_run=True)


@post("/maintenance/cleanup", name="maintenance:clean_up", status_code=200, include_in_schema=False, **permit("admin"))
async def clean_up(request: AnyRequest, actor: TheActor) -> Response[Any]:
    return await _start(request, actor, dry_run=False)


async def _start(request: AnyRequest, actor: Actor, *, dry_run: bool) -> Response[Any]:
    await refuse_while_running(turns.CLEANUP)
    job_id = await start_job(CLEANUP, {"dry_run": dry_run}, actor=actor)
    await wait_for_job(job_id, PATIENCE)
    to = f"{request.app.route_reverse('maintenance:show')}#cleanup"
    return await after(request, _FRAGMENT, to=to, **await cleanup_inputs(request))


router = Router("/", route_handlers=[storage, cleanup, look, clean_up])
