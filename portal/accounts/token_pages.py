"""The page of API tokens: make one (shown this once), see which are used, revoke."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Response, Template

from portal.accounts import tokens
from portal.accounts.guards import confirm_with, needs_password, permit
from portal.accounts.people import ROLES_IN_WORDS
from portal.accounts.tokens import TokenView
from portal.audit.actors import Actor
from portal.audit.words import who
from portal.errors import FormError, RateLimited
from portal.expiry import expiry_in_words, read_expiry, state_of
from portal.settings import Settings
from portal.web.exceptions import wants_json
from portal.web.forms import read_form
from portal.web.parameters import Cursor, TheActor, TheSettings
from portal.web.refusals import note_refusal
from portal.web.rendering import AnyRequest, Toast, after, is_htmx, page, redirect, render, shell_context

PATH: Final = "/settings/tokens"
ENDS: Final = {"90d": "In 90 days", "365d": "In a year", "date": "On a day", "never": "Never"}


@dataclass(frozen=True, slots=True)
class TokenForm:
    """As it is shown: what somebody wrote, and what to do about it by field."""

    name: str = ""
    role: str = "editor"
    ends: str = "365d"
    until: str = ""
    errors: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def values(self) -> Mapping[str, str]:
        return {"role": self.role}

    def expiry(self, settings: Settings) -> datetime | None:
        """Raises FormError."""
        asked = self.until or "?" if self.ends == "date" else "" if self.ends == "never" else self.ends
        return read_expiry(asked, settings.timezone, datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class TokenRow:
    token: TokenView
    state: str
    expiry: str
    made_by: str


@get("/", name="accounts:tokens", include_in_schema=False, **permit("admin"))
async def show_tokens(request: AnyRequest, cursor: Cursor = None) -> Template:
    return await _page(request, TokenForm(), cursor=cursor)


@post("/", name="accounts:make_token", include_in_schema=False, status_code=200, **permit("admin"))
async def make_token(request: AnyRequest, settings: TheSettings, actor: TheActor) -> Response[Any] | Template:
    """The answer itself shows the token, this once: it stands in no URL, no cookie and no log."""
    sent = await read_form(request)
    form = TokenForm(**{name: sent.get(name, "").strip()[:400] for name in ("name", "role", "ends", "until")})  # type: ignore[arg-type] - texts all
    try:
        await confirm_with(request, sent.get("current", ""))
        token = await _issue(form, settings, actor)
    except (FormError, RateLimited) as error:
        if wants_json(request):
            raise
        note_refusal(request, error)
        errors = error.errors if isinstance(error, FormError) else {"current": error.message}
        return await _again(request, dataclasses.replace(form, errors=errors))
    made = {"name": form.name, "token": token}
    if not is_htmx(request):
        return await _page(request, TokenForm(), made=made)
    context = await shell_context(request) | await _list_context(None)
    context |= {"made": made, "out_of_band": True, "asks": needs_password(request)}
    parts = [render(request, name, context) for name in ("accounts/_token_made.html", "accounts/_tokens.html")]
    return Response("".join(parts), media_type="text/html")


async def _issue(form: TokenForm, settings: Settings, actor: Actor) -> str:
    """Raises FormError that names every field that needs another look."""
    errors: dict[str, str] = {}
    expires_at = None
    for check in (lambda: tokens.clean_name(form.name), lambda: tokens.check_role(form.role)):
        try:
            check()
        except FormError as error:
            errors |= error.errors
    try:
        expires_at = form.expiry(settings)
    except FormError:
        errors["expires"] = "Choose a day to come."
    if errors:
        raise FormError(errors)
    return await tokens.create_token(form.name, form.role, expires_at, actor)


@post("/{id:uuid}/revoke", name="accounts:revoke_token", include_in_schema=False, status_code=200, **permit("admin"))
async def revoke(request: AnyRequest, actor: TheActor, id: FromPath[UUID]) -> Response[Any] | Template:
    sent = await read_form(request)
    token = await tokens.get_token(id)
    try:
        await confirm_with(request, sent.get("current", ""))
    except (FormError, RateLimited) as error:
        if wants_json(request):
            raise
        note_refusal(request, error)
        said = error.errors["current"] if isinstance(error, FormError) else error.message
        if is_htmx(request):
            return await page(
                request, "accounts/_token_revoke.html", status_code=422, token=token, asks=True, wrong=said
            )
        return await _page(request, TokenForm(), revoking={"id": id, "error": said}, status_code=error.status)
    await tokens.revoke_token(id, actor)
    toast = Toast(f"Token {token.name} revoked. It opens nothing any more.")
    if not is_htmx(request):
        return redirect(request, PATH, toast=toast)
    context = await _list_context(None) | {"takes_focus": True, "asks": needs_password(request)}
    return await after(request, "accounts/_tokens.html", to=PATH, toast=toast, **context)


async def _again(request: AnyRequest, form: TokenForm) -> Template:
    if not is_htmx(request):
        return await _page(request, form, status_code=422)
    return await page(request, "accounts/_token_form.html", status_code=422, **_form_context(request, form))


async def _page(
    request: AnyRequest, form: TokenForm, *, cursor: str | None = None, status_code: int = 200, **shown: Any
) -> Template:
    context = {"made": None} | _form_context(request, form) | await _list_context(cursor) | shown
    return await page(request, "accounts/tokens.html", status_code=status_code, **context)


def _form_context(request: AnyRequest, form: TokenForm) -> dict[str, Any]:
    zone = request.app.state.settings.timezone
    return {
        "form": form,
        "roles": ROLES_IN_WORDS,
        "ends": ENDS,
        "today": datetime.now(zone).date(),
        "asks": needs_password(request),
    }


async def _list_context(cursor: str | None) -> dict[str, Any]:
    found, now = await tokens.page_of_tokens(cursor or None), datetime.now(UTC)
    rows = [
        TokenRow(each, state_of(each.expires_at, now), expiry_in_words(each.expires_at, now), who(each.created_by))
        for each in found.items
    ]
    return {
        "rows": rows,
        "total": found.total,
        "next": found.next,
        "is_first": not cursor,
        "out_of_band": False,
        "takes_focus": False,
        "revoking": None,
    }


router = Router(path=PATH, route_handlers=[show_tokens, make_token, revoke])
