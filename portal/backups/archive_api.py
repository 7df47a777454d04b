"""Backups out of the portal as one file, and in again, over the API."""

from __future__ import annotations

from typing import Final

from litestar import Response, Router, get, post
from litestar.openapi import ResponseSpec
from litestar.response import Stream

from portal.accounts.guards import permit
from portal.backups.api import get_complete
from portal.backups.archive import archive_of, archive_size, take_archive
from portal.backups.destination import Destination, destination_of
from portal.backups.listing import BackupView, get_backup
from portal.errors import DiskFull
from portal.web.answers import json_response
from portal.web.forms import announced_bytes, sent_pieces
from portal.web.heads import method_of
from portal.web.openapi import binary_operation
from portal.web.parameters import Http, PathText, TheActor, TheSettings

ARCHIVE_TYPE: Final = "application/x-tar"


@get(
    "/images/backups/{id:str}/archive",
    name="backups:archive",
    summary="One backup as one file",
    description="A tar of all that it consists of, to lie elsewhere; `POST /api/images/backups/archive` takes it in again.",
    media_type=ARCHIVE_TYPE,
    responses={200: ResponseSpec(bytes, description="The archive", media_type=ARCHIVE_TYPE)},
    **permit("admin", problems=(409,)),
)
async def archive(request: Http, settings: TheSettings, id: PathText) -> Stream:
    destination = destination_of(settings)
    await get_complete(settings, id)
    headers = {
        "Content-Length": str(await archive_size(destination, id)),
        "Content-Disposition": f'attachment; filename="{id}.tar"',
        "Cache-Control": "no-store",
    }
    pieces = [] if method_of(request.scope) == "HEAD" else archive_of(destination, id)
    return Stream(pieces, media_type=ARCHIVE_TYPE, headers=headers)


@post(
    "/images/backups/archive",
    summary="Bring in a backup",
    description="The body is the archive itself, of any size that there is room for. Every name and byte is checked before the"
    " backup is listed as complete.",
    status_code=201,
    operation_class=binary_operation(ARCHIVE_TYPE),
    responses={201: ResponseSpec(BackupView, description="The backup that is here now")},
    **permit("admin", upload=True, problems=(400, 409, 507)),
)
async def bring_in(request: Http, settings: TheSettings, actor: TheActor) -> Response[bytes]:
    destination = destination_of(settings)
    await destination.open_root()
    await refuse_without_room(destination, announced_bytes(request))
    root = await take_archive(destination, sent_pieces(request), actor=actor)
    return json_response(201, await get_backup(destination, root.id))


async def refuse_without_room(destination: Destination, wanted: int) -> None:
    """Raises DiskFull for what is announced as longer than what is free; 0 is not announced."""
    free = await destination.free_bytes()
    if free is not None and wanted > free:
        raise DiskFull("There is no room for this archive where backups lie.")


router = Router("/api", route_handlers=[archive, bring_in], tags=["backups"])
