"""The gallery's pages and what one does on them. Every action is a form's POST; htmx only makes it quick."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Response, Router, get, post
from litestar.params import FromQuery
from litestar.response import Template

from portal.accounts.guards import permit
from portal.audit.actors import Actor
from portal.entities.kinds import EntityRef, parse_ref
from portal.entities.queries import count_invoices_listing
from portal.errors import FormError, Stale
from portal.gallery import disposal, holds, queries, service
from portal.gallery.entity_pages import type_view
from portal.gallery.flow_pages import Flow, flow_of
from portal.gallery.forms import read_picture_fields, read_revision
from portal.gallery.image_pages import show_again
from portal.gallery.layout import cursor_shown, left_at, view_of
from portal.gallery.limits import upload_limits
from portal.gallery.pins import find_pin_line
from portal.gallery.queries import parse_image_id
from portal.gallery.twins import lookalikes_of
from portal.gallery.uploads import MAX_FILES, Outcome, add_files, body_hash, received
from portal.gallery.uses import uses_of_entity
from portal.jobs.queue import URGENT
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.exceptions import wants_json
from portal.web.forms import read_form_lists
from portal.web.once import once
from portal.web.parameters import Cursor, PathText, TheActor, TheLinks, ThePool, TheSettings, TheStore
from portal.web.rendering import AnyRequest, Toast, after, is_htmx, page, redirect, render, shell_context

PAGE: Final = 100


@get("/entities/{type:str}/{id:str}", name="gallery:show", include_in_schema=False, **permit("viewer"))
async def show(
    request: AnyRequest,
    settings: TheSettings,
    links: TheLinks,
    type: PathText,
    id: PathText,
    cursor: Cursor = None,
    q: FromQuery[str] = "",
    missing: FromQuery[str] = "",
    sort: FromQuery[str] = "name",
) -> Template:
    """`q`, `missing` and `sort`: of the list of what is missing that somebody goes along."""
    ref = parse_ref(type, id)
    flow = await flow_of(request, ref, q, missing, sort)
    return await _show(request, ref, settings, links, cursor=cursor, flow=flow)


async def _show(
    request: AnyRequest,
    ref: EntityRef,
    settings: Settings,
    links: Links,
    *,
    cursor: str | None = None,
    refused: list[dict[str, str]] | None = None,
    flow: Flow | None = None,
) -> Template:
    context = await _gallery_context(request, ref, links, cursor)
    used_on = await count_invoices_listing(ref.id) if ref.type == "inventory_items" else 0
    return await page(
        request,
        "gallery/show.html",
        status_code=422 if refused else 200,
        **context,
        used_on=used_on,
        pin=await find_pin_line(ref),
        pinned_on=await holds.invoices_pinned_within(ref),
        uses=await uses_of_entity(ref) if _can_edit(request) else None,
        limits=upload_limits(settings, ref.type),
        refused=refused or [],
        flow=flow,
    )


async def _gallery_context(
    request: AnyRequest, ref: EntityRef, links: Links, cursor: str | None = None, view: str | None = None
) -> dict[str, Any]:
    gallery = await queries.gallery_of(ref, links=links, cursor=cursor, limit=PAGE)
    if cursor and not gallery.items:  # the last of that part have just left
        cursor, gallery = None, await queries.gallery_of(ref, links=links, limit=PAGE)
    return {
        "kind": type_view(ref.type),
        "entity": await queries.get_entity(ref, links),
        "images": gallery.items,
        "total": gallery.total,
        "next": gallery.next,
        "cursor": cursor,
        "view": view or view_of(request),
        "missing_alt": sum(not image.alt_text and not image.decorative for image in gallery.items),
        "can_edit": _can_edit(request),
    }


def _can_edit(request: AnyRequest) -> bool:
    actor: Actor | None = request.scope.get("user")
    return actor is not None and actor.may("editor")


def _url(request: AnyRequest, ref: EntityRef) -> str:
    return request.app.route_reverse("gallery:show", type=ref.type, id=ref.id)


def _back(request: AnyRequest, ref: EntityRef) -> str:
    """To where in the gallery a plain form was sent from."""
    url = _url(request, ref)
    left = left_at(request, url)
    return f"{url}?{urlencode(left)}" if left else url


@get("/entities/{type:str}/{id:str}/grid", name="gallery:grid", include_in_schema=False, **permit("viewer"))
async def grid(request: AnyRequest, links: TheLinks, type: PathText, id: PathText, cursor: Cursor = None) -> Template:
    context = await _gallery_context(request, parse_ref(type, id), links, cursor)
    return await page(request, "gallery/_grid.html", **context)


async def after_change(
    request: AnyRequest, ref: EntityRef, links: Links, toast: Toast | None = None, view: str | None = None
) -> Response[Any]:
    """The gallery's grid for htmx, the gallery for a form."""
    cursor = cursor_shown(request)
    context = await _gallery_context(request, ref, links, cursor, view) if is_htmx(request) else {}
    return await after(request, "gallery/_grid.html", to=_back(request, ref), toast=toast, counts=True, **context)


