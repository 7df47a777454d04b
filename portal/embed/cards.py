"""Cards: an invoice, item or customer with its pictures and a QR code, to look at, to frame and to print."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Final

from litestar import Response, Router, get
from litestar.response import Template
from markupsafe import Markup

from portal.accounts.guards import actor_of, may_see, permit
from portal.accounts.sessions import authenticate
from portal.embed.facts import for_customers
from portal.embed.frames import (
    as_granted,
    for_visitor,
    frame_headers,
    links_for,
    read_options,
    without_private_parent,
)
from portal.embed.head import head_of
from portal.embed.invoices import invoice_card
from portal.embed.keys import EmbedGrant, unknown_key
from portal.embed.onpaper import invoice_height, profile_height
from portal.embed.openings import note_opening
from portal.embed.pages import asked_entity, grants_of, no_such
from portal.embed.profiles import label_of_invoice, label_of_profile, profile_of
from portal.embed.shown import Shown, shown_of
from portal.embed.words import words_of
from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import NotFound
from portal.gallery.queries import get_entity
from portal.gallery.views import EntityView
from portal.imaging.codes import qr_png, qr_svg
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.parameters import Http, PathText, TheLinks, TheSettings
from portal.web.writing import Writing

CARD_TYPES: Final = ("invoices", "inventory_items", "customers")
PAPERS: Final = ("a4", "a5", "label", "label-small")
CODE_SIZES: Final = (64, 1024)  # pixels of a QR code's side


@get("/cards/{kind:str}/{id:str}", name="embed:card", include_in_schema=False, **permit("scoped"))
async def show_card(request: Http, kind: PathText, id: PathText, settings: TheSettings, links: TheLinks) -> Template:
    ref = _card_ref(kind, id)
    actor = actor_of(request)
    if not may_see(actor, ref.type, settings.private_types):
        raise no_such(ref).as_denial()
    shown = await shown_of(ref, links=links)
    if actor is None:
        shown = dataclasses.replace(shown, entity=for_visitor(shown.entity, settings.private_types))
    return await _card(request, shown, None, f"/cards/{ref}", f"/embed/{ref}", settings, links)


@get("/cards/k/{key:str}", name="embed:keyed_card", include_in_schema=False, **permit("public"))
async def show_keyed_card(request: Http, key: PathText, settings: TheSettings, links: TheLinks) -> Template:
    grant = await grants_of(request).find_key(key)
    ref = _keyed_ref(request, grant)
    await note_opening(request, ref)
    ours = links_for(grant, links)
    shown = await shown_of(ref, links=ours)
    if ref.type != "invoices":  # an invoice names its customer anyway, and says nothing that is not asked for by name
        shown = dataclasses.replace(shown, entity=_for_customer(shown.entity, settings))
    path, gallery_path = (_keyed_path(start, key, grant, ref) for start in ("/cards", "/embed"))
    return await _card(request, shown, grant, path, gallery_path, settings, ours)


def _for_customer(entity: EntityView, settings: Settings) -> EntityView:
    entity = dataclasses.replace(entity, attributes=for_customers(entity.attributes))
    return without_private_parent(entity, settings.private_types)


@get("/qr/{kind:str}/{file:str}", name="embed:qr", include_in_schema=False, **permit("scoped"))
async def show_qr(
    request: Http, kind: PathText, file: PathText, settings: TheSettings, links: TheLinks
) -> Response[bytes]:
    """The QR code of a card's URL, as `<id>.svg` or `<id>.png`; who may see the card may see it."""
    id, extension = _name_of(file)
    ref = _card_ref(kind, id)
    is_private = ref.type in settings.private_types
    if is_private and not may_see(await authenticate(request.scope), ref.type, settings.private_types):
        raise no_such(ref).as_denial()
    await get_entity(ref, links)
    return await _code(request, f"{settings.base_url}/cards/{ref}", extension, is_private=is_private)


