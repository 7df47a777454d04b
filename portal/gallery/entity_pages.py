"""The lists of entities: search, filters, adding one, deleting one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.params import FromQuery
from litestar.response import Response, Template

from portal.accounts.guards import permit
from portal.audit.actors import Actor
from portal.entities.forms import parse_entity
from portal.entities.kinds import KINDS, is_entity_id, parse_ref
from portal.entities.listing import Wish
from portal.entities.queries import forget_counts, plain_query
from portal.entities.service import create_entity
from portal.errors import Conflict, FormError, NotFound
from portal.gallery.disposal import delete_entity
from portal.gallery.list_views import SORTS, list_view
from portal.gallery.presets import print_box
from portal.storage.links import Links
from portal.web.forms import read_form
from portal.web.parameters import Cursor, PathText, TheActor, TheLinks, TheSettings
from portal.web.rendering import Toast, page, redirect

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
class FormView:
    """What somebody wrote, and what to do about it."""

    values: dict[str, str]
    errors: dict[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list's address asks for."""

    q: str = ""
    missing: str = ""
    sort: str = "name"
    cursor: str | None = None


NOTHING: Final = FormView({}, {})


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
    type: PathText,
    q: FromQuery[str] = "",
    missing: FromQuery[str] = "",
    sort: FromQuery[str] = "name",
    cursor: Cursor = None,
) -> Template:
    context = await list_context(request, links, type, Asked(q, missing, sort or "name", cursor))
    return await page(request, "entities/list.html", **context)


# Not below /entities/{type}: there every name may be an entity's id.
@get("/entity-results/{type:str}", name="entities:results", **permit("viewer"), include_in_schema=False)
async def show_results(
    request: AnyRequest,
    links: TheLinks,
    type: PathText,
    q: FromQuery[str] = "",
    missing: FromQuery[str] = "",
    sort: FromQuery[str] = "name",
    cursor: Cursor = None,
) -> Template:
    """What somebody types or chooses stands in the page's address too, so that it can be kept, sent and gone back to."""
    context = await list_context(request, links, type, Asked(q, missing, sort or "name", cursor))
    address = f"{context['page_url']}?{context['found'].query}".removesuffix("?")
    headers = {} if cursor else {"HX-Replace-Url": address}
    return await page(request, "entities/_results.html", headers=headers, **context)


@post("/entities/{type:str}", name="entities:create", **permit("editor"), include_in_schema=False)
async def add(request: AnyRequest, links: TheLinks, actor: TheActor, type: PathText) -> Response[Any]:
    kind = type_view(type)
    fields = await read_form(request)
    values = {name: fields.get(name, "").strip() for name in ("id", "name", "reference")}
    try:
        await _create(kind, values, actor)
    except FormError as error:
        context = await list_context(request, links, type, Asked(), form=FormView(values, error.errors))
        return await page(request, "entities/list.html", status_code=422, **context)
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


async def list_context(
    request: AnyRequest,
    links: Links,
    type: str,
    asked: Asked,
    *,
    form: FormView = NOTHING,
    view_form: FormView = NOTHING,
) -> dict[str, Any]:
    """What the page and its fragment show. `form`: of one to add, `view_form`: of a view to keep, where they were refused."""
    kind, actor = type_view(type), request.scope["user"]
    wish = Wish(kind.type, plain_query(asked.q), asked.missing, await print_box())
    found = await list_view(
        wish, sort=asked.sort, cursor=asked.cursor or None, links=links, actor=actor, account=account_of(request)
    )
    return {
        "kind": kind,
        "found": found,
        "sorts": SORTS,
        "page_url": request.app.route_reverse("entities:list", type=type),
        "can_edit": actor.may("editor"),
        "form": form,
        "view_form": view_form,
    }


def account_of(request: AnyRequest) -> UUID | None:
    """Of a person at a browser; a script has none."""
    return getattr(request.scope.get("auth"), "account", None)


router = Router(path="/", route_handlers=[show_list, show_results, add, remove])
