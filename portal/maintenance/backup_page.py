"""One backup's own page: what it is of, how it was verified, and the way back from it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, Router, get, post
from litestar.response import Template

from portal.accounts.guards import needs_password, permit
from portal.backups.api import get_complete
from portal.backups.contents import refuse_unheld
from portal.backups.destination import destination_of
from portal.backups.kinds import BACKUP_VERIFY, RESTORE
from portal.backups.listing import get_backup
from portal.backups.marks import marks
from portal.backups.tasks import selection_of
from portal.backups.wishes import read_restore
from portal.entities.kinds import KINDS
from portal.errors import FormError, NotFound, PortalError
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import start_job
from portal.maintenance import backup_contents
from portal.maintenance.backup_contents import Sought, sought_in
from portal.maintenance.backup_run_views import run_view
from portal.maintenance.backup_views import is_empty, last_of, line_of_backup, proof_view, work
from portal.settings import Settings
from portal.web.exceptions import wants_json
from portal.web.forms import read_form, read_form_lists
from portal.web.job_answers import wait_for_job
from portal.web.parameters import PathText, TheActor, TheSettings
from portal.web.refusals import note_refusal
from portal.web.rendering import AnyRequest, after, page, redirect

PATIENCE: Final = 1.5  # seconds that an answer waits for a short job's end
_FRAGMENT: Final = "backups/_backup.html"
_WISHES: Final = ("what", "entity_type", "entity_id", "image_id", "on_conflict")


async def _inputs(settings: Settings, id: str) -> dict[str, Any]:
    """Raises NotFound."""
    backup = await get_backup(destination_of(settings), id)
    running, stamp = await work(id)
    verified = await last_of(id, BACKUP_VERIFY)
    return {
        "line": line_of_backup(backup, (await marks()).get(id)),
        "running": running,
        "stamp": stamp,
        "verification": run_view(verified) if verified is not None and verified.job.is_finished else None,
        "proof": await proof_view(),
    }


async def _page_inputs(
    request: AnyRequest,
    settings: Settings,
    id: str,
    wishes: dict[str, Any],
    errors: dict[str, str],
    sought: Sought = Sought(""),  # noqa: B008 - frozen
) -> dict[str, Any]:
    asks = needs_password(request)
    more = {"kinds": list(KINDS.values()), "asks": asks, "is_empty": await is_empty(), "id": id, "sought": sought}
    return {**await _inputs(settings, id), **more, "wishes": wishes, "errors": errors}


@get("/maintenance/backups/{id:str}", name="backups:backup", include_in_schema=False, **permit("admin"))
async def show(request: AnyRequest, settings: TheSettings, actor: TheActor, id: PathText) -> Template:
    """The query may fill in what shall be restored, and what is looked for."""
    wishes = {name: request.query_params.get(name, "") for name in _WISHES} | {"types": []}
    wishes["what"] = wishes["what"] or ("image" if wishes["image_id"] else "entity" if wishes["entity_id"] else "all")
    sought = await sought_in(settings, id, request.query_params.get("q", ""), actor)
    return await page(request, "backups/backup.html", **await _page_inputs(request, settings, id, wishes, {}, sought))


@get("/maintenance/backups/{id:str}/now", name="backups:now", include_in_schema=False, **permit("admin"))
async def now(request: AnyRequest, settings: TheSettings, id: PathText) -> Template:
    return await page(request, _FRAGMENT, **await _inputs(settings, id))


@post(
    "/maintenance/backups/{id:str}/verify",
    name="backups:verify",
    status_code=200,
    include_in_schema=False,
    **permit("admin"),
)
async def verify(request: AnyRequest, settings: TheSettings, actor: TheActor, id: PathText) -> Response[Any]:
    """`how`: whole or quick."""
    how = (await read_form(request)).get("how", "whole")
    if how not in ("whole", "quick"):
        raise FormError({"how": "Use whole or quick."})
    await get_backup(destination_of(settings), id)
    job_id = await start_job(BACKUP_VERIFY, {"backup_id": id, "quick": how == "quick"}, actor=actor)
    await wait_for_job(job_id, PATIENCE)
    to = request.app.route_reverse("backups:backup", id=id)
    return await after(request, _FRAGMENT, to=to, **await _inputs(settings, id))


@post(
    "/maintenance/backups/{id:str}/plan",
    name="backups:plan",
    status_code=200,
    include_in_schema=False,
    **permit("admin"),
)
async def plan(request: AnyRequest, settings: TheSettings, actor: TheActor, id: PathText) -> Response[Any]:
    """A dry run, whose page has the button that does it."""
    sent = await read_form_lists(request)
    wishes = {name: sent.get(name, [""])[-1] for name in _WISHES} | {"types": sent.get("type", [])}
    await get_complete(settings, id)
    try:
        arguments = read_restore(wish_of(id, wishes))
        await _refuse_unheld(settings, id, arguments)
    except FormError as error:
        return await shown_again(request, settings, id, wishes, error)
    await refuse_while_running(turns.RESTORE)
    job_id = await start_job(RESTORE, arguments, actor=actor)
    await wait_for_job(job_id, PATIENCE)
    return redirect(request, request.app.route_reverse("backups:run", id=str(job_id)))


async def _refuse_unheld(settings: Settings, id: str, arguments: dict[str, Any]) -> None:
    """Beside the field that says it: a typo is no job that failed. Raises FormError."""
    try:
        await refuse_unheld(destination_of(settings), id, selection_of(arguments))
    except NotFound as error:
        named = next((name for name in ("entity", "image_id", "entity_types") if name in arguments), "form")
        raise FormError({named: f"{error.message} Look for it above."}) from error


def wish_of(id: str, wishes: dict[str, Any]) -> dict[str, Any]:
    """As the API takes it. Raises FormError for a choice that lacks what it is of."""
    sent: dict[str, Any] = {"backup_id": id, "dry_run": True, "on_conflict": wishes["on_conflict"] or "skip"}
    what = wishes["what"]
    if what == "types":
        if not wishes["types"]:
            raise FormError({"types": "Choose at least one type."})
        return sent | {"entity_types": wishes["types"]}
    if what == "entity":
        if not wishes["entity_id"].strip():
            raise FormError({"entity": "Give its ID or SKU: it stands at the end of its page's address."})
        return sent | {"entity": {"type": wishes["entity_type"], "id": wishes["entity_id"].strip()}}
    if what == "image":
        return sent | {"image_id": wishes["image_id"].strip().rstrip("/").rpartition("/")[2]}
    if what != "all":
        raise FormError({"what": "Choose what shall be restored."})
    return sent


async def shown_again(
    request: AnyRequest, settings: Settings, id: str, wishes: dict[str, Any], error: PortalError
) -> Template:
    """The page with what to do about it."""
    if wants_json(request):
        raise error
    note_refusal(request, error)
    errors = error.errors if isinstance(error, FormError) else {"form": error.message}
    shown = {"what": "all", "types": [], **dict.fromkeys(_WISHES[1:], "")} | wishes
    inputs = await _page_inputs(request, settings, id, shown, errors)
    return await page(request, "backups/backup.html", status_code=error.status, **inputs)


router = Router("/", route_handlers=[show, now, verify, plan, backup_contents.router])
