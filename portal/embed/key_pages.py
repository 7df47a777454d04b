"""The page of embed keys: make one (shown this once, with a preview), see what is out, withdraw it."""

from __future__ import annotations

import dataclasses
from typing import Any, Final
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Response, Template

from portal.accounts.guards import permit
from portal.audit.actors import Actor
from portal.embed.cards import CARD_TYPES
from portal.embed.handout import NewEmbed, hand_out
from portal.embed.key_forms import ENDS, KeyForm, first_form, read_form_of, sent_form
from portal.embed.key_lists import entity_options, example_of, key_rows
from portal.embed.keys import get_key, issue_key, revoke_key
from portal.entities.kinds import KINDS, EntityRef, is_entity_id
from portal.errors import FormError, NoSuchEntity
from portal.expiry import utc_now
from portal.gallery.presets import presets_in_force
from portal.gallery.queries import get_entity
from portal.gallery.views import EntityView
from portal.imaging.presets import READY
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.exceptions import wants_json
from portal.web.forms import read_form_lists
from portal.web.headers import content_security_policy
from portal.web.parameters import Cursor, TheActor, TheLinks, TheSettings
from portal.web.rendering import AnyRequest, Toast, after, is_htmx, page, redirect, render, shell_context

PATH: Final = "/settings/embeds"
_HEADERS: Final = {"Content-Security-Policy": content_security_policy(frame_src="'self'")}  # the preview


@get("/", name="embed:keys", include_in_schema=False, **permit("editor"))
async def show_keys(
    request: AnyRequest,
    settings: TheSettings,
    links: TheLinks,
    type: FromQuery[str] = "",
    id: FromQuery[str] = "",
    cursor: Cursor = None,
) -> Template:
    """`?type=…&id=…` fills the form in for that gallery."""
    form = first_form(type, id)
    about = await _find(EntityRef(form.type, form.id), links)
    return await _page(request, settings, links, form, about=about, cursor=cursor)


# Not below /entities: every name may stand there.
@get("/galleries", name="embed:options", include_in_schema=False, **permit("editor"))
async def show_options(request: AnyRequest, type: FromQuery[str] = "", id: FromQuery[str] = "") -> Template:
    """What the field for an id offers while somebody types."""
    return await page(request, "embed/_options.html", options=await entity_options(type, id))


@post("/", name="embed:make_key", include_in_schema=False, status_code=200, **permit("editor"))
async def make_key(
    request: AnyRequest, settings: TheSettings, links: TheLinks, actor: TheActor
) -> Response[Any] | Template:
    """The answer itself shows the key, this once: it stands in no URL, no cookie and no log."""
    form = sent_form(await read_form_lists(request))
    try:
        made = await _issue(form, settings, actor)
    except FormError as error:
        if wants_json(request):
            raise
        return await _again(request, settings, links, dataclasses.replace(form, errors=error.errors))
    shown = await _made_context(made, links)
    if not is_htmx(request):
        return await _page(request, settings, links, first_form("", ""), **shown)
    context = await shell_context(request) | await _list_context(links, None) | shown | {"out_of_band": True}
    parts = [render(request, name, context) for name in ("embed/_made.html", "embed/_list.html")]
    return Response("".join(parts), media_type="text/html")


@post("/{id:uuid}/revoke", name="embed:revoke_key", include_in_schema=False, status_code=200, **permit("editor"))
async def revoke(request: AnyRequest, links: TheLinks, actor: TheActor, id: FromPath[UUID]) -> Response[Any]:
    await revoke_key(id, actor)
    said = Toast("Key revoked. What it showed is dark now.")
    if not is_htmx(request):
        return redirect(request, PATH, toast=said)
    context = await _list_context(links, None) | {"takes_focus": True}
    return await after(request, "embed/_list.html", to=PATH, toast=said, **context)


async def _issue(form: KeyForm, settings: Settings, actor: Actor) -> NewEmbed:
    """Raises FormError, also for an entity that is not there."""
    asked = read_form_of(form, private_types=settings.private_types, zone=settings.timezone, now=utc_now())
    try:
        id, key = await issue_key(**asked, private_types=settings.private_types, actor=actor)
    except NoSuchEntity as error:
        raise FormError({"scope": f"There is no {KINDS[form.type].singular} with this id."}) from error
    return hand_out(await get_key(id), key, settings.base_url)


async def _again(request: AnyRequest, settings: Settings, links: Links, form: KeyForm) -> Template:
    """The form as it was sent, with what is wrong beside each field."""
    if not is_htmx(request):
        return await _page(request, settings, links, form, status_code=422)
    context = await _form_context(settings, form)
    return await page(request, "embed/_form.html", status_code=422, **context)


async def _page(
    request: AnyRequest,
    settings: Settings,
    links: Links,
    form: KeyForm,
    *,
    cursor: str | None = None,
    status_code: int = 200,
    **shown: Any,
) -> Template:
    context = {"made": None, "about": None} | await _form_context(settings, form) | await _list_context(links, cursor)
    return await page(request, "embed/keys.html", status_code=status_code, headers=_HEADERS, **(context | shown))


async def _form_context(settings: Settings, form: KeyForm) -> dict[str, Any]:
    presets = await presets_in_force()
    private = [kind.label.lower() for kind in KINDS.values() if kind.name in settings.private_types]
    return {
        "form": form,
        "kinds": list(KINDS.values()),
        "presets": [presets[name] for name in READY],
        "ends": ENDS,
        "private": private,
        "options": await entity_options(form.type, "") if form.type in KINDS else [],
        "today": utc_now().astimezone(settings.timezone).date(),
        "about": None,
    }


async def _list_context(links: Links, cursor: str | None) -> dict[str, Any]:
    rows = await key_rows(cursor or None, links, utc_now())
    return {
        "rows": rows.items,
        "total": rows.total,
        "next": rows.next,
        "out_of_band": False,
        "takes_focus": False,
        "is_first": not cursor,
    }


async def _made_context(made: NewEmbed, links: Links) -> dict[str, Any]:
    example = await example_of(made.scope)
    entity = await _find(EntityRef(made.scope.type, example), links) if example else None
    return {
        "made": made,
        "entity": entity,
        "shown_kind": KINDS[made.scope.type],
        "has_card": made.scope.type in CARD_TYPES,
    }


async def _find(ref: EntityRef, links: Links) -> EntityView | None:
    if not is_entity_id(ref.id):
        return None
    try:
        return await get_entity(ref, links)
    except NoSuchEntity:
        return None


router = Router(path=PATH, route_handlers=[show_keys, show_options, make_key, revoke])
