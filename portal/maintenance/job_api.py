"""Jobs over the API: seen, stopped, tried again; kinds paused; pictures rendered anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter

from portal.accounts.guards import permit, refuse_unconfirmed
from portal.audit.actors import Actor
from portal.backups.kinds import BACKUP_PRUNE, RESTORE
from portal.errors import FormError
from portal.gallery.rerender import Pictures, start_rerender
from portal.gallery.trash import EMPTY_TRASH
from portal.jobs.control import cancel_job, retry_job
from portal.jobs.pauses import Pause, pause, pauses, resume
from portal.jobs.progress import STATES, JobView, get_job, list_jobs
from portal.paging import read_limit
from portal.web.answers import json_response, read_object
from portal.web.job_answers import FINISHED, UNDER_WAY, answer_with, read_job_id
from portal.web.openapi import json_operation
from portal.web.parameters import Cursor, Http, Limit, PathText, QueryText, TheActor


@dataclass(frozen=True, slots=True)
class JobList:
    jobs: list[JobView]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class Paused:
    """The kinds that nobody takes."""

    paused: list[Pause]


InState = Annotated[str | None, QueryParameter(name="state", description=f"One of {', '.join(STATES)}; all without")]
_PAUSED: Final = ResponseSpec(Paused, description="What is paused now")
_RERENDER: Final = {"which", "ids", "entity_type", "entity_id", "failed"}


def known_kinds(request: Http) -> list[str]:
    parts: Any = request.app.state.parts
    return list(parts.tasks())


@get(
    "/jobs",
    summary="Jobs, newest first",
    responses={200: ResponseSpec(JobList, description="One page")},
    **permit("viewer"),
)
async def jobs(
    limit: Limit = None, cursor: Cursor = None, in_state: InState = None, kind: QueryText = None
) -> Response[bytes]:
    page = await list_jobs(cursor=cursor, limit=read_limit(limit), state=in_state, kind=kind)
    return json_response(200, JobList(page.items, page.total, page.next))


@get(
    "/jobs/{id:str}",
    summary="One job",
    responses={200: ResponseSpec(JobView, description="In whatever state")},
    **permit("viewer"),
)
async def job(id: PathText) -> Response[bytes]:
    return json_response(200, await get_job(read_job_id(id)))


@post(
    "/jobs/{id:str}/retry",
    summary="Try a failed or cancelled job again",
    status_code=202,
    responses={200: FINISHED, 202: UNDER_WAY},
    **permit("admin", problems=(409,)),
)
async def retry(request: Http, actor: TheActor, id: PathText) -> Response[bytes]:
    """The answer is the new job (`retry_of`), which begins from the beginning; 409 unless this one failed or was cancelled."""
    return await answer_with(request, await tried_again(request, id, actor))


async def tried_again(request: Http, id: str, actor: Actor) -> UUID:
    """The new job. What asks for the password before it begins asks for it here, too. Raises Forbidden, NotFound, Conflict."""
    job_id = read_job_id(id)
    if (await get_job(job_id)).kind in (RESTORE, BACKUP_PRUNE, EMPTY_TRASH):
        refuse_unconfirmed(request)
    return await retry_job(job_id, known_kinds(request), actor=actor)


@post(
    "/jobs/{id:str}/cancel",
    summary="End a job",
    status_code=202,
    responses={200: FINISHED, 202: UNDER_WAY},
    **permit("admin", problems=(409,)),
)
async def cancel(request: Http, actor: TheActor, id: PathText) -> Response[bytes]:
    """One that waits ends at once; one at work is asked to, and ends at its next step. 409 when it has ended already."""
    await cancel_job(read_job_id(id), actor=actor)
    return await answer_with(request, read_job_id(id))


@post(
    "/jobs/pause",
    summary="Pause a kind of job",
    status_code=200,
    operation_class=json_operation({"kind": "render"}, required=["kind"]),
    responses={200: _PAUSED},
    **permit("admin"),
)
async def pause_kind(request: Http, actor: TheActor) -> Response[bytes]:
    """No worker takes this kind (or `all`) any more; what is in hand ends, what comes meanwhile waits."""
    await pause(await _kind(request), known_kinds(request), actor=actor)
    return json_response(200, Paused(list((await pauses()).values())))


@post(
    "/jobs/resume",
    summary="Let a kind of job go on",
    status_code=200,
    operation_class=json_operation({"kind": "render"}, required=["kind"]),
    responses={200: _PAUSED},
    **permit("admin"),
)
async def resume_kind(request: Http, actor: TheActor) -> Response[bytes]:
    await resume(await _kind(request), known_kinds(request), actor=actor)
    return json_response(200, Paused(list((await pauses()).values())))


async def _kind(request: Http) -> str:
    kind: Any = (await read_object(request, {"kind"})).get("kind")
    if not isinstance(kind, str):
        raise FormError({"kind": "Name a kind of job, or all."})
    return kind


@post(
    "/images/rerender",
    summary="Make renditions again",
    status_code=202,
    operation_class=json_operation({"which": "missing"}, required=["which"]),
    responses={200: FINISHED, 202: UNDER_WAY},
    **permit("admin", problems=(409,)),
)
async def make_again(request: Http, actor: TheActor) -> Response[bytes]:
    """`which`: all, missing (no whole current set) or selected (`ids`, `entity_type` with `entity_id` if wanted, `failed`: an
    error's code). What is shown stays until the new set is whole. The answer is a job; 409 while all are rendered anew."""
    pictures = Pictures.of(await read_object(request, _RERENDER))
    return await answer_with(request, await start_rerender(pictures, actor=actor))


router = Router(
    "/api", route_handlers=[jobs, job, retry, cancel, pause_kind, resume_kind, make_again], tags=["maintenance"]
)
