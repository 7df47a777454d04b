"""Pages and fragments: what every template gets, and what follows an action (a fragment for htmx, a redirect for a form)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from litestar import Request
from litestar.datastructures import Cookie
from litestar.response import Response, Template

SITE_NAME: Final = "Portal"
THEMES: Final = ("auto", "light", "dark")
THEME_COOKIE: Final = "portal_theme"
TOAST_COOKIE: Final = "portal_toast"
TOAST_SECONDS: Final = 60
COUNTS: Final = ("categories", "inventory_items", "invoices", "customers", "companies", "trash", "failed", "findings")
_LOCAL: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\x9f]*")

AnyRequest = Request[Any, Any, Any]
ShellCounts = Callable[[], Awaitable[Mapping[str, int]]]


@dataclass(frozen=True, slots=True)
class Reader:
    name: str
    email: str
    role: str
    account: str = ""  # its id; a token has none
    shortcuts: bool = True

    @property
    def initials(self) -> str:
        words = re.findall(r"\w+", self.name or self.email)
        return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words[:1])).upper() or "?"


@dataclass(frozen=True, slots=True)
class Shell:
    """What surrounds a page for somebody who is signed in."""

    user: Reader
    counts: Mapping[str, int]
    csrf_token: str
    can_edit: bool
    is_admin: bool
    alarms: Sequence[
        Any
    ] = ()  # for admins: what is critical, as it is known without asking; each with title and detail


@dataclass(frozen=True, slots=True)
class Toast:
    """A short word about what was done; `undo_url` takes a POST."""

    message: str
    undo_url: str | None = None


async def page(
    request: AnyRequest,
    template: str,
    *,
    status_code: int = 200,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Template:
    """A whole page, or a fragment by its own URL. Shows the toast that the last form left, once."""
    toasts = [] if is_htmx(request) else _left_toasts(request)
    answer = Template(
        template,
        context=await shell_context(request) | {"toasts": toasts} | context,
        status_code=status_code,
        headers=headers,
        media_type="text/html",
    )
    if toasts:
        answer.set_cookie(_toast_cookie(request, "", 0))
    return answer


async def after(
    request: AnyRequest,
    fragment: str,
    *,
    to: str,
    toast: Toast | str | None = None,
    counts: bool = False,
    status_code: int = 200,
    **context: Any,
) -> Response[Any]:
    """What follows an action: the fragment for htmx, with toast and (if `counts`) the sidebar's numbers out of band;
    a redirect to the path `to` for a plain form, whose next page shows the toast."""
    said = Toast(toast) if isinstance(toast, str) else toast
    if not is_htmx(request):
        return redirect(request, to, toast=said)
    values = await shell_context(request) | {"toasts": [said] if said else []} | context
    names = [fragment, *(["web/_toast.html"] if said else []), *(["web/_nav_counts.html"] if counts else [])]
    return Response(
        "".join(render(request, name, values) for name in names), status_code=status_code, media_type="text/html"
    )


def redirect(request: AnyRequest, to: str, *, toast: Toast | None = None) -> Response[Any]:
    """303 to a path of ours; anything else becomes the overview."""
    answer: Response[Any] = Response(
        b"", status_code=303, headers={"location": quote(local_path(to), safe="/?&=%:@+,;~!$'()*#")}
    )
    if toast:
        answer.set_cookie(_toast_cookie(request, _signed(request, toast), TOAST_SECONDS))
    return answer


def local_path(to: str | None, default: str = "/") -> str:
    """`to` if it is a path on this portal: one slash, no backslash, no control characters; else `default`."""
    return to if to and len(to) <= 2000 and _LOCAL.fullmatch(to) else default


def is_htmx(request: AnyRequest) -> bool:
    return request.headers.get("hx-request") == "true"


def render(request: AnyRequest, template: str, context: dict[str, Any]) -> str:
    engine = request.app.template_engine
    assert engine is not None
    return engine.get_template(template).render(**context)


async def shell_context(request: AnyRequest, *, counted: bool = True) -> dict[str, Any]:
    """What base.html needs, save `toasts`; `counted` False where the database may be away."""
    shell = await _shell_of(request, counted)
    return {
        "shell": shell,
        "site_name": SITE_NAME,
        "theme": _theme_of(request),
        "path": request.scope["path"],
        "csrf_token": request.scope.get("csrf") or "",
    }


async def _shell_of(request: AnyRequest, counted: bool) -> Shell | None:
    actor, auth = request.scope.get("user"), request.scope.get("auth")
    if actor is None:
        return None
    count: ShellCounts | None = request.app.state.get("shell_counts") if counted else None
    alarms: Callable[[], Sequence[Any]] | None = request.app.state.get("alarms")
    counts = dict.fromkeys(COUNTS, 0) | (dict(await count()) if count else {})
    email = getattr(auth, "email", "")
    name, account = getattr(auth, "name", "") or email or actor.name, str(getattr(auth, "account", ""))
    return Shell(
        Reader(name, email, actor.role, account, getattr(auth, "shortcuts", True)),
        counts,
        request.scope.get("csrf") or "",
        actor.may("editor"),
        actor.may("admin"),
        alarms() if alarms and actor.may("admin") else (),
    )


def _theme_of(request: AnyRequest) -> str:
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def plain_cookie(request: AnyRequest, name: str, value: str, seconds: int) -> Cookie:
    """A cookie that proves nothing: a choice or a word for the next page."""
    https = request.scope["scheme"] == "https"
    return Cookie(key=name, value=value, max_age=seconds, path="/", httponly=True, secure=https, samesite="lax")


def _toast_cookie(request: AnyRequest, value: str, seconds: int) -> Cookie:
    return plain_cookie(request, TOAST_COOKIE, value, seconds)


def _signed(request: AnyRequest, toast: Toast) -> str:
    """Signed, so that nobody can make the portal say a sentence of theirs."""
    body = json.dumps([toast.message[:300], toast.undo_url], ensure_ascii=False).encode("utf-8", "replace")
    keys: tuple[bytes, ...] = request.app.state.settings.secret_keys
    return base64.urlsafe_b64encode(_seal(keys[0], body) + body).decode().rstrip("=")


def _left_toasts(request: AnyRequest) -> list[Toast]:
    value = request.cookies.get(TOAST_COOKIE)
    if not value or len(value) > 3000:
        return []
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return []
    seal, body = raw[:32], raw[32:]
    keys: tuple[bytes, ...] = request.app.state.settings.secret_keys
    if not any(hmac.compare_digest(seal, _seal(key, body)) for key in keys):
        return []
    message, undo_url = json.loads(body)
    return [Toast(message, undo_url)]


def _seal(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"portal toast\0" + body, hashlib.sha256)