@post(
    "/entities/{type:str}/{id:str}/images",
    name="gallery:upload",
    include_in_schema=False,
    **permit("editor", upload=True),
)
async def upload(
    request: AnyRequest,
    settings: TheSettings,
    store: TheStore,
    pool: ThePool,
    links: TheLinks,
    actor: TheActor,
    type: PathText,
    id: PathText,
) -> Response[Any] | Template:
    """From the upload zone (one file, htmx): a card or a problem; from the plain form: back to the gallery."""
    ref = parse_ref(type, id)
    async with received(request, settings, store, max_files=MAX_FILES) as sent:
        fields = read_picture_fields(sent.fields)
        files = [file for file in sent.files if file.field == "file"]
        if not files:
            raise FormError({"file": "Choose at least one picture."})
        outcomes: list[Outcome] = []

        async def run(claim: Any) -> tuple[int, Any]:
            outcomes.extend(
                await add_files(
                    ref,
                    files,
                    fields,
                    settings=settings,
                    store=store,
                    pool=pool,
                    actor=actor,
                    claim=claim,
                    priority=URGENT,
                )
            )
            stored = [str(each.image_id) for each in outcomes if each.image_id]
            if not stored and outcomes[0].error is not None and (wants_json(request) or is_htmx(request)):
                raise outcomes[0].error
            return 201, stored

        answer = await once(request, actor=actor, body_hash=body_hash(sent.fields, files), run=run)
    if is_htmx(request):
        return await _cards(request, answer.content, links)
    refused = [
        {"filename": each.filename, "message": each.error.message} for each in outcomes if each.error is not None
    ]
    if refused:
        left = left_at(request, _url(request, ref))
        flow = await flow_of(request, ref, left.get("q", ""), left.get("missing", ""), left.get("sort", ""))
        return await _show(request, ref, settings, links, refused=refused, flow=flow)
    return redirect(request, _back(request, ref), toast=Toast(_added(len(files))))


def _added(count: int) -> str:
    return "1 picture added" if count == 1 else f"{count} pictures added"


async def _cards(request: AnyRequest, ids: bytes, links: Links) -> Response[str]:
    context = await shell_context(request)
    of_card = {"can_edit": True, "edit": False, "view": view_of(request)}
    html = ""
    for image in [await queries.find_image(parse_image_id(each), links) for each in json.loads(ids)]:
        if image is None:
            continue
        html += render(request, "gallery/_card.html", context | {"image": image} | of_card)
        for alike in await lookalikes_of(parse_image_id(image.id), links, but_copies=True, limit=1):
            html += render(request, "gallery/_lookalike.html", context | {"image": image, "alike": alike})
    return Response(html, status_code=201, media_type="text/html")


@get("/images/{id:str}/card", name="gallery:card", include_in_schema=False, **permit("viewer"))
async def card(request: AnyRequest, links: TheLinks, id: PathText, edit: FromQuery[int] = 0) -> Template:
    return await _card(request, links, id, edit=bool(edit) and _can_edit(request))


