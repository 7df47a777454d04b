"""Lists that somebody keeps: saved, named anew and deleted from the list itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from litestar import Router, post
from litestar.params import FromPath
from litestar.response import Response

from portal.accounts.guards import permit, session_of
from portal.entities import saved_views
from portal.entities.listing import Wish
from portal.entities.queries import plain_query
from portal.errors import FormError
from portal.gallery.entity_pages import NOTHING, Asked, FormView, list_context, type_view
from portal.storage.links import Links
from portal.web.forms import read_form
from portal.web.parameters import PathText, TheActor, TheLinks
from portal.web.rendering import AnyRequest, Toast, after, is_htmx, page

Form = dict[str, str]


@post("/entity-views/{type:str}", name="entities:save_view", **permit("viewer"), include_in_schema=False)
async def save(request: AnyRequest, links: TheLinks, actor: TheActor, type: PathText) -> Response[Any]:
    kind, form, account = type_view(type), await read_form(request), session_of(request).account
    asked = Asked(plain_query(form.get("q", "")), form.get("missing", ""), form.get("sort") or "name")
    name, shared = form.get("name", ""), form.get("shared") == "true"
    wish = Wish(kind.type, asked.q, asked.missing)
    try:
        await saved_views.save_view(account, wish, asked.sort, name, shared=shared, actor=actor)
    except FormError as error:
        return await _refused(request, links, type, asked, FormView({"name": name}, error.errors))
    return await _done(request, links, type, asked, f"Saved the view {name.strip()}")


@post("/entity-views/{type:str}/{view:uuid}", name="entities:change_view", **permit("viewer"), include_in_schema=False)
async def change(
    request: AnyRequest, links: TheLinks, actor: TheActor, type: PathText, view: FromPath[UUID]
) -> Response[Any]:
    form, account = await read_form(request), session_of(request).account
    name, shared, asked = form.get("name", ""), form.get("shared") == "true", _where_from(form)
    try:
        await saved_views.change_view(view, account, name, shared=shared, actor=actor)
    except FormError as error:
        return await _refused(request, links, type, asked, FormView({"id": str(view), "name": name}, error.errors))
    return await _done(request, links, type, asked, f"Saved the view {name.strip()}")


@post(
    "/entity-views/{type:str}/{view:uuid}/delete",
    name="entities:delete_view",
    **permit("viewer"),
    include_in_schema=False,
)
async def delete(
    request: AnyRequest, links: TheLinks, actor: TheActor, type: PathText, view: FromPath[UUID]
) -> Response[Any]:
    form = await read_form(request)
    await saved_views.delete_view(view, session_of(request).account, actor)
    return await _done(request, links, type, _where_from(form), "View deleted")


def _where_from(form: Form) -> Asked:
    """The list that somebody looked at."""
    said = {name: values[-1] for name, values in parse_qs(form.get("from", "")).items()}
    return Asked(said.get("q", ""), said.get("missing", ""), said.get("sort", "name"))


async def _done(request: AnyRequest, links: Links, type: str, asked: Asked, said: str) -> Response[Any]:
    """The views again, beside the list as it was."""
    query = saved_views.list_query(asked.q, asked.missing, asked.sort)
    back = f"{request.app.route_reverse('entities:list', type=type)}?{query}".removesuffix("?")
    context = await list_context(request, links, type, asked) if is_htmx(request) else {}
    return await after(request, "entities/_views_changed.html", to=back, toast=Toast(said), **context)


async def _refused(request: AnyRequest, links: Links, type: str, asked: Asked, form: FormView) -> Any:
    template = "entities/_views.html" if is_htmx(request) else "entities/list.html"
    context = await list_context(request, links, type, asked, form=NOTHING, view_form=form)
    return await page(request, template, status_code=422, **context)


router = Router(path="/", route_handlers=[save, change, delete])