@get("/qr/k/{file:str}", name="embed:keyed_qr", include_in_schema=False, **permit("public"))
async def show_keyed_qr(request: Http, file: PathText, settings: TheSettings, links: TheLinks) -> Response[bytes]:
    """The same of a card that its key opens, as `<key>.svg` or `<key>.png`."""
    key, extension = _name_of(file)
    grant = await grants_of(request).find_key(key)
    ref = _keyed_ref(request, grant)
    await get_entity(ref, links)
    return await _code(request, settings.base_url + _keyed_path("/cards", key, grant, ref), extension, is_private=True)


def _name_of(file: str) -> tuple[str, str]:
    """Raises NotFound."""
    name, _, extension = file.rpartition(".")
    if extension not in ("svg", "png"):
        raise NotFound("A QR code's name ends in .svg or .png.")
    return name, extension


async def _code(request: Http, url: str, extension: str, *, is_private: bool) -> Response[bytes]:
    if extension == "png":
        body = await asyncio.to_thread(qr_png, url, read_code_size(request.query_params))
    else:
        body = (await asyncio.to_thread(qr_svg, url)).encode()
    headers = {
        "Cache-Control": "private, max-age=300" if is_private else "public, max-age=86400",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(body, media_type="image/png" if extension == "png" else "image/svg+xml", headers=headers)


def read_code_size(query: Mapping[str, str]) -> int | None:
    """Pixels, within bounds; None for what is no number."""
    said = query.get("size", "")
    if not (said.isascii() and said.isdigit() and len(said) < 10):
        return None
    return min(max(int(said), CODE_SIZES[0]), CODE_SIZES[1])


def read_paper(query: Mapping[str, str], entity_type: str) -> str:
    """Never an error: unknown words give the paper that suits the content."""
    said = query.get("paper")
    return said if said in PAPERS else "a4" if entity_type == "invoices" else "a5"


def _keyed_ref(request: Http, grant: EmbedGrant) -> EntityRef:
    """Raises NotFound where the key opens no card."""
    ref = grant.entity(asked_entity(request))
    if ref.type not in CARD_TYPES:
        raise unknown_key()
    return ref


def _keyed_path(start: str, key: str, grant: EmbedGrant, ref: EntityRef) -> str:
    return f"{start}/k/{key}" if grant.scope.id is not None else f"{start}/k/{key}?id={ref.id}"


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
    entity, actor = shown.entity, actor_of(request)
    is_shared = grant is None and not entity.is_private and actor is None
    is_open = grant is not None or not entity.is_private
    images = [as_granted(image, grant) for image in shown.images]
    language, direction, words = words_of(settings.locale)
    paper = read_paper(request.query_params, entity.type)
    context = {
        "entity": entity,
        "images": [image for image in images if image.renditions],
        "pinned_at": shown.pinned_at,
        "qr_svg": Markup(await asyncio.to_thread(qr_svg, settings.base_url + path)),  # noqa: S704 - drawn by us, holds no text
        "gallery_url": gallery_path,
        "theme": read_options(request.query_params).theme,
        "head": head_of(path, images, base_url=settings.base_url, is_open=is_open),
        "language": language,
        "direction": direction,
        "words": words,
        "paper": paper,
        "papers": PAPERS if grant is None and actor is not None else (),
    }
    writing = Writing(settings.locale, settings.timezone)
    if entity.type == "invoices":
        card = await invoice_card(
            entity,
            links=links,
            writing=writing,
            words=words,
            narrow=lambda image: as_granted(image, grant),
            sees_all=grant is not None or actor is not None,
        )
        label, height = label_of_invoice(entity, card), invoice_height(card, context["images"], paper)
    else:
        card = profile_of(entity, images, writing, words)
        label = label_of_profile(card)
        height = profile_height(card, paper, has_box=entity.type == "inventory_items")
    name = "label" if paper.startswith("label") else "invoice" if entity.type == "invoices" else "card"
    return Template(
        template_name=f"embed/{name}.html",
        context=context | {"card": card, "label": label, "print_height": height},
        headers=frame_headers(settings, grant, entity.type, cache="shared" if is_shared else "none"),
    )


router = Router(path="/", route_handlers=[show_card, show_keyed_card, show_qr, show_keyed_qr])
