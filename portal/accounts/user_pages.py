"""The pages of people: invite somebody, give a role, let out and in again. One-time links are said once, in the answer itself."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Response, Template

from portal.accounts import service, users
from portal.accounts.guards import confirm_with, needs_password, permit
from portal.accounts.people import ROLES_IN_WORDS, PersonView, get_person, list_people
from portal.accounts.service import Session
from portal.audit.actors import Actor
from portal.errors import Conflict, FormError, PortalError, RateLimited
from portal.web.exceptions import wants_json
from portal.web.forms import read_form
from portal.web.parameters import Cursor, TheActor, TheSettings
from portal.web.refusals import note_refusal
from portal.web.rendering import AnyRequest, Toast, is_htmx, page, redirect, render, shell_context

PATH: Final = "/settings/users"
_NOTHING: Final[dict[str, str]] = {}
_REFUSALS: Final = (FormError, RateLimited, Conflict)


@get("/", name="accounts:users", include_in_schema=False, **permit("admin"))
async def show_users(request: AnyRequest, cursor: Cursor = None) -> Template:
    return await _list_page(request, cursor=cursor)


@post("/", name="accounts:invite", include_in_schema=False, status_code=200, **permit("admin"))
async def invite(request: AnyRequest, settings: TheSettings, actor: TheActor) -> Response[Any] | Template:
    """The answer shows the link, this once: it stands in no URL, no cookie and no log."""
    sent = await read_form(request)
    email, name, role = (sent.get(field, "").strip() for field in ("email", "name", "role"))
    try:
        await confirm_with(request, sent.get("current", ""))
        token = await users.create_user(email, role, name, actor)
    except _REFUSALS as error:
        form = _form({"email": email, "name": name, "role": role}, _errors(error, "email"))
        return await _refused(request, error, form)
    made = {"email": email.lower(), "url": f"{settings.base_url}/password/{token}", "hours": users.LINK_HOURS}
    if not is_htmx(request):
        return await _list_page(request, made=made)
    context = await shell_context(request) | await _list_context(None) | {"made": made, "out_of_band": True}
    parts = [render(request, name, context) for name in ("accounts/_link.html", "accounts/_people.html")]
    return Response("".join(parts), media_type="text/html")


async def _refused(request: AnyRequest, error: PortalError, form: dict[str, Any]) -> Template:
    if wants_json(request):
        raise error
    note_refusal(request, error)
    if is_htmx(request):
        context = {"form": form, "roles": ROLES_IN_WORDS, "asks": needs_password(request)}
        return await page(request, "accounts/_invite.html", status_code=422, **context)
    return await _list_page(request, form=form, status_code=422)


async def _list_page(
    request: AnyRequest,
    *,
    cursor: str | None = None,
    form: dict[str, Any] | None = None,
    made: dict[str, Any] | None = None,
    status_code: int = 200,
) -> Template:
    context = await _list_context(cursor) | {"form": form or _form({"role": "editor"}), "made": made}
    context |= {"roles": ROLES_IN_WORDS, "asks": needs_password(request)}
    return await page(request, "accounts/users.html", status_code=status_code, **context)


async def _list_context(cursor: str | None) -> dict[str, Any]:
    found = await list_people(cursor)
    return {
        "people": found.items,
        "total": found.total,
        "next": found.next,
        "is_first": not cursor,
        "out_of_band": False,
    }


@get("/{id:uuid}", name="accounts:user", include_in_schema=False, **permit("admin"))
async def show_user(request: AnyRequest, id: FromPath[UUID]) -> Template:
    return await _person_page(request, id)


@post("/{id:uuid}/role", name="accounts:change_role", include_in_schema=False, status_code=303, **permit("admin"))
async def change_role(request: AnyRequest, actor: TheActor, id: FromPath[UUID]) -> Response[Any] | Template:
    sent = await read_form(request)

    async def change(person: PersonView) -> str:
        await users.change_role(person.user.email, sent.get("role", ""), actor)
        return f"{person.user.name} may {ROLES_IN_WORDS[sent['role']]}."

    return await _do(request, id, sent, change, "role")


@post("/{id:uuid}/disable", name="accounts:disable", include_in_schema=False, status_code=303, **permit("admin"))
async def disable(request: AnyRequest, actor: TheActor, id: FromPath[UUID]) -> Response[Any] | Template:
    async def change(person: PersonView) -> str:
        await users.disable_user(person.user.email, actor)
        return f"{person.user.name} is out, in every browser."

    return await _do(request, id, await read_form(request), change, "disabled")


@post("/{id:uuid}/enable", name="accounts:enable", include_in_schema=False, status_code=303, **permit("admin"))
async def enable(request: AnyRequest, actor: TheActor, id: FromPath[UUID]) -> Response[Any] | Template:
    async def change(person: PersonView) -> str:
        await users.enable_user(person.user.email, actor)
        return f"{person.user.name} may sign in again."

    return await _do(request, id, await read_form(request), change, "disabled")


@post("/{id:uuid}/sign-out", name="accounts:sign_out_user", include_in_schema=False, status_code=303, **permit("admin"))
async def sign_out_user(request: AnyRequest, actor: TheActor, id: FromPath[UUID]) -> Response[Any] | Template:
    """`session`: that one alone, else all of them."""
    sent = await read_form(request)

    async def change(person: PersonView) -> str:
        if text := sent.get("session"):
            await service.end_session(person.user.id, _session_id(text), actor)
            return f"{person.user.name} is signed out there."
        ended = await users.sign_out_everywhere(person.user.email, actor, but=_own_session(request))
        return f"{ended} {'session' if ended == 1 else 'sessions'} of {person.user.name} ended."

    return await _do(request, id, sent, change, "sessions")


def _session_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise FormError({"sessions": "This session has ended already."}) from error


def _own_session(request: AnyRequest) -> UUID | None:
    found = request.scope.get("auth")
    return found.id if isinstance(found, Session) else None


@post("/{id:uuid}/reset", name="accounts:reset", include_in_schema=False, status_code=200, **permit("admin"))
async def reset(
    request: AnyRequest, settings: TheSettings, actor: TheActor, id: FromPath[UUID]
) -> Response[Any] | Template:
    """The old password ends now; the answer shows the new link, this once."""
    made: dict[str, Any] = {}

    async def change(person: PersonView) -> str:
        token = await users.reset_password(person.user.email, actor)
        url = f"{settings.base_url}/password/{token}"
        made.update(email=person.user.email, url=url, hours=users.LINK_HOURS)
        return ""

    answer = await _do(request, id, await read_form(request), change, "reset")
    return await _person_page(request, id, made=made) if made else answer


async def _do(request: AnyRequest, id: UUID, sent: dict[str, str], change: Any, about: str) -> Response[Any] | Template:
    """`change(person)` gives the word that the page then says; what is refused stands at `about`."""
    person = await get_person(id)
    try:
        await confirm_with(request, sent.get("current", ""))
        if about != "sessions":
            _refuse_oneself(request, person)
        said = await change(person)
    except _REFUSALS as error:
        if wants_json(request):
            raise
        note_refusal(request, error)
        form = _form({"role": sent.get("role", person.user.role)}, _errors(error, about))
        return await _person_page(request, id, form=form, status_code=error.status)
    return redirect(request, f"{PATH}/{id}", toast=Toast(said) if said else None)


def _refuse_oneself(request: AnyRequest, person: PersonView) -> None:
    actor: Actor = request.scope["user"]
    if actor.name == f"user:{person.user.email}":
        raise Conflict("This is your own account. Another admin can do it.")


async def _person_page(
    request: AnyRequest,
    id: UUID,
    *,
    form: dict[str, Any] | None = None,
    made: dict[str, Any] | None = None,
    status_code: int = 200,
) -> Template:
    person, own = await get_person(id), _own_session(request)
    return await page(
        request,
        "accounts/user.html",
        status_code=status_code,
        person=person,
        sessions=await service.list_sessions(id, own or id),
        is_self=request.scope["user"].name == f"user:{person.user.email}",
        form=form or _form({"role": person.user.role}),
        made=made,
        roles=ROLES_IN_WORDS,
        asks=needs_password(request),
    )


def _form(values: dict[str, str], errors: dict[str, str] = _NOTHING) -> dict[str, Any]:
    return {"values": values, "errors": errors}


def _errors(error: PortalError, about: str) -> dict[str, str]:
    """By field; what belongs to none stands at `about`."""
    if isinstance(error, FormError):
        return error.errors
    return {"current" if isinstance(error, RateLimited) else about: error.message}


router = Router(
    path=PATH,
    route_handlers=[show_users, invite, show_user, change_role, disable, enable, sign_out_user, reset],
)
