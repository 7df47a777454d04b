"""What arranges a gallery: a picture's place in it, and whether it is looked at as a grid or as a list."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response, Router, post

from portal.accounts.guards import permit
from portal.entities.kinds import parse_ref
from portal.errors import FormError
from portal.gallery.layout import VIEWS, remember_view
from portal.gallery.ordering import Moved, move_image, place_image
from portal.gallery.pages import after_change
from portal.gallery.queries import parse_image_id
from portal.storage.links import Links
from portal.web.forms import read_form
from portal.web.parameters import PathText, QueryText, TheActor, TheLinks
from portal.web.rendering import AnyRequest, Toast


@post(
    "/entities/{type:str}/{id:str}/place",
    name="gallery:place",
    include_in_schema=False,
    status_code=200,
    **permit("editor"),
)
async def place(
    request: AnyRequest,
    links: TheLinks,
    actor: TheActor,
    type: PathText,
    id: PathText,
    back: QueryText = None,
    image: QueryText = None,
) -> Response[Any]:
    """`image` before or after another one, else last. As a toast's undo it comes with all in its address."""
    form = await read_form(request)
    if image is not None:
        await place_image(parse_image_id(image), before=_beside(back), actor=actor)
        return await after_change(request, parse_ref(type, id), links, Toast("Back in its place"))
    moved = await place_image(
        parse_image_id(form.get("image", "")),
        before=_beside(form.get("before")),
        after=_beside(form.get("after")),
        actor=actor,
    )
    return await _after_move(request, links, parse_image_id(form["image"]), moved)


@post("/images/{id:str}/move", name="gallery:move", include_in_schema=False, status_code=200, **permit("editor"))
async def move(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    image_id = parse_image_id(id)
    moved = await move_image(image_id, (await read_form(request)).get("direction", ""), actor=actor)
    return await _after_move(request, links, image_id, moved)


def _beside(text: str | None) -> UUID | None:
    return parse_image_id(text) if text else None


async def _after_move(request: AnyRequest, links: Links, image_id: UUID, moved: Moved) -> Response[Any]:
    if not moved.is_elsewhere:
        return await after_change(request, moved.ref, links)
    way_back = {"image": str(image_id)} | ({"back": str(moved.was_before)} if moved.was_before else {})
    address = request.app.route_reverse("gallery:place", type=moved.ref.type, id=moved.ref.id)
    toast = Toast(f"Order saved: now picture {moved.place:,}", f"{address}?{urlencode(way_back)}")
    return await after_change(request, moved.ref, links, toast)


@post(
    "/entities/{type:str}/{id:str}/view",
    name="gallery:view",
    include_in_schema=False,
    status_code=200,
    **permit("viewer"),
)
async def choose_view(request: AnyRequest, links: TheLinks, type: PathText, id: PathText) -> Response[Any]:
    view = (await read_form(request)).get("view", "")
    if view not in VIEWS:
        raise FormError({"view": f"Use one of {', '.join(VIEWS)}."})
    answer = await after_change(request, parse_ref(type, id), links, view=view)
    remember_view(request, answer, view)
    return answer


router = Router("/", route_handlers=[place, move, choose_view])
