"""Repair over the API."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Response, Router, post

from portal.accounts.guards import permit
from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import FormError, NoSuchEntity
from portal.integrity.findings import KINDS, get_finding
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import start_job
from portal.maintenance.repair import REPAIR, Selection
from portal.web.answers import read_object
from portal.web.job_answers import FINISHED, UNDER_WAY, answer_with
from portal.web.openapi import json_operation
from portal.web.parameters import Http, TheActor

MOST_IDS: Final = 200
_FIELDS: Final = {"dry_run", "finding_ids", "kinds", "adopt_into"}


@post(
    "/images/repair",
    summary="Make right what checks have found",
    description="All open findings, or those of `finding_ids` (at most 200) or `kinds`; where nothing is open, every byte is read"
    " first. A dry run, the default, changes nothing and says exactly what a run would do. Nothing is deleted for good: what is"
    " taken away lies in the quarantine for 14 days. With `adopt_into`, orphaned originals become pictures of this entity"
    ' (`inventory_items/MUG-1`; `""`: of whose the key says it is). The answer is a job, see `Prefer: wait`; its result counts by'
    " kind what was planned, repaired, refused (with reasons) and gone, and lists the first 200 outcomes.",
    status_code=202,
    operation_class=json_operation({"dry_run": True, "kinds": ["missing_object"]}, required=[]),
    responses={200: FINISHED, 202: UNDER_WAY},
    **permit("admin", problems=(404, 409)),
)
async def repair(request: Http, actor: TheActor) -> Response[bytes]:
    sent = await read_object(request, _FIELDS) if await request.body() else {}
    dry_run = sent.get("dry_run", True)
    if not isinstance(dry_run, bool):
        raise FormError({"dry_run": "Use true or false."})
    selection = read_selection(sent)
    for finding_id in selection.finding_ids or ():
        await get_finding(finding_id)
    await refuse_while_running(turns.REPAIR)
    job_id = await start_job(REPAIR, {"dry_run": dry_run, **selection.arguments()}, actor=actor)
    return await answer_with(request, job_id)


def read_selection(sent: dict[str, Any]) -> Selection:
    """Raises FormError."""
    ids, kinds, into = sent.get("finding_ids"), sent.get("kinds"), sent.get("adopt_into")
    if into is not None and not ids:
        raise FormError({"adopt_into": "Say which findings, by their ids."})
    return Selection(
        None if ids is None else _ids(ids),
        None if kinds is None else _kinds(kinds),
        None if into in (None, "") else _entity(into),
        into is not None,
    )


def _ids(value: Any) -> tuple[UUID, ...]:
    try:
        ids = tuple(dict.fromkeys(UUID(each) for each in value))
    except (ValueError, TypeError, AttributeError) as error:
        raise FormError({"finding_ids": "Send a list of findings' ids."}) from error
    if not isinstance(value, list) or not 0 < len(ids) <= MOST_IDS:
        raise FormError({"finding_ids": f"Send a list of 1 to {MOST_IDS} findings' ids."})
    return ids


def _kinds(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each in KINDS for each in value):
        raise FormError({"kinds": f"Send a list of kinds: {', '.join(KINDS)}."})
    return tuple(dict.fromkeys(value))


def _entity(value: Any) -> EntityRef:
    """As `inventory_items/MUG-1`."""
    try:
        type, _, id = value.strip().partition("/")
        return parse_ref(type, id)
    except (NoSuchEntity, AttributeError) as error:
        raise FormError({"adopt_into": "Name an entity by type and id, as inventory_items/MUG-1."}) from error


router = Router("/api", route_handlers=[repair], tags=["maintenance"])
