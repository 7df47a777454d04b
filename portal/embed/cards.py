"""Cards: an invoice, item or customer with its pictures and a QR code, to look at, to frame and to print."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection
from typing import Any, Final

from litestar import Response, Router, get
from litestar.response import Template
from markupsafe import Markup

from portal.accounts.guards import actor_of, may_see, permit
from portal.accounts.sessions import authenticate
from portal.embed.frames import (
    for_visitor,
    frame_headers,
    links_for,
    read_options,
    with_presets,
    without_private_parent,
)
from portal.embed.head import head_of
from portal.embed.keys import EmbedGrant, unknown_key
from portal.embed.openings import note_opening
from portal.embed.pages import asked_entity, grants_of, no_such
from portal.embed.shown import Shown, shown_of
from portal.entities.kinds import EntityRef, is_entity_id, parse_ref
from portal.errors import NoSuchEntity, NotFound
from portal.gallery.queries import get_entity
from portal.gallery.views import EntityView, LineView
from portal.imaging.codes import qr_png, qr_svg
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.parameters import Http, PathText, TheLinks, TheSettings

CARD_TYPES: Final = ("invoices", "inventory_items", "customers")


@get("/cards/{kind:str}/{id:str}", name="embed:card", include_in_schema=False, **permit("scoped"))
async def show_card(request: Http, kind: PathText, id: PathText, settings: TheSettings, links: TheLinks) -> Template:
    ref = _card_ref(kind, id)
    actor = actor_of(request)
    if not may_see(actor, ref.type, settings.private_types):
        raise no_such(ref)
    shown = await shown_of(ref, links=links)
    if actor is None:
        shown = dataclasses.replace(shown, entity=for_visitor(shown.entity, settings.private_types))
    return await _card(request, shown, None, f"/cards/{ref}", f"/embed/{ref}", settings, links)


@get("/cards/k/{key:str}", name="embed:keyed_card", include_in_schema=False, **permit("public"))
async def show_keyed_card(request: Http, key: PathText, settings: TheSettings, links: TheLinks) -> Template:
    grant = await grants_of(request).find_key(key)
    ref = grant.entity(asked_entity(request))
    if ref.type not in CARD_TYPES:
        raise unknown_key()
    await note_opening(request, ref)
    ours = links_for(grant, links)
    shown = await shown_of(ref, links=ours)
    if ref.type != "invoices":  # an invoice names its customer anyway
        shown = dataclasses.replace(shown, entity=without_private_parent(shown.entity, settings.private_types))
    which = f"{key}?id={ref.id}" if grant.scope.id is None else key
    return await _card(request, shown, grant, f"/cards/k/{which}", f"/embed/k/{which}", settings, ours)


@get("/qr/{kind:str}/{file:str}", name="embed:qr", include_in_schema=False, **permit("scoped"))
async def show_qr(
    request: Http, kind: PathText, file: PathText, settings: TheSettings, links: TheLinks
) -> Response[bytes]:
    """The QR code of a card's URL, as `<id>.svg` or `<id>.png`; who may see the card may see it."""
    id, _, extension = file.rpartition(".")
    if extension not in ("svg", "png"):
        raise NotFound("A QR code's name ends in .svg or .png.")
    ref = _card_ref(kind, id)
    is_private = ref.type in settings.private_types
    if is_private and not may_see(await authenticate(request.scope), ref.type, settings.private_types):
        raise no_such(ref)
    await get_entity(ref, links)
    url = f"{settings.base_url}/cards/{ref}"
    body = await asyncio.to_thread(qr_png, url) if extension == "png" else (await _qr_svg(url)).encode()
    headers = {
        "Cache-Control": "private, max-age=300" if is_private else "public, max-age=86400",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(body, media_type="image/png" if extension == "png" else "image/svg+xml", headers=headers)


def _card_ref(kind: str, id: str) -> EntityRef:
    ref = parse_ref(kind, id)
    if kind not in CARD_TYPES:
        raise NotFound(f"There are cards of {', '.join(CARD_TYPES)} only.")
    return ref


async def _card(
    request: Http,
    shown: Shown,
    grant: EmbedGrant | None,
    path: str,
    gallery_path: str,
    settings: Settings,
    links: Links,
) -> Template:
    entity = shown.entity
    is_shared = grant is None and not entity.is_private and actor_of(request) is None
    context = {
        "entity": entity,
        "images": [with_presets(image, grant) for image in shown.images],
        "qr_svg": Markup(await _qr_svg(settings.base_url + path)),  # noqa: S704 - drawn by us, holds no text
        "gallery_url": gallery_path,
        "theme": read_options(request.query_params).theme,
    }
    is_open = grant is not None or entity.type not in settings.private_types
    context["head"] = head_of(path, context["images"], base_url=settings.base_url, is_open=is_open)
    if entity.type == "invoices":
        sees_all = grant is not None or actor_of(request) is not None
        context |= await _invoice_context(entity, grant, links, sees_all=sees_all)
    return Template(
        template_name="embed/invoice.html" if entity.type == "invoices" else "embed/card.html",
        context=context,
        headers=frame_headers(settings, grant, entity.type, cache="shared" if is_shared else "none"),
    )


async def _invoice_context(
    invoice: EntityView, grant: EmbedGrant | None, links: Links, *, sees_all: bool
) -> dict[str, Any]:
    company, customer = await _parties(invoice, links, () if sees_all else links.private_types)
    amounts = [line.amount for line in invoice.lines]
    known = [amount for amount in amounts if amount is not None]
    return {
        "company": company,
        "customer": customer,
        "lines": [_with_presets(line, grant) for line in invoice.lines],
        "net": sum(known) if known and len(known) == len(amounts) else None,
        "total": invoice.total,
    }


def _with_presets(line: LineView, grant: EmbedGrant | None) -> LineView:
    return dataclasses.replace(line, picture=with_presets(line.picture, grant)) if line.picture else line


async def _parties(
    invoice: EntityView, links: Links, hidden: Collection[str]
) -> tuple[EntityView | None, EntityView | None]:
    """Company and customer: those the attributes name, else those found by going up from parent to parent."""
    found: dict[str, EntityView] = {}
    for type, attribute in (("companies", "company"), ("customers", "customer")):
        id = invoice.attributes.get(attribute)
        if type in hidden or not isinstance(id, str) or not is_entity_id(id):
            continue
        if named := await _find_entity(EntityRef(type, id), links):
            found[type] = named
    ref = invoice.parent
    for _ in range(3):
        above = await _find_entity(ref, links) if ref and ref.type not in hidden else None
        if above is None:
            break
        found.setdefault(above.type, above)
        ref = above.parent
    return found.get("companies"), found.get("customers")


async def _find_entity(ref: EntityRef, links: Links) -> EntityView | None:
    try:
        return await get_entity(ref, links)
    except NoSuchEntity:
        return None


async def _qr_svg(url: str) -> str:
    return await asyncio.to_thread(qr_svg, url)


router = Router(path="/", route_handlers=[show_card, show_keyed_card, show_qr])
