"""Backups over the API: made, listed, verified, drilled, restored, pruned, taken out and brought in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response, Router, delete, get, post
from litestar.openapi import ResponseSpec

from portal.accounts.guards import permit, refuse_unconfirmed
from portal.audit.actors import Actor
from portal.backups.contents import Contents, find_in_backup, refuse_unheld
from portal.backups.destination import destination_of
from portal.backups.kinds import BACKUP, BACKUP_PRUNE, BACKUP_VERIFY, DRILL, RESTORE
from portal.backups.listing import BackupView, get_backup, list_backups
from portal.backups.retention import remove_backup
from portal.backups.tasks import selection_of
from portal.backups.wishes import RESTORE_FIELDS, read_flag, read_restore, read_types
from portal.errors import Conflict
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import start_job
from portal.paging import EXACT_UP_TO, decode_cursor, encode_cursor, read_limit
from portal.web.answers import json_response, read_object
from portal.web.job_answers import FINISHED, UNDER_WAY, answer_with
from portal.web.openapi import json_operation
from portal.web.parameters import Cursor, Http, Limit, PathText, QueryText, TheActor, TheSettings


@dataclass(frozen=True, slots=True)
class BackupList:
    backups: list[BackupView]
    total: int
    next: str | None


@post(
    "/images/backup",
    summary="Make a backup",
    description="Of everything, or of `entity_types`, as it is at one moment; uploads and deletes go on meanwhile. Bytes that an"
    " earlier backup holds are not copied again. The answer is a job, see `Prefer: wait`.",
    status_code=202,
    operation_class=json_operation({"entity_types": ["inventory_items"]}, required=[]),
    responses={200: FINISHED, 202: UNDER_WAY},
    **permit("admin", problems=(409,)),
)
async def create(request: Http, actor: TheActor) -> Response[bytes]:
    sent = await _sent(request, {"entity_types"})
    return await answer_with(request, await start_backup(sent.get("entity_types"), actor))


async def start_backup(entity_types: Any, actor: Actor) -> Any:
    types = read_types(entity_types)
    await refuse_while_running(turns.BACKUP)
    return await start_job(BACKUP, {"entity_types": types, "reason": "asked"}, actor=actor)


@get(
    "/images/backups",
    summary="Backups, newest first",
    description="As they lie in the destination, those of other portals too. `state` is complete, running, unfinished, damaged or"
    " foreign; `wrong` is how many files the last verification named, null where there was none.",
    responses={200: ResponseSpec(BackupList, description="One page")},
    **permit("admin", problems=(503,)),
)
async def backups(settings: TheSettings, limit: Limit = None, cursor: Cursor = None) -> Response[bytes]:
    after = decode_cursor(cursor, [str])
    found = await list_backups(destination_of(settings))
    left = [each for each in found if not after or each.id < after[0]]
    shown = left[: read_limit(limit)]
    following = encode_cursor([shown[-1].id]) if len(left) > len(shown) else None
    return json_response(200, BackupList(shown, min(len(found), EXACT_UP_TO + 1), following))


@get(
    "/images/backups/{id:str}",
    summary="One backup",
    responses={200: ResponseSpec(BackupView, description="In whatever state")},
    **permit("admin"),
)
async def backup(settings: TheSettings, id: PathText) -> Response[bytes]:
    return json_response(200, await get_backup(destination_of(settings), id))


@get(
    "/images/backups/{id:str}/contents",
    summary="Look for something in a backup",
    description="Galleries by name, id, reference or number, pictures by file name, alt text, caption or id: what has all words"
    " of `q`, each as the beginning of one. The first 20; `has_more` says that there are others. A hit's `entity`, or its"
    " `image_id`, is what a restore takes; `here` says whether the portal has it now: yes, trash or no. `is_whole` is false where"
    " the backup is too large to be looked through in some seconds.",
    responses={200: ResponseSpec(Contents, description="The first hits")},
    **permit("admin", problems=(404, 409, 503)),
)
async def contents(settings: TheSettings, id: PathText, q: QueryText = None) -> Response[bytes]:
    return json_response(200, await find_in_backup(destination_of(settings), id, q or ""))


@delete(
    "/images/backups/{id:str}",
    summary="Remove one backup",
    description="Bytes that other backups need stay.",
    status_code=204,
    **permit("admin", problems=(409,)),
)
async def remove(request: Http, settings: TheSettings, actor: TheActor, id: PathText) -> None:
    refuse_unconfirmed(request)
    destination = destination_of(settings)
    await get_backup(destination, id)
    await remove_backup(destination=destination, backup_id=id, actor=actor)


@post(
    "/images/backups/{id:str}/verify",
    summary="Verify a backup",
    description="Every byte of it, or with `quick` only that all is there in its length. The answer is a job; its result names"
    " exactly what is wrong.",
    status_code=202,
    operation_class=json_operation({"quick": False}, required=[]),
    responses={200: FINISHED, 202: UNDER_WAY},
    **permit("admin", problems=(409,)),
)
async def verify(request: Http, settings: TheSettings, actor: TheActor, id: PathText) -> Response[bytes]:
    quick = read_flag(await _sent(request, {"quick"}), "quick", default=False)
    await get_backup(destination_of(settings), id)
    return await answer_with(request, await start_job(BACKUP_VERIFY, {"backup_id": id, "quick": quick}, actor=actor))


@post(
    "/images/backups/{id:str}/drill",
    summary="Prove a backup by restoring it into scratch",
    description="Into a schema and a folder of their own, checked whole and dropped again; nothing live is touched. The answer is"
    " a job.",
    status_code=202,
    responses={200: FINISHED, 202: UNDER_WAY},
    **permit("admin", problems=(409,)),
)
async def drill(request: Http, settings: TheSettings, actor: TheActor, id: PathText) -> Response[bytes]:
    await _sent(request, set())
    await get_complete(settings, id)
    await refuse_while_running(turns.DRILL)
    return await answer_with(request, await start_job(DRILL, {"backup_id": id}, actor=actor))


async def get_complete(settings: TheSettings, id: str) -> BackupView:
    """Raises NotFound, and Conflict for one that is not whole."""
    found = await get_backup(destination_of(settings), id)
    if not found.complete:
        raise Conflict(found.message or "This backup is not complete.")
    return found


@post(
    "/images/backups/prune",
    summary="Remove the backups that need not stay",
    description="By PORTAL_BACKUP_KEEP: last, daily, weekly, monthly, yearly; and what was begun and never finished. Bytes go"
    " only where no other backup refers to them. A dry run is the default. The answer is a job; its result says what goes, and by"
    " which rule each of the others stays.",
    status_code=202,
    operation_class=json_operation({"dry_run": True}, required=[]),
    responses={200: FINISHED, 202: UNDER_WAY},
    **permit("admin", problems=(409,)),
)
async def prune(request: Http, actor: TheActor) -> Response[bytes]:
    dry_run = read_flag(await _sent(request, {"dry_run"}), "dry_run", default=True)
    if not dry_run:
        refuse_unconfirmed(request)
    await refuse_while_running(turns.PRUNE)
    return await answer_with(request, await start_job(BACKUP_PRUNE, {"dry_run": dry_run}, actor=actor))


@post(
    "/images/restore",
    summary="Restore from a backup",
    description="Everything, or some `entity_types`, one `entity` or one image. With `dry_run` the result is the plan: what would"
    " be created, replaced, skipped, what conflicts. `on_conflict` says whether what differs here stays (skip, unless said) or"
    " becomes what it was (replace). Else a backup of what is here is made first; then it is all or nothing, and the portal"
    " stands still meanwhile. The answer is a job.",
    status_code=202,
    operation_class=json_operation(
        {
            "backup_id": "2026-11-23T055012Z-4f2a1b",
            "entity": {"type": "inventory_items", "id": "MUG-FJORD-BL"},
            "dry_run": True,
            "on_conflict": "skip",
        },
        required=["backup_id"],
    ),
    responses={200: FINISHED, 202: UNDER_WAY},
    **permit("admin", problems=(404, 409)),
)
async def restore(request: Http, settings: TheSettings, actor: TheActor) -> Response[bytes]:
    arguments = read_restore(await read_object(request, RESTORE_FIELDS))
    if not arguments["dry_run"]:
        refuse_unconfirmed(request)
    await get_complete(settings, arguments["backup_id"])
    await refuse_unheld(destination_of(settings), arguments["backup_id"], selection_of(arguments))
    await refuse_while_running(turns.RESTORE)
    return await answer_with(request, await start_job(RESTORE, arguments, actor=actor))


async def _sent(request: Http, known: set[str]) -> dict[str, Any]:
    """No body is an empty object."""
    return await read_object(request, known) if await request.body() else {}


router = Router(
    "/api",
    route_handlers=[create, backups, backup, contents, remove, verify, drill, prune, restore],
    tags=["backups"],
)
