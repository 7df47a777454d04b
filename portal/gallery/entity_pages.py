"""The lists of entities: search, filters, adding one, deleting one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Request, Router, get, post
from litestar.params import FromQuery
from litestar.response import Response, Template

from portal.accounts.guards import permit
from portal.audit.actors import Actor
from portal.entities.forms import parse_entity
from portal.entities.kinds import KINDS, is_entity_id, parse_ref
from portal.entities.queries import filter_counts, forget_counts, list_entities, plain_query
from portal.entities.service import create_entity
from portal.errors import Conflict, FormError, NotFound
from portal.gallery.disposal import delete_entity
from portal.gallery.queries import entity_views
from portal.paging import EXACT_UP_TO
from portal.storage.links import Links
from portal.web.forms import read_form
from portal.web.parameters import Cursor, PathText, TheActor, TheLinks, TheSettings
from portal.web.rendering import Toast, page, redirect

_FILTERS: Final = {
    "": "All",
    "image": "Without a picture",
    "primary": "Without a primary picture",
    "alt": "Without alt text",
}
_BAD_ID: Final = "Use 1 to 64 letters, digits or . _ - ~ : and put any other name into the reference."

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class TypeView:
    """An entity type as pages name it; `label` is the plural."""

    type: str
    label: str
    singular: str
    icon: str


@dataclass(frozen=True, slots=True)
class FilterView:
    """`count` is None where counting would take too long or goes past 1000."""

    key: str
    label: str
    count: int | None
    active: bool
    url: str


@dataclass(frozen=True, slots=True)
class FormView:
    """What somebody wrote, and what to do about it."""

    values: dict[str, str]
    errors: dict[str, str]


def type_view(type: str) -> TypeView:
    """Raises NotFound."""
    kind = KINDS.get(type)
    if kind is None:
        raise NotFound("There is no list of this name.")
    return TypeView(kind.name, kind.label, kind.singular, kind.icon)


@get("/entities/{type:str}", name="entities:list", **permit("viewer"), include_in_schema=False)
async def show_list(
    request: AnyRequest,
    links: TheLinks,
    actor: TheActor,
    type: PathText,
    q: FromQuery[str] = "",
    missing: FromQuery[str] = "",
    sort: FromQuery[str] = "name",
    cursor: Cursor = None,
) -> Template:
    context = await _context(request, links, actor, type, q, missing, sort, cursor)
    return await page(request, "entities/list.html", **context, form=FormView({}, {}))


# Not below /entities/{type}: there every name may be an entity's id.
@get("/entity-results/{type:str}", name="entities:results", **permit("viewer"), include_in_schema=False)
async def show_results(
    request: AnyRequest,
    links: TheLinks,
    actor: TheActor,
    type: PathText,
    q: FromQuery[str] = "",
    missing: FromQuery[str] = "",
    sort: FromQuery[str] = "name",
    cursor: Cursor = None,
) -> Template:
    context = await _context(request, links, actor, type, q, missing, sort, cursor)
    return await page(request, "entities/_results.html", **context)


@post("/entities/{type:str}", name="entities:create", **permit("editor"), include_in_schema=False)
async def add(request: AnyRequest, links: TheLinks, actor: TheActor, type: PathText) -> Response[Any]:
    kind = type_view(type)
    fields = await read_form(request)
    values = {name: fields.get(name, "").strip() for name in ("id", "name", "reference")}
    try:
        await _create(kind, values, actor)
    except FormError as error:
        context = await _context(request, links, actor, type, "", "", "name", None)
        form = FormView(values, error.errors)
        return await page(request, "entities/list.html", status_code=422, **context, form=form)
    gallery = request.app.route_reverse("gallery:show", type=type, id=values["id"])
    return redirect(request, gallery, toast=Toast(f"Added {values['name']}. Its pictures go here."))


@post("/entities/{type:str}/{id:str}/delete", name="gallery:delete_entity", **permit("editor"), include_in_schema=False)
async def remove(
    request: AnyRequest, actor: TheActor, settings: TheSettings, type: PathText, id: PathText
) -> Response[Any]:
    ref = parse_ref(type, id)
    if (await read_form(request)).get("confirm", "").strip() != ref.id:
        raise FormError({"confirm": f"To delete it with all its pictures, write its id: {ref.id}"})
    await delete_entity(ref, actor=actor, deletes_per_hour=settings.deletes_per_hour)
    forget_counts()
    back = request.app.route_reverse("entities:list", type=type)
    return redirect(request, back, toast=Toast(f"Deleted {KINDS[type].singular} {ref.id} and its pictures."))


async def _create(kind: TypeView, values: dict[str, str], actor: Actor) -> None:
    """Raises FormError for every field that needs another look."""
    errors = {} if is_entity_id(values["id"]) else {"id": _BAD_ID}
    ref = parse_ref(kind.type, values["id"] if not errors else "x")
    try:
        entity = parse_entity(ref, {"name": values["name"], "reference": values["reference"]})
    except FormError as error:
        raise FormError({**errors, **error.errors}) from error
    if errors:
        raise FormError(errors)
    try:
        await create_entity(ref, entity, actor)
    except Conflict as error:
        raise FormError({"id": f"There is {_one(kind.singular)} with this id already."}) from error


def _one(singular: str) -> str:
    return f"an {singular}" if singular[0] in "aeiou" else f"a {singular}"


async def _context(
    request: AnyRequest, links: Links, actor: Actor, type: str, q: str, missing: str, sort: str, cursor: str | None
) -> dict[str, Any]:
    """What both the page and its fragment show."""
    kind = type_view(type)
    q = plain_query(q)
    found = await list_entities(type=type, q=q, missing=missing, sort=sort or "name", cursor=cursor or None)
    return {
        "kind": kind,
        "q": q,
        "missing": missing,
        "sort": sort or "name",
        "entities": await entity_views(found.items, links),
        "total": found.total,
        "total_label": f"{found.total:,}" if found.total <= EXACT_UP_TO else f"{EXACT_UP_TO:,}+",
        "next": found.next,
        "filters": await _filters(request.app.route_reverse("entities:list", type=type), type, q, missing),
        "can_edit": actor.may("editor"),
    }


async def _filters(path: str, type: str, q: str, missing: str) -> list[FilterView]:
    counts = {} if q else await filter_counts(type) or {}  # while somebody types, numbers only flicker
    filters: list[FilterView] = []
    for key, label in _FILTERS.items():
        count = counts.get(key)
        shown = None if count is None or count > EXACT_UP_TO else count
        query = urlencode({name: value for name, value in (("q", q), ("missing", key)) if value})
        filters.append(FilterView(key, label, shown, key == missing, f"{path}?{query}" if query else path))
    return filters


router = Router(path="/", route_handlers=[show_list, show_results, add, remove])
