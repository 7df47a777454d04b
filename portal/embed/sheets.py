"""Contact sheets: a gallery as one JPEG or as a PDF of A4, for e-mails and programs that make PDFs. Rights as of the frame."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from litestar import Response, Router, get

from portal.accounts.guards import actor_of, may_see, permit
from portal.embed.frames import as_granted, frame_headers, links_for, read_options
from portal.embed.keys import EmbedGrant
from portal.embed.openings import note_opening
from portal.embed.pages import asked_entity, grants_of, no_such
from portal.embed.sheet_room import Order, SheetRoom
from portal.embed.shown import Shown, shown_of
from portal.entities.kinds import EntityRef, parse_ref
from portal.gallery.views import EntityView, ImageView
from portal.imaging.sheet import MOST, Form, Sheet, columns_of
from portal.settings import Settings
from portal.storage.keys import rendition_key
from portal.storage.links import Links
from portal.web.parameters import Http, PathText, TheLinks, TheSettings
from portal.web.security import client_address
from portal.web.writing import Writing

_MEDIA_TYPES: Final[dict[Form, str]] = {"jpg": "image/jpeg", "pdf": "application/pdf"}
# Chromium shows a PDF inside a page of its own, which inherits the policy.
_FOR_VIEWERS: Final = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; "


@get(
    ["/embed/{kind:str}/{id:str}/sheet.jpg", "/embed/{kind:str}/{id:str}/sheet.pdf"],
    name="embed:sheet",
    include_in_schema=False,
    **permit("scoped"),
)
async def show_sheet(
    request: Http, kind: PathText, id: PathText, settings: TheSettings, links: TheLinks
) -> Response[bytes]:
    ref = parse_ref(kind, id)
    if not may_see(actor_of(request), ref.type, settings.private_types):
        raise no_such(ref).as_denial()
    return await _sheet(request, ref, None, settings, links)


@get(
    ["/embed/k/{key:str}/sheet.jpg", "/embed/k/{key:str}/sheet.pdf"],
    name="embed:keyed_sheet",
    include_in_schema=False,
    **permit("public"),
)
async def show_keyed_sheet(request: Http, key: PathText, settings: TheSettings, links: TheLinks) -> Response[bytes]:
    grant = await grants_of(request).find_key(key)
    ref = grant.entity(asked_entity(request))
    await note_opening(request, ref)
    return await _sheet(request, ref, grant, settings, links)


async def _sheet(
    request: Http, ref: EntityRef, grant: EmbedGrant | None, settings: Settings, links: Links
) -> Response[bytes]:
    form: Form = "pdf" if request.scope["path"].endswith(".pdf") else "jpg"
    options = read_options(request.query_params)
    shown = await shown_of(ref, links=links_for(grant, links), limit=options.limit)
    order = order_of(shown, form, grant, settings, has_captions=options.captions)
    is_shared = grant is None and ref.type not in settings.private_types
    headers = frame_headers(settings, grant, ref.type, cache="shared" if is_shared else "none")
    headers["ETag"] = f'"{order.name}"'
    if _knows(request, headers["ETag"]):
        return Response(b"", status_code=304, headers=headers)
    room: SheetRoom = request.app.state.sheets
    drawn = await room.sheet_of(order, None if actor_of(request) else client_address(request.scope))
    if not drawn.is_whole:
        headers["Cache-Control"] = "private, no-store"
    if form == "pdf":
        headers["Content-Security-Policy"] = _FOR_VIEWERS + _framing(headers["Content-Security-Policy"])
    headers["Content-Disposition"] = f'inline; filename="{ref.id}.{form}"'
    headers["X-Content-Type-Options"] = "nosniff"
    return Response(drawn.data, media_type=_MEDIA_TYPES[form], headers=headers)


def order_of(shown: Shown, form: Form, grant: EmbedGrant | None, settings: Settings, *, has_captions: bool) -> Order:
    """What the sheet of today shows: of each picture the rendition that suits its size, or the nearest that the key allows."""
    images = [image for image in (as_granted(each, grant) for each in shown.images) if image.renditions]
    placed = images[: MOST[form]]
    size = "gallery" if columns_of(form, len(placed)) > 2 else "optimized"
    writing = Writing(settings.locale, settings.timezone)
    sheet = Sheet(
        title=shown.entity.name,
        subtitle=" · ".join(_facts(shown.entity, len(images), writing)),
        date=writing.date(datetime.now(settings.timezone)),
        credit=urlsplit(settings.base_url).netloc,
        captions=tuple((image.caption or "") if has_captions else "" for image in placed),
        more=len(images) - len(placed),
    )
    return Order(sheet, form, tuple(_key_of(image, size) for image in placed))


def _facts(entity: EntityView, count: int, writing: Writing) -> list[str]:
    facts = [entity.number or entity.id]
    if entity.date is not None:
        facts.append(writing.date(entity.date))
    return [*facts, f"{count:,} picture{'' if count == 1 else 's'}"]


def _key_of(image: ImageView, size: str) -> str:
    """Of the very rendition that the frame would show, which the URL names."""
    asked = parse_qs(urlsplit(image.renditions[size].url).query)
    version, _, rendering = asked["v"][0].partition(".")
    return rendition_key(image.entity.type, UUID(image.id), int(version), int(rendering), asked["size"][0])


def _knows(request: Http, etag: str) -> bool:
    said = (each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(","))
    return etag in said


def _framing(policy: str) -> str:
    return next(each for each in policy.split("; ") if each.startswith("frame-ancestors"))


router = Router(path="/", route_handlers=[show_sheet, show_keyed_sheet])
