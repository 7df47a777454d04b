"""Alt texts, captions and tags as a table: out as CSV, and back in after a look at what would change."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from litestar import Router, get, post
from litestar.params import FromQuery
from litestar.response import Response, Stream, Template

from portal.accounts.guards import permit
from portal.audit.actors import Actor
from portal.entities.kinds import KINDS
from portal.errors import FormError, NotFound, PortalError, UnsupportedFormat
from portal.gallery.text_files import COLUMNS
from portal.gallery.text_tasks import KEPT_SECONDS, TEXTS, TextFiles
from portal.gallery.texts import Wanted, import_texts, texts_of
from portal.gallery.uploads import received
from portal.jobs.progress import JobView, get_job, start_job
from portal.settings import Settings
from portal.storage.store import Store
from portal.web.csv_answers import csv_response
from portal.web.exceptions import wants_json
from portal.web.forms import read_form
from portal.web.job_answers import read_job_id, wait_for_job
from portal.web.parameters import PathText, TheActor, TheSettings, TheStore
from portal.web.refusals import note_refusal
from portal.web.rendering import AnyRequest, is_htmx, page, redirect

PATH: Final = "/settings/texts"
PATIENCE: Final = 1.5  # seconds that an answer waits for a short job's end
_MOST_SHOWN: Final = 100  # errors


@get("/", name="gallery:texts", include_in_schema=False, **permit("editor"))
async def show(
    request: AnyRequest,
    settings: TheSettings,
    job: FromQuery[str] = "",
    type: FromQuery[str] = "",
    id: FromQuery[str] = "",
    missing: FromQuery[str] = "",
) -> Template:
    """`?job=…`: what becomes, or became, of an import. The others: whose texts the export offers, asked by a list or gallery."""
    wanted = _wanted(type, id, missing)
    return await _page(request, settings, run=await _run_of(job) if job else None, wanted=wanted)


@get("/export", name="gallery:export_texts", include_in_schema=False, **permit("editor"))
async def export(type: FromQuery[str] = "", id: FromQuery[str] = "", missing: FromQuery[str] = "") -> Stream:
    """`missing=alt`: only what wants an alt text."""
    texts = texts_of(_wanted(type, id, missing))
    return csv_response(f"texts-{datetime.now(UTC):%Y-%m-%d}.csv", COLUMNS, texts)


def _wanted(type: str, id: str, missing: str) -> Wanted:
    """Raises FormError."""
    if missing not in ("", "alt"):
        raise FormError({"missing": "Use alt."})
    return Wanted(type, id, missing == "alt")


@post("/", name="gallery:look_through", include_in_schema=False, status_code=200, **permit("editor", upload=True))
async def look_through(
    request: AnyRequest, settings: TheSettings, store: TheStore, actor: TheActor
) -> Response[Any] | Template:
    """What the file would change. Nothing does; the file is kept for a while, to be applied."""
    try:
        plan = await _looked_through(request, settings, store, actor)
    except PortalError as error:
        if wants_json(request) or error.status not in (413, 415, 422):
            raise
        note_refusal(request, error)
        errors = error.errors if isinstance(error, FormError) else {"file": error.message}
        if is_htmx(request):
            return await page(request, "gallery/_texts_import.html", status_code=422, **_form(settings, errors))
        return await _page(request, settings, status_code=error.status, errors=errors)
    if is_htmx(request):
        return await page(request, "gallery/_texts_plan.html", plan=plan)
    return await _page(request, settings, plan=plan)


async def _looked_through(request: AnyRequest, settings: Settings, store: Store, actor: Actor) -> dict[str, Any]:
    """Raises FormError, TooLarge, UnsupportedFormat, and Busy and DiskFull as for pictures: what is kept takes room, too."""
    async with received(request, settings, store, max_files=1, fields=()) as upload:
        if not upload.files:
            raise FormError({"file": "Choose a file first."})
        sent = upload.files[0]
        if sent.refused is not None:
            raise sent.refused
        if not sent.filename.lower().endswith((".csv", ".txt", ".tsv")):
            raise UnsupportedFormat("This is no CSV. In a spreadsheet, save it as “CSV UTF-8” and choose it again.")
        with await asyncio.to_thread(sent.path.open, "rb") as file:
            told = await import_texts(file, actor=actor, dry_run=True)
        kept = await _kept(settings, sent.path, actor) if told.changed else None
        return {"told": told, "file": kept, "filename": sent.filename[:200], "errors": told.errors[:_MOST_SHOWN]}


async def _kept(settings: Settings, path: Path, actor: Actor) -> str:
    """Until it is applied, or its time is up."""
    files, loop = TextFiles(settings.temp_dir), asyncio.get_running_loop()
    name = await asyncio.to_thread(files.keep, path, actor.name)
    loop.call_later(KEPT_SECONDS, lambda: loop.run_in_executor(None, files.drop, name))
    return name


@post("/apply", name="gallery:apply_texts", include_in_schema=False, status_code=200, **permit("editor"))
async def apply(request: AnyRequest, settings: TheSettings, actor: TheActor) -> Response[Any] | Template:
    sent = await read_form(request)
    name, lines = sent.get("file", ""), sent.get("lines", "")
    try:
        await asyncio.to_thread(TextFiles(settings.temp_dir).take, name)
    except NotFound as error:
        raise FormError({"file": error.message}, error.message) from error
    total = int(lines) if lines.isascii() and lines.isdigit() and len(lines) < 10 else None
    job_id = await start_job(TEXTS, {"file": name, "lines": total}, actor=actor)
    await wait_for_job(job_id, PATIENCE)
    if is_htmx(request):
        return await page(request, "gallery/_texts_run.html", run=await _run_of(str(job_id)))
    return redirect(request, f"{PATH}?job={job_id}")


@get("/runs/{id:str}", name="gallery:texts_run", include_in_schema=False, **permit("editor"))
async def show_run(request: AnyRequest, id: PathText) -> Template:
    return await page(request, "gallery/_texts_run.html", run=await _run_of(id))


async def _run_of(text: str) -> JobView:
    """Raises NotFound, also for another kind of job."""
    job = await get_job(read_job_id(text))
    if job.kind != TEXTS:
        raise NotFound("There is no job with this id.")
    return job


async def _page(
    request: AnyRequest,
    settings: Settings,
    *,
    plan: dict[str, Any] | None = None,
    run: JobView | None = None,
    wanted: Wanted | None = None,
    errors: dict[str, str] | None = None,
    status_code: int = 200,
) -> Template:
    context = _form(settings, errors or {}) | {"plan": plan, "run": run, "kinds": list(KINDS.values())}
    context["wanted"] = wanted or Wanted()
    return await page(request, "gallery/texts.html", status_code=status_code, **context)


def _form(settings: Settings, errors: dict[str, str]) -> dict[str, Any]:
    return {"errors": errors, "most_mb": settings.uploads.max_bytes // 2**20}


router = Router(path=PATH, route_handlers=[show, export, look_through, apply, show_run])