async def _card(request: AnyRequest, links: Links, id: str, *, edit: bool = False) -> Template:
    image = await queries.get_image(parse_image_id(id), links)
    context = {"can_edit": _can_edit(request), "edit": edit, "view": view_of(request)}
    return await page(request, "gallery/_card.html", image=image, **context)


async def _form(request: AnyRequest) -> dict[str, str]:
    """The last value of each field."""
    return {name: values[-1] for name, values in (await read_form_lists(request)).items()}


@post("/images/{id:str}/text", name="gallery:describe", include_in_schema=False, status_code=200, **permit("editor"))
async def describe(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    form, image_id = await _form(request), parse_image_id(id)
    try:
        await service.change_image(image_id, _words(form), actor=actor, revision=read_revision(form))
    except (FormError, Stale) as error:
        if is_htmx(request):
            raise  # a notice; what was typed still stands on the card
        return await show_again(request, image_id, links, form, error)
    image = await queries.get_image(parse_image_id(id), links)
    return await after(
        request,
        "gallery/_card.html",
        to=_back(request, image.entity),
        toast="Text saved",
        image=image,
        can_edit=True,
        edit=False,
        view=view_of(request),
    )


def _words(form: dict[str, str]) -> dict[str, Any]:
    """Alt text, caption and decorative as columns. Raises FormError."""
    fields = read_picture_fields({name: form.get(name, "") for name in ("alt_text", "caption")})
    return {"alt_text": fields.alt_text, "caption": fields.caption, "decorative": form.get("decorative") == "true"}


@post(
    "/images/{id:str}/primary",
    name="gallery:make_primary",
    include_in_schema=False,
    status_code=200,
    **permit("editor"),
)
async def make_primary(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    image = await queries.get_image(parse_image_id(id), links)
    await service.change_image(parse_image_id(id), {"is_primary": True}, actor=actor)
    return await after_change(request, image.entity, links, Toast("This picture is now the primary one"))


@post(
    "/images/{id:str}/trash", name="gallery:trash_image", include_in_schema=False, status_code=200, **permit("editor")
)
async def trash_image(
    request: AnyRequest, settings: TheSettings, links: TheLinks, actor: TheActor, id: PathText
) -> Response[Any]:
    image = await queries.get_image(parse_image_id(id), links)
    await disposal.trash_image(parse_image_id(id), actor=actor, deletes_per_hour=settings.deletes_per_hour)
    undo = request.app.route_reverse("gallery:restore", id=image.id)
    return await after_change(request, image.entity, links, Toast("1 picture moved to the trash", undo))


@post("/images/{id:str}/restore", name="gallery:restore", include_in_schema=False, status_code=200, **permit("editor"))
async def restore(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    await disposal.restore_image(parse_image_id(id), actor=actor)
    image = await queries.get_image(parse_image_id(id), links)
    return await after_change(request, image.entity, links, Toast("Restored to its place"))


@post("/images/{id:str}/retry", name="gallery:retry", include_in_schema=False, status_code=200, **permit("editor"))
async def retry(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    await service.retry_image(parse_image_id(id), actor=actor)
    image = await queries.get_image(parse_image_id(id), links)
    back = _back(request, image.entity)
    of_card = {"can_edit": True, "edit": False, "view": view_of(request)}
    return await after(request, "gallery/_card.html", to=back, image=image, **of_card)


@post("/images/{id:str}/delete", name="gallery:delete", include_in_schema=False, **permit("editor"))
async def delete(
    request: AnyRequest, settings: TheSettings, links: TheLinks, actor: TheActor, id: PathText
) -> Response[Any]:
    """Only out of the trash."""
    most = settings.deletes_per_hour
    await disposal.delete_image(parse_image_id(id), actor=actor, deletes_per_hour=most, only_from_trash=True)
    return redirect(request, request.app.route_reverse("gallery:trash"), toast=Toast("1 picture deleted for good"))


router = Router(
    "/",
    route_handlers=[
        show,
        grid,
        upload,
        card,
        describe,
        make_primary,
        trash_image,
        restore,
        retry,
        delete,
    ],
)
