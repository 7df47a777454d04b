"""Backups that come, as an archive, and backups that go."""

from __future__ import annotations

from typing import Any

from litestar import Response, Router, post

from portal.accounts.guards import confirm_with, permit
from portal.backups.archive import take_archive
from portal.backups.archive_api import refuse_without_room
from portal.backups.destination import destination_of
from portal.backups.listing import get_backup
from portal.backups.retention import remove_backup
from portal.errors import PortalError
from portal.maintenance.backup_page import shown_again
from portal.maintenance.backup_pages import page_inputs
from portal.web.exceptions import wants_json
from portal.web.forms import announced_bytes, read_form
from portal.web.parameters import PathText, TheActor, TheSettings
from portal.web.refusals import note_refusal
from portal.web.rendering import AnyRequest, Toast, page, redirect
from portal.web.streamed import sent_file


@post(
    "/maintenance/backups/upload",
    name="backups:upload",
    status_code=200,
    include_in_schema=False,
    **permit("admin", upload=True),
)
async def upload(request: AnyRequest, settings: TheSettings, actor: TheActor) -> Response[Any]:
    """An archive, checked as it comes."""
    destination = destination_of(settings)
    try:
        await destination.open_root()
        await refuse_without_room(destination, announced_bytes(request))
        root = await take_archive(destination, sent_file(request), actor=actor)
    except PortalError as error:
        if wants_json(request) or error.is_denial:
            raise
        note_refusal(request, error)
        inputs = await page_inputs(request, settings, {"archive": error.message})
        return await page(request, "backups/list.html", status_code=error.status, **inputs)
    to = request.app.route_reverse("backups:backup", id=root.id)
    return redirect(request, to, toast=Toast("The backup is here, every byte as it was."))


@post(
    "/maintenance/backups/{id:str}/delete",
    name="backups:remove",
    status_code=200,
    include_in_schema=False,
    **permit("admin"),
)
async def remove(request: AnyRequest, settings: TheSettings, actor: TheActor, id: PathText) -> Response[Any]:
    """For good, so the password is asked for again."""
    destination, fields = destination_of(settings), await read_form(request)
    await get_backup(destination, id)
    try:
        await confirm_with(request, fields.get("current", ""))
        await remove_backup(destination=destination, backup_id=id, actor=actor)
    except PortalError as error:
        return await shown_again(request, settings, id, {}, error)
    return redirect(request, request.app.route_reverse("backups:list"), toast=Toast("The backup is deleted."))


router = Router("/", route_handlers=[upload, remove])
