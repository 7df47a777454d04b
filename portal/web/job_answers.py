"""What the API answers where work goes on as a job: 200 with the finished job, else 202 and where to ask."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Request, Response
from litestar.openapi import ResponseSpec

from portal.errors import NotFound
from portal.jobs.progress import JobView, get_job
from portal.web.answers import job_url, json_response
from portal.web.preferences import wait_seconds, wait_until

FINISHED: Final = ResponseSpec(JobView, description="Finished, well or not: see `state`")
UNDER_WAY: Final = ResponseSpec(JobView, description="Under way; `Location` says where to ask")


def read_job_id(text: str) -> UUID:
    """Raises NotFound for what cannot be a job's id."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("There is no job with this id.") from error


def job_response(job: JobView) -> Response[bytes]:
    if job.is_finished:
        return json_response(200, job)
    return json_response(202, job, {"Location": job_url(job.id)})


async def answer_with(request: Request[Any, Any, Any], job_id: UUID) -> Response[bytes]:
    """The job, as soon as it is finished or `Prefer: wait` is over."""
    await wait_for_job(job_id, wait_seconds(request))
    return job_response(await get_job(job_id))


async def wait_for_job(job_id: UUID, seconds: float) -> None:
    """Until it is finished, or the time is up."""

    async def is_finished() -> bool:
        return (await get_job(job_id)).is_finished

    await wait_until(is_finished, seconds)
