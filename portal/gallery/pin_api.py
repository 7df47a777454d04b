"""Invoices' pins in the JSON API."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, Router, delete, get, post
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example

from portal.accounts.guards import permit
from portal.entities.kinds import EntityRef, parse_ref
from portal.gallery.image_objects import IMAGE_EXAMPLE
from portal.gallery.pins import PinView, find_pin, not_pinned, pin_invoice, unpin_invoice
from portal.storage.links import Links
from portal.web.answers import json_response
from portal.web.parameters import PathText, TheActor, TheLinks, TheSettings

_EXAMPLE: Final[dict[str, Any]] = {
    "invoice": {"type": "invoices", "id": "R-2026-0438"},
    "pinned_at": "2026-11-22T09:41:07.149343Z",
    "pinned_by": "system",
    "items": ["MUG-FJORD-BL"],
    "pictures": [{"item": "MUG-FJORD-BL", "position": 0, "image": IMAGE_EXAMPLE}],
}
_PIN: Final = ResponseSpec(
    PinView, description="The pin as it stands", examples=[Example(summary="A pin", value=_EXAMPLE)]
)


@get(
    "/{type:str}/{id:str}/pin",
    summary="The pictures that an invoice is pinned to",
    responses={200: _PIN},
    **permit("viewer"),
)
async def show(type: PathText, id: PathText, links: TheLinks) -> Response[bytes]:
    """404 while it is not pinned. The URLs serve these very renditions, and work without signing in for about an hour."""
    return await _answer(200, parse_ref(type, id), links)


@post(
    "/{type:str}/{id:str}/pin",
    summary="Pin an invoice to the pictures that it shows now",
    status_code=201,
    responses={201: _PIN, 200: ResponseSpec(PinView, description="It was pinned before, and stays as it is")},
    **permit("editor", problems=(409,)),
)
async def pin(type: PathText, id: PathText, links: TheLinks, actor: TheActor) -> Response[bytes]:
    """Card and embed show them from then on, whatever becomes of the pictures; texts about them stay live. 409 while one of
    them is being rendered, or where there is none. When an embed key first opens an invoice, it is pinned by itself.
    """
    ref = parse_ref(type, id)
    is_new = await pin_invoice(ref, actor=actor)
    return await _answer(201 if is_new else 200, ref, links)


@delete(
    "/{type:str}/{id:str}/pin",
    summary="Unpin an invoice: it shows what is current again",
    status_code=204,
    **permit("editor", problems=(409, 429)),
)
async def unpin(type: PathText, id: PathText, settings: TheSettings, actor: TheActor) -> None:
    """What only the pin held goes, old versions beyond the ten among it; these count among an editor's deletes."""
    await unpin_invoice(parse_ref(type, id), actor=actor, deletes_per_hour=settings.deletes_per_hour)


async def _answer(status: int, ref: EntityRef, links: Links) -> Response[bytes]:
    found = await find_pin(ref, links)
    if found is None:
        raise not_pinned()
    return json_response(status, found)


router = Router("/api/entities", route_handlers=[show, pin, unpin], tags=["entities"])
