"""Presets over the API: what they are, what a change would come to, and the change itself."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from litestar import Response, Router, delete, get, post
from litestar.openapi import ResponseSpec

from portal.accounts.guards import permit
from portal.errors import FormError
from portal.gallery.presets import presets_in_force
from portal.jobs.progress import JobView, get_job
from portal.maintenance.preset_changes import (
    FIELDS,
    PresetList,
    cancel_change,
    change_preset,
    known_preset,
    list_presets,
    read_measure,
    reset_preset,
)
from portal.maintenance.preset_estimate import Estimate, estimate_change
from portal.web.answers import json_response, read_object
from portal.web.job_answers import job_response
from portal.web.openapi import json_operation
from portal.web.parameters import Http, PathText, TheActor, ThePool, TheSettings, TheStore

_UNDER_WAY: Final = ResponseSpec(JobView, description="Rolled out in the background; `Location` says where to ask")


@get(
    "/",
    summary="What every size is made by",
    responses={200: ResponseSpec(PresetList, description="The code's default, and what is in force")},
    **permit("viewer"),
)
async def presets() -> Response[bytes]:
    return json_response(200, await list_presets())


@post(
    "/{name:str}",
    summary="What a change of a size would come to; or the change",
    status_code=200,
    operation_class=json_operation({"width": 800, "height": 600, "quality": 82, "dry_run": True}, required=[]),
    responses={200: ResponseSpec(Estimate, description="A dry run: nothing changes"), 202: _UNDER_WAY},
    **permit("admin", problems=(404, 409)),
)
async def change(
    request: Http, actor: TheActor, settings: TheSettings, store: TheStore, pool: ThePool, name: PathText
) -> Response[bytes]:
    """`{"width", "height", "quality", "dry_run": true}`; what is left out stays. A dry run renders some pictures and takes
    seconds. In force from the moment it is decided; old renditions are served until there are new ones."""
    known_preset(name)
    sent = await read_object(request, {*FIELDS, "dry_run"})
    dry_run = sent.get("dry_run", True)
    if not isinstance(dry_run, bool):
        raise FormError({"dry_run": "Use true or false."})
    measure = read_measure(sent, (await presets_in_force())[name])
    if dry_run:
        found = await estimate_change(name, measure, store=store, pool=pool, workers=settings.workers)
        return json_response(200, found.estimate)
    return await _under_way(await change_preset(name, measure, actor=actor))


@delete(
    "/{name:str}",
    summary="Make a size as it is delivered",
    status_code=202,
    responses={202: _UNDER_WAY},
    **permit("admin", problems=(404, 409)),
)
async def reset(actor: TheActor, name: PathText) -> Response[bytes]:
    return await _under_way(await reset_preset(name, actor=actor))


@post(
    "/{name:str}/cancel",
    summary="Take back a change that is being rolled out",
    status_code=204,
    responses={204: ResponseSpec(None, description="In force is again what was before", generate_examples=False)},
    **permit("admin", problems=(404, 409)),
)
async def cancel(actor: TheActor, name: PathText) -> None:
    """Pictures that were made anew already stay as they are until all are made anew (`behind` counts them)."""
    await cancel_change(name, actor=actor)


async def _under_way(job_id: UUID) -> Response[bytes]:
    return job_response(await get_job(job_id))


router = Router("/api/presets", route_handlers=[presets, change, reset, cancel], tags=["maintenance"])
