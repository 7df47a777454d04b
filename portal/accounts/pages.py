"""Signing in and out, the first set-up, one-time password links, and a person's own account."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Response, Template

from portal.accounts import preferences, service, setup, throttle, users
from portal.accounts.guards import permit, session_of
from portal.accounts.people import ROLES_IN_WORDS
from portal.accounts.service import Session
from portal.accounts.sessions import cleared_cookie, session_cookie
from portal.errors import FormError, PortalError, RateLimited
from portal.web.exceptions import path_of, wants_json
from portal.web.forms import read_form
from portal.web.reading import zone_names
from portal.web.refusals import note_refusal
from portal.web.rendering import (
    THEME_COOKIE,
    THEMES,
    AnyRequest,
    Shell,
    Toast,
    is_htmx,
    local_path,
    page,
    plain_cookie,
    redirect,
    shell_context,
)
from portal.web.security import client_address

_YEAR_SECONDS = 365 * 24 * 3600
BACKUPS = "/maintenance/backups"  # where somebody begins who brings a backup


@get("/login", name="accounts:login", **permit("public"))
async def show_login(request: AnyRequest) -> Response[Any]:
    back = local_path(request.query_params.get("next"))
    if isinstance(request.scope.get("auth"), Session):
        return redirect(request, back)
    notice = "Sign in to go on." if back != "/" else None
    return await page(request, "accounts/login.html", form=_form({"next": back}), notice=notice)


@post("/login", **permit("public"))
async def sign_in(request: AnyRequest) -> Response[Any]:
    fields = await read_form(request)
    back = local_path(fields.get("next"))
    email, password = fields.get("email", ""), fields.get("password", "")
    session_cookie(request.scope, "")  # refuses plain http before a password is even looked at
    try:
        _check_filled(email=email, password=password)
        return await _signed_in(request, email, password, back)
    except (FormError, RateLimited) as error:
        form = _form({"email": email, "next": back}, error)
        return await _again(request, "accounts/login.html", error, form=form, notice=None)


@post("/logout", name="accounts:logout", status_code=303, **permit("public"))
async def sign_out(request: AnyRequest) -> Response[Any]:
    session = request.scope.get("auth")
    if isinstance(session, Session):
        await service.sign_out(session)
    return _cookie_cleared(request, redirect(request, "/login"))


@get("/setup", name="accounts:setup", **permit("public"))
async def show_setup(request: AnyRequest) -> Template:
    token = request.query_params.get("token", "")
    await setup.check_setup_token(token, client_address(request.scope))
    return await page(request, "accounts/setup.html", form=_form({}), token=token)


@post("/setup", **permit("public"))
async def set_up(request: AnyRequest) -> Response[Any]:
    fields = await read_form(request)
    token, email, password = (fields.get(name, "") for name in ("token", "email", "password"))
    address = client_address(request.scope)
    await setup.check_setup_token(token, address)
    session_cookie(request.scope, "")
    try:
        await setup.set_up(token, email, fields.get("name", ""), password, address=address)
        return await _signed_in(request, email, password, BACKUPS if fields.get("has_backup") else "/")
    except FormError as error:
        form = _form({name: fields.get(name, "") for name in ("email", "name", "has_backup")}, error)
        return await _again(request, "accounts/setup.html", error, form=form, token=token)


@get("/password/{token:str}", name="accounts:password", **permit("public"))
async def show_password(request: AnyRequest, token: FromPath[str]) -> Template:
    user = await _link_of(request, token)
    return await page(request, "accounts/password.html", form=_form({}), email=user.email, token=token)


@post("/password/{token:str}", **permit("public"))
async def set_password(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    password = (await read_form(request)).get("password", "")
    user = await _link_of(request, token)
    session_cookie(request.scope, "")
    try:
        email = await users.set_password_by_link(token, password)
        return await _signed_in(request, email, password, "/")
    except FormError as error:
        form = _form({}, error)
        return await _again(request, "accounts/password.html", error, form=form, email=user.email, token=token)


@get("/account", name="accounts:account", **permit("viewer"))
async def show_account(request: AnyRequest) -> Template:
    return await page(request, "accounts/account.html", **await _account(request), form=_form({}))


@post("/account/password", name="accounts:change_password", **permit("viewer"))
async def change_password(request: AnyRequest) -> Response[Any]:
    fields, session = await read_form(request), session_of(request)
    try:
        await service.change_password(session, fields.get("current", ""), fields.get("password", ""))
    except (FormError, RateLimited) as error:
        return await _again(request, "accounts/account.html", error, **await _account(request), form=_form({}, error))
    return redirect(request, "/account", toast=Toast("Password changed. Other browsers are signed out."))


@post("/account/sessions/{id:uuid}/end", name="accounts:end_session", **permit("viewer"))
async def end_session(request: AnyRequest, id: FromPath[UUID]) -> Response[Any]:
    session = session_of(request)
    await service.end_session(session.account, id, session.actor)
    if id == session.id:
        return _cookie_cleared(request, redirect(request, "/login"))
    return redirect(request, "/account", toast=Toast("Signed out there."))


@post("/account/sessions/end-others", name="accounts:end_other_sessions", **permit("viewer"))
async def end_other_sessions(request: AnyRequest) -> Response[Any]:
    session = session_of(request)
    ended = await users.sign_out_everywhere(session.email, session.actor, but=session.id)
    said = f"{ended} other {'session' if ended == 1 else 'sessions'} ended." if ended else "There was no other session."
    return redirect(request, "/account", toast=Toast(said))


@post("/account/preferences", name="accounts:prefer", **permit("viewer"))
async def choose_preferences(request: AnyRequest) -> Response[Any]:
    fields, session = await read_form(request), session_of(request)
    try:
        await preferences.prefer(session.account, preferences.read_preferences(fields), session.actor)
    except FormError as error:
        form = _form(fields, error)
        return await _again(
            request, "accounts/account.html", error, **await _account(request) | {"chosen": fields}, form=form
        )
    return redirect(request, "/account", toast=Toast("Saved. It holds in every browser."))


@post("/account/theme", name="accounts:theme", **permit("public"))
async def choose_theme(request: AnyRequest) -> Response[Any]:
    theme = (await read_form(request)).get("theme", "")
    if theme not in THEMES:
        raise FormError({"theme": f"Use one of {', '.join(THEMES)}."})
    came_from = path_of(request.headers.get("referer", ""))
    answer = Response(b"", status_code=204) if is_htmx(request) else redirect(request, came_from)
    answer.set_cookie(plain_cookie(request, THEME_COOKIE, theme, _YEAR_SECONDS))
    return answer


def _form(values: dict[str, str], error: PortalError | None = None) -> dict[str, Any]:
    """What a template shows again: never a password. What belongs to no field stands under `form`."""
    errors = error.errors if isinstance(error, FormError) else {"form": error.message} if error else {}
    return {"values": values, "errors": errors}


async def _again(request: AnyRequest, template: str, error: PortalError, **context: Any) -> Template:
    """The same page with what to do about it; scripts get the error itself."""
    if wants_json(request):
        raise error
    note_refusal(request, error)
    headers = {"retry-after": str(error.retry_after)} if error.retry_after else None
    return await page(request, template, status_code=error.status, headers=headers, **context)


def _check_filled(**fields: str) -> None:
    errors = {name: "Fill this in." for name, value in fields.items() if not value.strip()}
    if errors:
        raise FormError(errors)


async def _signed_in(request: AnyRequest, email: str, password: str, back: str) -> Response[Any]:
    known = request.scope.get("auth")
    token, _ = await service.sign_in(
        email,
        password,
        client_address(request.scope),
        request.headers.get("user-agent", ""),
        replaces=known.id if isinstance(known, Session) else None,
    )
    answer = redirect(request, back)
    answer.set_cookie(session_cookie(request.scope, token))
    return answer


def _cookie_cleared(request: AnyRequest, answer: Response[Any]) -> Response[Any]:
    if cookie := cleared_cookie(request.scope):
        answer.set_cookie(cookie)
    return answer


async def _link_of(request: AnyRequest, token: str) -> users.UserView:
    """Raises NotFound, and RateLimited for an address that tries many."""
    address = client_address(request.scope)
    await throttle.count_attempt(throttle.LINK, address)
    user = await users.get_link(token)
    await throttle.forgive_attempt(throttle.LINK, address)
    return user


async def _account(request: AnyRequest) -> dict[str, Any]:
    session = session_of(request)
    shell: Shell | None = (await shell_context(request))["shell"]
    assert shell is not None
    chosen = await preferences.preferences_of(session.account)
    return {
        "user": shell.user,
        "roles": ROLES_IN_WORDS,
        "sessions": await service.list_sessions(session.account, session.id),
        "chosen": {"shortcuts": "on" if chosen.shortcuts else "", "dates": chosen.dates, "zone": chosen.zone},
        "dates": preferences.DATES,
        "zones": zone_names(),
        "portal_zone": str(request.app.state.settings.timezone),
    }


router = Router(
    include_in_schema=False,
    path="/",
    route_handlers=[
        show_login,
        sign_in,
        sign_out,
        show_setup,
        set_up,
        show_password,
        set_password,
        show_account,
        change_password,
        end_session,
        end_other_sessions,
        choose_preferences,
        choose_theme,
    ],
)
