"""The audit's page: lines by who, what and when, what proves that none was changed, CSV, and the erasure of a person."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Router, get, post
from litestar.response import Response, Stream, Template

from portal import database
from portal.accounts.guards import permit, session_of
from portal.accounts.service import confirm_password
from portal.audit import words
from portal.audit.chain import moment
from portal.audit.denials import ACTION
from portal.audit.queries import Wanted, distinct, every_line, list_lines
from portal.audit.sealing import newest_seal
from portal.audit.service import record
from portal.audit.verification import last_verdict
from portal.errors import FormError, NotFound, RateLimited, Running
from portal.jobs.progress import start_job
from portal.maintenance.audit_forms import FIELDS, read_wanted
from portal.maintenance.audit_jobs import VERIFY, erase
from portal.maintenance.audit_views import Subject, subjects_of, views_of
from portal.paging import DEFAULT_LIMIT, Page
from portal.settings import Settings
from portal.web.csv_answers import csv_response
from portal.web.forms import read_form
from portal.web.parameters import Cursor, TheActor, TheSettings
from portal.web.rendering import AnyRequest, Toast, after, page, redirect

_HEADER: Final = (
    "time",
    "who",
    "action",
    "in words",
    "subject type",
    "subject",
    "request id",
    "before",
    "after",
    "line",
)
_UNDER_WAY: Final = "SELECT id FROM job WHERE kind = $1 AND state IN ('queued', 'running') ORDER BY id DESC LIMIT 1"


@get("/maintenance/audit", name="maintenance:audit", include_in_schema=False, **permit("admin"))
async def show(request: AnyRequest, settings: TheSettings, cursor: Cursor = None) -> Template:
    sent = _sent(request.query_params)
    try:
        return await _page(request, settings, read_wanted(sent, settings.timezone), sent, cursor=cursor)
    except FormError as error:
        return await _page(request, settings, None, sent, errors=error.errors, status=422)


async def _page(
    request: AnyRequest,
    settings: Settings,
    wanted: Wanted | None,
    sent: dict[str, str],
    *,
    cursor: str | None = None,
    errors: dict[str, str] | None = None,
    erasing: dict[str, Any] | None = None,
    status: int = 200,
) -> Template:
    """`wanted` None shows no lines: the filters have to be corrected first."""
    found = await list_lines(wanted, cursor=cursor, limit=DEFAULT_LIMIT) if wanted else Page([], 0, None)
    return await page(
        request,
        "maintenance/audit.html",
        status_code=status,
        lines=await views_of(found.items),
        total=found.total,
        next=found.next,
        about=await _about(wanted) if wanted else None,
        form={"values": sent, "errors": errors or {}},
        query=urlencode({name: value for name, value in sent.items() if value}),
        is_first=cursor is None,
        actions=await _actions(),
        erasing=erasing or {"values": {}, "errors": {}},
        **await _chain(settings),
    )


def _sent(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(values.get(name, ""))[:300] for name in FIELDS}


async def _about(wanted: Wanted) -> Subject | None:
    """The one thing whose history this is."""
    if wanted.subject_type is None or not wanted.subject_id:
        return None
    key = (wanted.subject_type, wanted.subject_id)
    return (await subjects_of([key]))[key]


async def _actions() -> list[tuple[str, str]]:
    """What there is to choose from, with its words."""
    found = [(name, words.title_of(name)) for name in await distinct("action") if name != ACTION]
    return sorted(found, key=lambda each: each[1])


async def _chain(settings: Settings) -> dict[str, Any]:
    """What _audit_chain.html wants."""
    head = await newest_seal()
    return {
        "verdict": await last_verdict(),
        "head": head.hash.hex() if head else None,
        "sealed_at": head.sealed_at if head else None,
        "is_verifying": await database.fetch_value(_UNDER_WAY, VERIFY) is not None,
        "keeps_days": settings.audit_days,
    }


@get("/maintenance/audit/chain", name="maintenance:audit_chain", include_in_schema=False, **permit("admin"))
async def show_chain(request: AnyRequest, settings: TheSettings) -> Template:
    return await page(request, "maintenance/_audit_chain.html", **await _chain(settings))


@post(
    "/maintenance/audit/verify",
    name="maintenance:audit_verify",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def verify_now(request: AnyRequest, settings: TheSettings, actor: TheActor) -> Response[Any]:
    """One that is under way is enough."""
    if await database.fetch_value(_UNDER_WAY, VERIFY) is None:
        await start_job(VERIFY, {}, actor=actor)
    to = request.app.route_reverse("maintenance:audit")
    return await after(request, "maintenance/_audit_chain.html", to=to, **await _chain(settings))


@post(
    "/maintenance/audit/export",
    name="maintenance:audit_export",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def export(request: AnyRequest, settings: TheSettings, actor: TheActor) -> Stream:
    """All lines that fit the filters, as CSV. Who took them stands in the audit first."""
    sent = _sent(await read_form(request))
    wanted = read_wanted(sent, settings.timezone)
    async with database.transaction():
        filters = {name: value for name, value in sent.items() if value}
        await record(actor, "audit.export", "audit", "lines", after={"filters": filters})
    return csv_response(f"audit-{datetime.now(UTC):%Y-%m-%d}.csv", _HEADER, _rows(wanted))


async def _rows(wanted: Wanted) -> AsyncIterator[tuple[Any, ...]]:
    async for line in every_line(wanted):
        change = (
            None if value is None else json.dumps(value, ensure_ascii=False) for value in (line.before, line.after)
        )
        said = words.said(line.action, line.subject_id)
        subject = (line.subject_type, line.subject_id, line.request_id)
        yield (moment(line.at), line.actor, line.action, said, *subject, *change, line.id)


@post(
    "/maintenance/audit/erase",
    name="maintenance:audit_erase",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def erase_somebody(request: AnyRequest, settings: TheSettings, actor: TheActor) -> Response[Any] | Template:
    """For good, so the password is asked for again."""
    fields, session = await read_form(request), session_of(request)
    person = fields.get("person", "")
    try:
        await confirm_password(session, fields.get("current", ""))
        erased = await erase(settings, person, actor)
    except (FormError, NotFound, RateLimited, Running) as error:
        errors = error.errors if isinstance(error, FormError) else {"person": error.message}
        again = {"values": {"person": person}, "errors": errors}
        return await _page(request, settings, Wanted(), _sent({}), erasing=again, status=error.status)
    toast = Toast(erased.words)
    return redirect(request, request.app.route_reverse("maintenance:audit"), toast=toast)


router = Router("/", route_handlers=[show, show_chain, verify_now, export, erase_somebody])
