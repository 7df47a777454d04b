"""Maintenance and jobs over the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.openapi import ResponseSpec

from portal.accounts.guards import permit
from portal.errors import FormError, NotFound
from portal.gallery.queries import get_image, parse_image_id
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import JobView, get_job, list_jobs, start_job
from portal.maintenance.cleanup import CLEANUP
from portal.maintenance.figures import Figures
from portal.maintenance.queries import ImageUsage, UsageReport, usage_of_image
from portal.maintenance.statistics import Statistics
from portal.paging import read_limit
from portal.web.answers import job_url, json_response, read_object
from portal.web.openapi import json_operation
from portal.web.parameters import Cursor, Http, Limit, PathText, TheActor, TheLinks
from portal.web.preferences import wait_seconds, wait_until


@dataclass(frozen=True, slots=True)
class JobList:
    jobs: list[JobView]
    total: int
    next: str | None


_FINISHED: Final = ResponseSpec(JobView, description="Finished, well or not: see `state`")
_UNDER_WAY: Final = ResponseSpec(JobView, description="Under way; `Location` says where to ask")


@post(
    "/images/cleanup",
    summary="Find, and remove if asked, what nobody owns",
    status_code=202,
    operation_class=json_operation({"dry_run": True}, required=[]),
    responses={200: _FINISHED, 202: _UNDER_WAY},
    **permit("admin", problems=(409,)),
)
async def cleanup(request: Http, actor: TheActor) -> Response[bytes]:
    """`{"dry_run": true}` by default. The answer is a job: 200 when finished (see `Prefer: wait`), else 202."""
    sent = await read_object(request, {"dry_run"}) if await request.body() else {}
    dry_run = sent.get("dry_run", True)
    if not isinstance(dry_run, bool):
        raise FormError({"dry_run": "Use true or false."})
    await refuse_while_running(turns.CLEANUP)
    job_id = await start_job(CLEANUP, {"dry_run": dry_run}, actor=actor)
    await wait_until(lambda: _is_finished(job_id), wait_seconds(request))
    return job_response(await get_job(job_id))


async def _is_finished(job_id: UUID) -> bool:
    return (await get_job(job_id)).is_finished


def job_response(job: JobView) -> Response[bytes]:
    if job.is_finished:
        return json_response(200, job)
    return json_response(202, job, {"Location": job_url(job.id)})


@get(
    "/jobs",
    summary="Jobs, newest first",
    responses={200: ResponseSpec(JobList, description="One page")},
    **permit("viewer"),
)
async def jobs(limit: Limit = None, cursor: Cursor = None) -> Response[bytes]:
    page = await list_jobs(cursor=cursor, limit=read_limit(limit))
    return json_response(200, JobList(page.items, page.total, page.next))


@get(
    "/jobs/{id:str}",
    summary="One job",
    responses={200: ResponseSpec(JobView, description="In whatever state")},
    **permit("viewer"),
)
async def job(id: PathText) -> Response[bytes]:
    try:
        return json_response(200, await get_job(UUID(id)))
    except ValueError as error:
        raise NotFound("There is no job with this id.") from error


@get(
    "/images/statistics",
    summary="What is stored, and what was served of it",
    description="Exact, however many pictures there are. Months are in UTC. Under `cache`: the last 30 days of all processes;"
    " hits came out of memory or the cache, or were 304s; `folder` may be half a minute old. `growth` needs two weeks of notes.",
    responses={200: ResponseSpec(Statistics, description="Counts and bytes")},
    **permit("viewer"),
)
async def image_statistics(request: Http) -> Response[bytes]:
    figures: Figures = request.app.state.figures
    return json_response(200, await figures.statistics())


@get(
    "/images/usage",
    summary="What is shown how often, what never, what weighs more than it need",
    description="Of who asked nothing is kept. Days are in UTC; `never_shown` and `unasked` need 90 days of counts.",
    responses={200: ResponseSpec(UsageReport, description="The last 30 days; at most 20 pictures in each list")},
    **permit("viewer"),
)
async def usage(request: Http, links: TheLinks) -> Response[bytes]:
    figures: Figures = request.app.state.figures
    return json_response(200, await figures.usage_report(links))


@get(
    "/images/{id:str}/usage",
    summary="How often one picture was served",
    description="All that was served in the last 30 days, to staff too.",
    responses={200: ResponseSpec(ImageUsage, description="At most ten seconds old")},
    **permit("viewer"),
)
async def usage_of_one(links: TheLinks, id: PathText) -> Response[bytes]:
    image = await get_image(parse_image_id(id), links)
    return json_response(200, await usage_of_image(UUID(image.id)))


router = Router(
    "/api", route_handlers=[cleanup, jobs, job, image_statistics, usage, usage_of_one], tags=["maintenance"]
)
