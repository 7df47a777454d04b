"""The audit over the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import Response, Router, get
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter

from portal.accounts.guards import permit
from portal.audit.queries import AuditLine, list_lines
from portal.maintenance.audit_forms import FIELDS, read_wanted
from portal.paging import read_limit
from portal.web.answers import json_response
from portal.web.parameters import Cursor, Http, Limit, TheSettings


@dataclass(frozen=True, slots=True)
class AuditLines:
    lines: list[AuditLine]
    total: int
    next: str | None


Who = Annotated[str | None, QueryParameter(description="Part of an address or name, or of a token's name")]
What = Annotated[str | None, QueryParameter(description="An action, as `image.trash`")]
About = Annotated[str | None, QueryParameter(description="`image/<id>`, `inventory_items/<id>`, or an id alone")]
Since = Annotated[str | None, QueryParameter(name="from", description="A day, or a time with its zone")]
Until = Annotated[str | None, QueryParameter(name="to", description="A day, which counts too, or a time with its zone")]
Denied = Annotated[str | None, QueryParameter(description="1: refusals alone")]


@get(
    "/audit",
    summary="Who did what, when, to what, before and after; newest first",
    responses={200: ResponseSpec(AuditLines, description="One page; `total` is exact up to 1000")},
    **permit("admin"),
)
async def audit(
    request: Http,
    settings: TheSettings,
    limit: Limit = None,
    cursor: Cursor = None,
    who: Who = None,
    what: What = None,
    subject: About = None,
    since: Since = None,
    until: Until = None,
    request_id: Annotated[str | None, QueryParameter(name="request", description="`X-Request-ID` of an answer")] = None,
    denied: Denied = None,
) -> Response[bytes]:
    """A line of action `denied` is a refusal; its subject is the route's template. Refusals of visitors are counted by minute
    and route (`after.count`). `before` and `after` are null where nothing was changed, or where a person was erased."""
    sent = {name: request.query_params.get(name, "") for name in FIELDS}
    page = await list_lines(read_wanted(sent, settings.timezone), cursor=cursor, limit=read_limit(limit))
    return json_response(200, AuditLines(page.items, page.total, page.next))


router = Router("/api", route_handlers=[audit], tags=["maintenance"])
