"""Pinning an invoice, and unpinning it, on its gallery's page."""

from __future__ import annotations

from typing import Any

from litestar import Response, Router, post

from portal.accounts.guards import permit
from portal.entities.kinds import EntityRef, parse_ref
from portal.gallery.pins import find_pin_line, pin_invoice, unpin_invoice
from portal.gallery.queries import get_entity
from portal.storage.links import Links
from portal.web.parameters import PathText, TheActor, TheLinks, TheSettings
from portal.web.rendering import AnyRequest, after


@post(
    "/entities/{type:str}/{id:str}/pin",
    name="gallery:pin",
    status_code=200,
    include_in_schema=False,
    **permit("editor"),
)
async def pin(request: AnyRequest, links: TheLinks, actor: TheActor, type: PathText, id: PathText) -> Response[Any]:
    ref = parse_ref(type, id)
    is_new = await pin_invoice(ref, actor=actor)
    return await _after(request, ref, links, "Pinned to the pictures of now" if is_new else "It was pinned before")


@post(
    "/entities/{type:str}/{id:str}/unpin",
    name="gallery:unpin",
    status_code=200,
    include_in_schema=False,
    **permit("editor"),
)
async def unpin(
    request: AnyRequest, settings: TheSettings, links: TheLinks, actor: TheActor, type: PathText, id: PathText
) -> Response[Any]:
    ref = parse_ref(type, id)
    await unpin_invoice(ref, actor=actor, deletes_per_hour=settings.deletes_per_hour)
    return await _after(request, ref, links, "Unpinned: card and embed show what is current")


async def _after(request: AnyRequest, ref: EntityRef, links: Links, said: str) -> Response[Any]:
    context: dict[str, Any] = {
        "entity": await get_entity(ref, links),
        "pin": await find_pin_line(ref),
        "can_edit": True,
        "takes_focus": True,
    }
    gallery = request.app.route_reverse("gallery:show", type=ref.type, id=ref.id)
    return await after(request, "gallery/_pin.html", to=gallery, toast=said, **context)


router = Router("/", route_handlers=[pin, unpin])
