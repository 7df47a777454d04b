"""One image's page: everything about it, and the form that changes what is said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.response import Template

from portal.accounts.guards import permit
from portal.audit import words
from portal.audit.actors import Actor
from portal.audit.queries import AuditEntry, history_of
from portal.entities.queries import invoices_listing
from portal.errors import FormError, PortalError, Stale
from portal.gallery import holds, queries, service
from portal.gallery.entity_pages import FormView, type_view
from portal.gallery.forms import clean_tags, read_picture_fields, read_revision
from portal.gallery.limits import upload_limits
from portal.gallery.queries import parse_image_id
from portal.gallery.seen import said_of, seen_of
from portal.gallery.versions import VersionView, versions_of
from portal.gallery.views import ImageView
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.forms import read_form
from portal.web.parameters import PathText, TheActor, TheLinks
from portal.web.rendering import AnyRequest, after, is_htmx, page


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the history in people's words."""

    at: datetime
    actor: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class VersionLine:
    """A version, and by whom it came as people say it."""

    view: VersionView
    by: str


@get("/images/{id:str}", name="gallery:image", include_in_schema=False, **permit("viewer"))
async def show(request: AnyRequest, links: TheLinks, id: PathText) -> Template:
    return await show_image(request, await queries.get_image(parse_image_id(id), links), links)


async def show_image(
    request: AnyRequest,
    image: ImageView,
    links: Links,
    *,
    form: FormView | None = None,
    replacing: PortalError | None = None,
    status: int = 200,
) -> Template:
    """The whole page; with what was typed into its form, or why the file that was sent does not replace this one."""
    settings: Settings = request.app.state.settings
    previous, following = (None, None) if image.trashed_at else await queries.neighbours_of(image)
    return await page(
        request,
        "gallery/image.html",
        status_code=status,
        **await parts_of(request, image, links),
        kind=type_view(image.entity.type),
        entity=await queries.get_entity(image.entity, links),
        previous=previous,
        following=following,
        form=form or FormView({}, {}),
        limits=upload_limits(settings, image.entity.type),
        replacing=replacing and {"message": replacing.message, "image_id": replacing.extra.get("image_id")},
        used_on=await _uses(request, image),
        pinned_on=await holds.invoices_pinned_to([UUID(image.id)]),
    )


async def parts_of(
    request: AnyRequest, image: ImageView, links: Links, *, changed_here: bool = False
) -> dict[str, Any]:
    """What gallery/_parts.html wants: all that follows the picture's bytes and edits, and the picture as it is then."""
    actor: Actor = request.scope["user"]
    image_id = UUID(image.id)
    kept = await versions_of(image_id, links=links)
    is_rendering = not await queries.are_settled([image_id])
    if not is_rendering:  # what was read before may be from before the last rendering ended, and nobody asks again
        image = await queries.get_image(image_id, links)
    made_with = await queries.edits_shown(image_id) if is_rendering else None
    return {
        "image": image,
        "seen": seen_of(image, is_rendering=is_rendering, made_with=made_with),
        "versions": [VersionLine(each, words.who(each.uploaded_by) if each.uploaded_by else "") for each in kept.items],
        "history": [_step(entry) for entry in await history_of("image", image.id)],
        "added_by": words.who(image.uploaded_by) if image.uploaded_by else None,
        "can_edit": actor.may("editor"),
        "changed_here": changed_here,
    }


async def _uses(request: AnyRequest, image: ImageView) -> list[dict[str, str]]:
    """The invoices that show this picture because it is the primary one of their item."""
    if image.entity.type != "inventory_items" or not image.is_primary:
        return []
    return [
        {"label": name, "url": request.app.route_reverse("gallery:show", type="invoices", id=id)}
        for id, name in await invoices_listing(image.entity.id, 20)
    ]


def _step(entry: AuditEntry) -> Step:
    after = entry.after or {}
    action, detail = words.said_of_itself(entry.action), ""
    if entry.action == "image.describe":
        fields = ", ".join(dict.fromkeys(words.field_of(name) for name in after))
        action, detail = said_of(after) or (action, fields)
    elif entry.action == "image.replace":
        detail = after.get("filename", "")
    elif entry.action == "image.restore_version":
        detail = f"version {after['restored']}" if "restored" in after else ""
    return Step(entry.at, words.who(entry.actor), action, detail)


@post("/images/{id:str}", name="gallery:edit", include_in_schema=False, status_code=200, **permit("editor"))
async def edit(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any] | Template:
    """A refused or overtaken change comes back with what was typed; nothing is lost."""
    image_id = parse_image_id(id)
    sent = await read_form(request)
    try:
        changes = read_details(sent)
        await service.change_image(image_id, changes, actor=actor, revision=read_revision(sent))
    except (FormError, Stale) as error:
        return await show_again(request, image_id, links, sent, error)
    return await after(
        request,
        "gallery/_metadata_form.html",
        to=request.app.route_reverse("gallery:image", id=str(image_id)),
        toast="Saved",
        image=await queries.get_image(image_id, links),
        form=FormView({}, {}),
        can_edit=True,
    )


async def show_again(
    request: AnyRequest, image_id: UUID, links: Links, sent: dict[str, str], error: FormError | Stale
) -> Template:
    """The form with what was typed and what is wrong with it: alone for htmx, else on its page."""
    form = FormView(sent, error.errors if isinstance(error, FormError) else {"revision": error.message})
    image = await queries.get_image(image_id, links)
    if not is_htmx(request):
        return await show_image(request, image, links, form=form, status=error.status)
    context: dict[str, Any] = {"image": image, "form": form, "can_edit": True}
    return await page(request, "gallery/_metadata_form.html", status_code=error.status, **context)


def read_details(sent: dict[str, str]) -> dict[str, Any]:
    """The form's fields as columns. Raises FormError with every wrong field."""
    errors: dict[str, str] = {}
    changes: dict[str, Any] = {"decorative": sent.get("decorative") == "true"}
    try:
        words = read_picture_fields({name: sent.get(name, "") for name in ("alt_text", "caption")})
        changes |= {"alt_text": words.alt_text, "caption": words.caption}
    except FormError as error:
        errors |= error.errors
    try:
        changes["tags"] = list(clean_tags(sent.get("tags", "")))
    except ValueError as error:
        errors["tags"] = str(error)
    try:
        changes |= _focal_point(sent.get("focal_x", "").strip(), sent.get("focal_y", "").strip())
    except ValueError as error:
        errors["focal_x"] = str(error)
    if errors:
        raise FormError(errors)
    return changes


def _focal_point(x: str, y: str) -> dict[str, Any]:
    if not x and not y:
        return {"focal_x": None, "focal_y": None}
    if not x or not y:
        raise ValueError("Give both numbers, or none for the middle.")
    try:
        point = float(x.replace(",", ".")), float(y.replace(",", "."))
    except ValueError as error:
        raise ValueError("Use numbers from 0 to 1.") from error
    if not all(math.isfinite(each) and 0 <= each <= 1 for each in point):
        raise ValueError("Use numbers from 0 to 1.")
    return {"focal_x": point[0], "focal_y": point[1]}


router = Router("/", route_handlers=[show, edit])
