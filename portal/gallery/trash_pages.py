"""The trash's page: some or all brought back, and deleted for good once the page has asked with the number."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.response import Template

from portal.accounts.guards import confirm_with, needs_password, permit
from portal.errors import FormError, RateLimited
from portal.gallery import holds
from portal.gallery.queries import parse_image_id
from portal.gallery.trash import (
    EMPTY_TRASH,
    MOST_CHOSEN,
    RESTORE_TRASH,
    Trashed,
    chosen_in_trash,
    moment_of,
    restore_images,
    start_deleting,
    start_restoring,
    trash_figures,
    trashed_images,
)
from portal.jobs.lists import unfinished_lines
from portal.jobs.progress import get_job
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.exceptions import wants_json
from portal.web.forms import read_form_lists
from portal.web.job_answers import wait_for_job
from portal.web.parameters import Cursor, TheActor, TheLinks, TheSettings
from portal.web.reading import reading
from portal.web.refusals import note_refusal
from portal.web.rendering import AnyRequest, Toast, is_htmx, page, redirect, render, shell_context

PAGE: Final = 50
PATIENCE: Final = 1.5  # seconds that an answer waits for a short job's end
SHOWN: Final = 12  # of what would go


@get("/trash", name="gallery:trash", include_in_schema=False, **permit("viewer"))
async def trash(request: AnyRequest, settings: TheSettings, links: TheLinks, cursor: Cursor = None) -> Template:
    return await page(request, "gallery/trash.html", **await _inputs(settings, links, cursor))


@get("/trash/list", name="gallery:trash_list", include_in_schema=False, **permit("viewer"))
async def trash_list(request: AnyRequest, settings: TheSettings, links: TheLinks) -> Template:
    return await page(request, "gallery/_trash.html", **await _inputs(settings, links, None))


@get("/trash/rows", name="gallery:trash_rows", include_in_schema=False, **permit("viewer"))
async def trash_rows(request: AnyRequest, settings: TheSettings, links: TheLinks, cursor: Cursor = None) -> Template:
    """The next ones, for the end of the list."""
    return await page(request, "gallery/_trash_rows.html", **await _rows(settings, links, cursor, goes_on=True))


@get("/trash/work", name="gallery:trash_work", include_in_schema=False, **permit("viewer"))
async def trash_work(request: AnyRequest) -> Template:
    """How far it is; once it is done, the list asks for itself."""
    return await page(request, "gallery/_trash_work.html", work=await _work(), is_asking=True)


async def _inputs(settings: Settings, links: Links, cursor: str | None) -> dict[str, Any]:
    shown = await _rows(settings, links, cursor)
    figures = await trash_figures()
    goes_in = _days_left(figures.oldest, settings.trash_days, figures.as_of)
    of_list = {"is_first": not cursor, "out_of_band": False}
    return {**shown, **of_list, "figures": figures, "goes_in": goes_in, "work": await _work()}


def _days_left(since: dt.datetime | None, days: int, now: dt.datetime) -> int:
    return max(0, days - (now - since).days) if since else days


async def _rows(settings: Settings, links: Links, cursor: str | None, *, goes_on: bool = False) -> dict[str, Any]:
    """Each first one of a day says so, as `day`; a list that goes on has said the day of its cursor."""
    found, following = await trashed_images(links=links, cursor=cursor, limit=PAGE)
    zone = reading.get().zone or settings.timezone
    before = min(moment_of(cursor), dt.datetime.now(dt.UTC)) if goes_on and cursor and found else None
    last = before.astimezone(zone).date() if before else None
    lines = await _lines(found, settings)
    for line in lines:
        day = line["image"].trashed_at.astimezone(zone).date()
        line["day"], last = (day if day != last else None), day
    return {"items": lines, "next": following}


async def _lines(found: Sequence[Trashed], settings: Settings) -> list[dict[str, Any]]:
    now = dt.datetime.now(dt.UTC)
    pinned = await holds.invoices_by_image(UUID(each.image.id) for each in found)
    return [
        {
            "image": each.image,
            "entity_name": each.entity_name,
            "days_left": _days_left(each.image.trashed_at, settings.trash_days, now),
            "pinned_on": pinned.get(UUID(each.image.id), []),
        }
        for each in found
    ]


async def _work() -> dict[str, Any] | None:
    """What is being done with the trash."""
    for line in await unfinished_lines():
        if line.job.kind in (EMPTY_TRASH, RESTORE_TRASH):
            return {"is_deleting": line.job.kind == EMPTY_TRASH, "progress": line.job.progress}
    return None


@post("/trash/restore", name="gallery:restore_trashed", include_in_schema=False, status_code=200, **permit("editor"))
async def restore(request: AnyRequest, settings: TheSettings, links: TheLinks, actor: TheActor) -> Response[Any]:
    """The chosen ones (`ids`), or with `as_of` all that lay there then."""
    form = await read_form_lists(request)
    ids = None if "as_of" in form else _chosen(form)
    if ids is None:
        job_id = await start_restoring(_moment(form), actor=actor)
        await wait_for_job(job_id, PATIENCE)
        count = ((await get_job(job_id)).result or {}).get("restored")
    else:
        count = await restore_images(ids, actor=actor)
    toast = None if count is None else Toast(_restored(count))
    if not is_htmx(request):
        return redirect(request, request.app.route_reverse("gallery:trash"), toast=toast)
    return await _renewed(request, settings, links, ids, toast)


def _restored(count: int) -> str:
    if not count:
        return "Nothing to restore: no longer in the trash"
    return "1 picture is back in its place" if count == 1 else f"{count:,} pictures are back in their places"


async def _renewed(
    request: AnyRequest, settings: Settings, links: Links, gone: Sequence[UUID] | None, toast: Toast | None
) -> Response[Any]:
    """Rows that go, so that the others stay where they are; the whole list where none or all did."""
    inputs = await _inputs(settings, links, None)
    names = ["gallery/_trash_gone.html" if gone and inputs["items"] else "gallery/_trash.html"]
    names += [*(["web/_toast.html"] if toast else []), "web/_nav_counts.html"]
    values = await shell_context(request) | {"toasts": [toast]} | inputs | {"gone": gone, "out_of_band": True}
    return Response("".join(render(request, name, values) for name in names), status_code=200, media_type="text/html")


@get("/trash/empty", name="gallery:ask_empty", include_in_schema=False, **permit("admin"))
async def ask_empty(request: AnyRequest, links: TheLinks) -> Template:
    """Asks before all is deleted for good."""
    return await _ask(request, links, None, {})


@post("/trash/ask", name="gallery:ask_delete", include_in_schema=False, status_code=200, **permit("admin"))
async def ask_delete(request: AnyRequest, links: TheLinks) -> Template:
    """Asks before the chosen ones are deleted for good; changes nothing."""
    return await _ask(request, links, _chosen(await read_form_lists(request)), {})


async def _ask(
    request: AnyRequest,
    links: Links,
    ids: Sequence[UUID] | None,
    errors: dict[str, str],
    *,
    as_of: dt.datetime | None = None,
    status: int = 200,
) -> Template:
    figures = await trash_figures()
    if ids is None:
        shown, _ = await trashed_images(links=links, cursor=None, limit=SHOWN)
        count, pinned = figures.deletable, figures.pinned
    else:
        shown = await chosen_in_trash(ids, links=links)
        pinned = len(await holds.invoices_by_image(UUID(each.image.id) for each in shown))
        count = len(shown) - pinned
    return await page(
        request,
        "gallery/trash_delete.html",
        status_code=status,
        images=[each.image for each in shown[:SHOWN]],
        ids=ids,
        going=count,
        pinned=pinned,
        bytes=figures.bytes if ids is None else sum(each.image.bytes for each in shown),
        as_of=as_of or figures.as_of,
        asks=needs_password(request),
        errors=errors,
    )


@post("/trash/delete", name="gallery:delete_trashed", include_in_schema=False, status_code=200, **permit("admin"))
async def delete(request: AnyRequest, links: TheLinks, actor: TheActor) -> Response[Any] | Template:
    """What the page before has asked about. The password is asked for again."""
    form = await read_form_lists(request)
    as_of, ids = _moment(form), _chosen(form) if "ids" in form else None
    try:
        await confirm_with(request, form.get("current", [""])[-1])
    except (FormError, RateLimited) as error:
        if wants_json(request):
            raise
        note_refusal(request, error)
        errors = error.errors if isinstance(error, FormError) else {"current": error.message}
        return await _ask(request, links, ids, errors, as_of=as_of, status=error.status)
    job_id = await start_deleting(ids, as_of, actor=actor)
    await wait_for_job(job_id, PATIENCE)
    result = (await get_job(job_id)).result
    return redirect(
        request, request.app.route_reverse("gallery:trash"), toast=Toast(_deleted(**result)) if result else None
    )


def _deleted(deleted: int, kept: int) -> str:
    said = "1 picture deleted for good" if deleted == 1 else f"{deleted:,} pictures deleted for good"
    stays = "1 stays" if kept == 1 else f"{kept:,} stay"
    return f"{said}; {stays}: pinned, or just restored" if kept else said


def _chosen(form: dict[str, list[str]]) -> list[UUID]:
    """Raises FormError, NotFound."""
    ids = list(dict.fromkeys(parse_image_id(each) for each in form.get("ids", [])))
    if not ids:
        raise FormError({"ids": "Choose at least one picture."})
    if len(ids) > MOST_CHOSEN:
        raise FormError({"ids": f"Choose at most {MOST_CHOSEN} pictures at once, or take all."})
    return ids


def _moment(form: dict[str, list[str]]) -> dt.datetime:
    """When the page was made that asked. Raises FormError."""
    try:
        moment = dt.datetime.fromisoformat(form.get("as_of", [""])[-1])
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise FormError({"as_of": "Open the trash again: this page has not said when it was made."})


router = Router(
    "/",
    route_handlers=[
        trash,
        trash_list,
        trash_rows,
        trash_work,
        restore,
        ask_empty,
        ask_delete,
        delete,
    ],
)
