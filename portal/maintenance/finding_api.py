"""Findings over the API, and the checks that look for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter

from portal.accounts.guards import permit
from portal.errors import FormError, NotFound
from portal.integrity.check import CHECK
from portal.integrity.findings import KINDS, STATES, FindingView, get_finding, list_findings
from portal.integrity.recheck import RECHECK
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import JobView, start_job
from portal.paging import read_limit
from portal.web.answers import json_response, read_object
from portal.web.job_answers import answer_with
from portal.web.openapi import json_operation
from portal.web.parameters import Cursor, Http, Limit, PathText, TheActor

_JOBS: Final = {"full": CHECK, "recheck": RECHECK}
_FINISHED: Final = ResponseSpec(JobView, description="Finished, well or not: see `state`")
_UNDER_WAY: Final = ResponseSpec(JobView, description="Under way; `Location` says where to ask")

State = Annotated[str | None, QueryParameter(name="state", description=f"One of {', '.join(STATES)}; all without")]
Kind = Annotated[str | None, QueryParameter(description=f"One of {', '.join(KINDS)}; all without")]


@dataclass(frozen=True, slots=True)
class FindingList:
    findings: list[FindingView]
    total: int
    next: str | None


@post(
    "/images/check",
    summary="Look for what is wrong with rows and bytes",
    description="`full` reads every byte; `recheck` only looks again at what is open. Findings are kept, and end as `gone` when"
    " they are no more true. The answer is a job: 200 when finished (see `Prefer: wait`), else 202.",
    status_code=202,
    operation_class=json_operation({"kind": "recheck"}, required=["kind"]),
    responses={200: _FINISHED, 202: _UNDER_WAY},
    **permit("admin", problems=(409,)),
)
async def check(request: Http, actor: TheActor) -> Response[bytes]:
    kind = (await read_object(request, {"kind"})).get("kind")
    if not isinstance(kind, str) or kind not in _JOBS:
        raise FormError({"kind": "Use full or recheck."})
    if kind == "full":
        await refuse_while_running(turns.CHECK)
    job_id = await start_job(_JOBS[kind], {}, actor=actor)
    return await answer_with(request, job_id)


@get(
    "/images/findings",
    summary="What checks have found, newest first",
    description="`evidence` says what was expected and what is there; `repair` what is proposed; `found_at` since when it is"
    " known, `checked_at` when it was last found true.",
    responses={200: ResponseSpec(FindingList, description="One page")},
    **permit("viewer"),
)
async def findings(
    of_state: State = None, kind: Kind = None, limit: Limit = None, cursor: Cursor = None
) -> Response[bytes]:
    page = await list_findings(state=of_state or None, kind=kind or None, cursor=cursor, limit=read_limit(limit))
    return json_response(200, FindingList(page.items, page.total, page.next))


@get(
    "/images/findings/{id:str}",
    summary="One finding",
    responses={200: ResponseSpec(FindingView, description="In whatever state")},
    **permit("viewer"),
)
async def finding(id: PathText) -> Response[bytes]:
    try:
        found = await get_finding(UUID(id))
    except ValueError as error:
        raise NotFound("There is no finding with this id.") from error
    return json_response(200, found)


router = Router("/api", route_handlers=[check, findings, finding], tags=["maintenance"])
