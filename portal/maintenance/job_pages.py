"""The page about jobs, its list as a fragment, the stream that keeps both up to date, and what one does there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Litestar, Router, get, post
from litestar.response import Response, Stream, Template

from portal.accounts.guards import permit
from portal.accounts.service import Session
from portal.audit.actors import Actor
from portal.errors import BadRequest, FormError
from portal.gallery.queries import parse_image_id
from portal.gallery.rerender import Pictures, start_rerender
from portal.gallery.service import retry_image
from portal.jobs.control import cancel_job, requeue
from portal.jobs.lists import unfinished_lines
from portal.jobs.pauses import EVERY_KIND, Pause, pause, resume
from portal.jobs.schedules import ScheduleView, list_schedules, run_now
from portal.maintenance.job_api import known_kinds, tried_again
from portal.maintenance.job_lists import (
    FEW,
    PAGE,
    STATES,
    Now,
    failed_pictures,
    line_of,
    lines,
    pictures_at,
    read_now,
    reasons,
    removals_given_up,
    stamp_of,
    workers_in_words,
)
from portal.maintenance.job_words import due_in_words, kind_in_words
from portal.maintenance.live import Live
from portal.storage.links import Links
from portal.web.forms import read_form
from portal.web.heads import method_of
from portal.web.job_answers import read_job_id
from portal.web.parameters import PathText, TheActor, TheLinks
from portal.web.rendering import AnyRequest, Toast, after, page

LABELS: Final = {
    "": "All",
    "waiting": "Waiting",
    "active": "At work",
    "failed": "Failed",
    "paused": "Paused",
    "done": "Done",
}


async def _inputs(request: AnyRequest, links: Links) -> dict[str, Any]:
    """What _jobs.html shows for the query of this request. Raises FormError for a foreign cursor."""
    asked = {name: request.query_params.get(name, "") for name in ("state", "code", "cursor", "after")}
    state = asked["state"] if asked["state"] in STATES else ""
    actor: Actor = request.scope["user"]  # behind a guard
    now = await read_now()
    shown, following = await lines(state, paused=now.pauses, cursor=asked["cursor"], traced=actor.may("admin"))
    running = await unfinished_lines()
    pictures, next_picture = await _pictures(state, asked, links, traced=actor.may("admin"))
    query = urlencode({name: value for name, value in asked.items() if value})
    page_query = f"?{query}" if query else ""
    return {
        "now": now,
        "state": state,
        "labels": LABELS,
        "stamp": stamp_of(now, running),
        "lines": shown,
        "next": following,
        "pictures": pictures,
        "next_picture": next_picture,
        "reasons": await reasons() if state == "failed" else [],
        "code": asked["code"],
        "removals": await removals_given_up() if state in ("", "failed") else [],
        "kinds": _kinds(request, now.pauses),
        "schedules": await _schedules(request),
        "workers_said": workers_in_words(now.workers),
        "list_url": request.app.route_reverse("maintenance:jobs_list") + page_query,
        "page_query": page_query,
    }


async def _pictures(
    state: str, asked: Mapping[str, str], links: Links, *, traced: bool
) -> tuple[list[Any], str | None]:
    if state in ("", "failed"):
        limit = PAGE if state else FEW
        code = asked["code"] if state else None
        return await failed_pictures(links, code=code, cursor=asked["after"], limit=limit, traced=traced)
    if state in ("waiting", "active"):
        return await pictures_at(links, active=state == "active", cursor=asked["after"])
    return [], None


def _kinds(request: AnyRequest, pauses: Mapping[str, Pause]) -> list[dict[str, Any]]:
    known = dict.fromkeys([*known_kinds(request), *pauses])
    return [{"kind": kind, "title": kind_in_words(kind), "pause": pauses.get(kind)} for kind in known]


async def _schedules(request: AnyRequest) -> list[dict[str, Any]]:
    parts: Any = request.app.state.parts
    views = await list_schedules(parts.schedules(), parts.settings.timezone)
    return [_schedule(view) for view in views if view.is_followed]


def _schedule(view: ScheduleView) -> dict[str, Any]:
    names = ("name", "title", "words", "zone", "last_at", "state", "error", "is_running")
    return {name: getattr(view, name) for name in names} | {"next": due_in_words(view.next_at)}


@get("/maintenance/jobs", name="maintenance:jobs", include_in_schema=False, **permit("viewer"))
async def jobs(request: AnyRequest, links: TheLinks) -> Template:
    """`?state=`, of failed ones `code`; `cursor` of the jobs, `after` of the pictures."""
    return await page(request, "maintenance/jobs.html", **await _inputs(request, links))


@get("/maintenance/jobs/list", name="maintenance:jobs_list", include_in_schema=False, **permit("viewer"))
async def jobs_list(request: AnyRequest, links: TheLinks) -> Template:
    return await page(request, "maintenance/_jobs.html", **await _inputs(request, links))


@get("/maintenance/jobs/stream", name="maintenance:jobs_stream", include_in_schema=False, **permit("viewer"))
async def jobs_stream(request: AnyRequest) -> Stream:
    """Server-sent events. Raises Busy where there are many readers already."""
    live: Live = request.app.state.live
    auth = request.scope["auth"]
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if method_of(request.scope) == "HEAD":  # would end never, and take a reader's place
        return Stream([], media_type="text/event-stream", headers=headers)
    reader = live.enter(auth.id, auth.account if isinstance(auth, Session) else auth.id)
    return Stream(live.stream(reader), media_type="text/event-stream", headers=headers)


async def drawn(app: Litestar) -> str:
    """What the stream sends: the same for everybody."""
    now: Now = await read_now()
    engine = app.template_engine
    assert engine is not None
    unfinished = await unfinished_lines()
    running = [line_of(each, now.pauses) for each in unfinished]
    values = {
        "now": now,
        "stamp": stamp_of(now, unfinished),
        "running": running,
        "workers_said": workers_in_words(now.workers),
    }
    return engine.get_template("maintenance/_live.html").render(**values)


async def _done(request: AnyRequest, links: Links, said: str) -> Response[Any]:
    """The list as it was looked at, with what was done."""
    query = request.scope.get("query_string", b"").decode("latin-1")
    to = request.app.route_reverse("maintenance:jobs") + (f"?{query}" if query else "")
    return await after(request, "maintenance/_jobs.html", to=to, toast=Toast(said), **await _inputs(request, links))


@post(
    "/maintenance/jobs/pause",
    name="maintenance:pause_jobs",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def pause_jobs(request: AnyRequest, links: TheLinks, actor: TheActor) -> Response[Any]:
    kind = (await read_form(request)).get("kind", "")
    await pause(kind, known_kinds(request), actor=actor)
    return await _done(request, links, f"{_said(kind)} paused")


@post(
    "/maintenance/jobs/resume",
    name="maintenance:resume_jobs",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def resume_jobs(request: AnyRequest, links: TheLinks, actor: TheActor) -> Response[Any]:
    kind = (await read_form(request)).get("kind", "")
    await resume(kind, known_kinds(request), actor=actor)
    return await _done(request, links, f"{_said(kind)} on again")


def _said(kind: str) -> str:
    return "All jobs" if kind == EVERY_KIND else kind_in_words(kind)


@post(
    "/maintenance/jobs/rerender",
    name="maintenance:rerender",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def make_again(request: AnyRequest, links: TheLinks, actor: TheActor) -> Response[Any]:
    fields = await read_form(request)
    await start_rerender(Pictures.of({name: fields.get(name) for name in ("which", "entity_type")}), actor=actor)
    return await _done(request, links, "Renditions are made again")


@post(
    "/maintenance/jobs/retry-alike",
    name="maintenance:retry_alike",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def retry_alike(request: AnyRequest, links: TheLinks, actor: TheActor) -> Response[Any]:
    code = (await read_form(request)).get("code", "")
    if not code:
        raise FormError({"code": "Name the reason."})
    await start_rerender(Pictures.of({"which": "selected", "failed": code}), actor=actor)
    return await _done(request, links, "All like this are tried again")


@post(
    "/maintenance/jobs/pictures/{id:str}/retry",
    name="maintenance:retry_picture",
    include_in_schema=False,
    status_code=200,
    **permit("editor"),
)
async def retry_picture(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    await retry_image(parse_image_id(id), actor=actor)
    return await _done(request, links, "The picture is tried again")


@post(
    "/maintenance/jobs/queue/{id:str}/retry",
    name="maintenance:retry_queued",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def retry_queued(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    if not id.isascii() or not id.isdigit() or len(id) > 18:
        raise BadRequest("This is no job's number.")
    await requeue(int(id), actor=actor)
    return await _done(request, links, "It is tried again")


@post(
    "/maintenance/jobs/{id:str}/cancel",
    name="maintenance:cancel_job",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def cancel(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    await cancel_job(read_job_id(id), actor=actor)
    return await _done(request, links, "The job is cancelled")


@post(
    "/maintenance/jobs/{id:str}/retry",
    name="maintenance:retry_job",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def retry(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    await tried_again(request, id, actor)
    return await _done(request, links, "The job is tried again")


@post(
    "/maintenance/jobs/schedules/{schedule:str}/run",
    name="maintenance:run_schedule",
    include_in_schema=False,
    status_code=200,
    **permit("admin"),
)
async def run_schedule(request: AnyRequest, links: TheLinks, actor: TheActor, schedule: PathText) -> Response[Any]:
    parts: Any = request.app.state.parts
    await run_now(schedule, parts.schedules(), actor=actor)
    return await _done(request, links, "Started")


router = Router(
    "/",
    route_handlers=[
        jobs,
        jobs_list,
        jobs_stream,
        pause_jobs,
        resume_jobs,
        make_again,
        retry_alike,
        retry_picture,
        retry_queued,
        cancel,
        retry,
        run_schedule,
    ],
)
