"""One image's page: everything about it, and the form that changes what is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.response import Template

from portal.accounts.guards import permit
from portal.audit import words
from portal.audit.actors import Actor
from portal.errors import FormError, PortalError, Stale
from portal.gallery import holds, queries
from portal.gallery.detail_forms import DetailsForm, form_in_quarrel, form_of, form_refused, save_details
from portal.gallery.embed_codes import embed_code
from portal.gallery.entity_pages import type_view
from portal.gallery.limits import upload_limits
from portal.gallery.presets import presets_in_force
from portal.gallery.queries import parse_image_id
from portal.gallery.seen import seen_of
from portal.gallery.steps import steps_of
from portal.gallery.tags import tags_beginning, tags_beside
from portal.gallery.uses import uses_of_images
from portal.gallery.versions import VersionView, versions_of
from portal.gallery.views import ImageView
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.forms import read_form_lists
from portal.web.parameters import PathText, QueryText, TheActor, TheLinks
from portal.web.rendering import AnyRequest, Toast, after, is_htmx, page, redirect

SAVED: Final = "Saved"
PRIMARY: Final = "This picture is now the primary one"
SAVED_BOTH: Final = "Saved. What somebody else changed meanwhile stands, too"


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
    form: DetailsForm | None = None,
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
        form=form or form_of(image),
        limits=upload_limits(settings, image.entity.type),
        replacing=replacing and {"message": replacing.message, "image_id": replacing.extra.get("image_id")},
        uses=await uses_of_images([UUID(image.id)]),
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
        "history": await steps_of(image.id),
        "boxes": await presets_in_force(),
        "added_by": words.who(image.uploaded_by) if image.uploaded_by else None,
        "is_private": image.entity.type in links.private_types,
        "code": embed_code(image, request.app.state.settings.base_url),
        "can_edit": actor.may("editor"),
        "changed_here": changed_here,
    }


@post("/images/{id:str}", name="gallery:edit", include_in_schema=False, status_code=200, **permit("editor"))
async def edit(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any] | Template:
    """A refused or overtaken change comes back with what was typed; nothing is lost."""
    image_id = parse_image_id(id)
    sent = await read_form_lists(request)
    try:
        outcome = await save_details(image_id, sent, actor=actor, links=links)
    except FormError as error:
        image = await queries.get_image(image_id, links)
        return await _show_form(request, image, links, form_refused(image, sent, error.errors), error.status)
    image = await queries.get_image(image_id, links)
    if outcome.quarrels:
        form = await form_in_quarrel(image, sent, outcome.quarrels)
        return await _show_form(request, image, links, form, Stale.status)
    toast = Toast(PRIMARY if "is_primary" in sent else SAVED_BOTH if outcome.is_shared else SAVED)
    if sent.get("then") == ["next"]:
        return await _go_on(request, image, toast)
    return await after(
        request,
        "gallery/_details_saved.html",
        to=request.app.route_reverse("gallery:image", id=str(image_id)),
        toast=toast,
        image=image,
        history=await steps_of(image.id),
        form=form_of(image, is_saved=True),
        can_edit=True,
        following=(await queries.neighbours_of(image))[1],
    )


async def _go_on(request: AnyRequest, image: ImageView, toast: Toast) -> Response[Any]:
    """To the next picture's words, or from the last one back to the gallery."""
    following = None if image.trashed_at else (await queries.neighbours_of(image))[1]
    if following:
        to = request.app.route_reverse("gallery:image", id=following) + "#alt-text"
    else:
        to = request.app.route_reverse("gallery:show", type=image.entity.type, id=image.entity.id)
    answer = redirect(request, to, toast=toast)
    if is_htmx(request):
        answer.status_code, answer.headers["HX-Redirect"] = 200, answer.headers.pop("location")
    return answer


async def show_again(
    request: AnyRequest, image_id: UUID, links: Links, sent: Mapping[str, str], error: FormError | Stale
) -> Template:
    """The form with what was typed elsewhere (on a card) and what is wrong with it."""
    image, typed = await queries.get_image(image_id, links), {name: [value] for name, value in sent.items()}
    if isinstance(error, FormError):
        form = form_refused(image, typed, error.errors)
    else:
        form = await form_in_quarrel(image, typed)
    return await _show_form(request, image, links, form, error.status)


async def _show_form(request: AnyRequest, image: ImageView, links: Links, form: DetailsForm, status: int) -> Template:
    if not is_htmx(request):
        return await show_image(request, image, links, form=form, status=status)
    following = None if image.trashed_at else (await queries.neighbours_of(image))[1]
    context: dict[str, Any] = {"image": image, "form": form, "can_edit": True, "following": following}
    return await page(request, "gallery/_metadata_form.html", status_code=status, **context)


@get("/images/{id:str}/tags", name="gallery:tags", include_in_schema=False, **permit("viewer"))
async def tags(request: AnyRequest, id: PathText, q: QueryText = None) -> Template:
    """What one may mean who has typed this much of a tag; before that, what is used beside it."""
    image_id, text = parse_image_id(id), (q or "").strip()[:100]
    found = await tags_beginning(text) if text else await tags_beside(image_id)
    return await page(request, "gallery/_tag_options.html", tags=found)


router = Router("/", route_handlers=[show, edit, tags])
