"""Maintenance and jobs over the API."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, Router, get, post

from portal.accounts.guards import permit
from portal.errors import FormError, NotFound
from portal.jobs.progress import JobView, get_job, list_jobs, start_job
from portal.maintenance.cleanup import CLEANUP
from portal.paging import read_limit
from portal.web.answers import job_url, json_response, read_object
from portal.web.parameters import Cursor, Http, Limit, PathText, TheActor
from portal.web.preferences import wait_seconds, wait_until


@post("/images/cleanup", summary="Find, and remove if asked, what nobody owns", **permit("admin"))
async def cleanup(request: Http, actor: TheActor) -> Response[bytes]:
    """`{"dry_run": true}` by default. The answer is a job: 200 when finished (see `Prefer: wait`), else 202."""
    sent = await read_object(request, {"dry_run"}) if await request.body() else {}
    dry_run = sent.get("dry_run", True)
    if not isinstance(dry_run, bool):
        raise FormError({"dry_run": "Use true or false."})
    job_id = await start_job(CLEANUP, {"dry_run": dry_run}, actor=actor)
    await wait_until(lambda: _is_finished(job_id), wait_seconds(request))
    return job_response(await get_job(job_id))


async def _is_finished(job_id: UUID) -> bool:
    return (await get_job(job_id)).is_finished


def job_response(job: JobView) -> Response[bytes]:
    if job.is_finished:
        return json_response(200, job)
    return json_response(202, job, {"Location": job_url(job.id)})


@get("/jobs", summary="Jobs, newest first", **permit("viewer"))
async def jobs(limit: Limit = None, cursor: Cursor = None) -> Response[bytes]:
    page = await list_jobs(cursor=cursor, limit=read_limit(limit))
    return json_response(200, {"jobs": page.items, "total": page.total, "next": page.next})


@get("/jobs/{id:str}", summary="One job", **permit("viewer"))
async def job(id: PathText) -> Response[bytes]:
    try:
        return json_response(200, await get_job(UUID(id)))
    except ValueError as error:
        raise NotFound("There is no job with this id.") from error


router = Router("/api", route_handlers=[cleanup, jobs, job], tags=["maintenance"])
