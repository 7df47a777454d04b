"""Maintenance over the API."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, Router, get, post
from litestar.openapi import ResponseSpec

from portal.accounts.guards import permit
from portal.errors import FormError
from portal.gallery.queries import get_image, parse_image_id
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import start_job
from portal.maintenance.cleanup import CLEANUP
from portal.maintenance.figures import Figures
from portal.maintenance.queries import ImageUsage, UsageReport, usage_of_image
from portal.maintenance.statistics import Statistics
from portal.web.answers import json_response, read_object
from portal.web.job_answers import FINISHED, UNDER_WAY, answer_with
from portal.web.openapi import json_operation
from portal.web.parameters import Http, PathText, TheActor, TheLinks


@post(
    "/images/cleanup",
    summary="Find, and remove if asked, what nobody owns",
    status_code=202,
    operation_class=json_operation({"dry_run": True}, required=[]),
    responses={200: FINISHED, 202: UNDER_WAY},
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
    return await answer_with(request, job_id)


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


router = Router("/api", route_handlers=[cleanup, image_statistics, usage, usage_of_one], tags=["maintenance"])
