"""Who makes a request: by the session's cookie or a bearer token, found before anything else looks at it.

The middleware lies around the router, so that a page for a wrong address still knows its reader. It puts into the scope:
`user` (Actor or None), `auth` (Session, Token or None), `csrf` (the session's token or None).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar.datastructures import Cookie, Headers

from portal.accounts.preferences import Preferences
from portal.accounts.service import HOURS, Session, find_session
from portal.accounts.tokens import Token, authenticate_token
from portal.audit import service as audit
from portal.audit.actors import Actor
from portal.errors import Forbidden, Unauthenticated
from portal.web.reading import AS_THE_PORTAL, reading
from portal.web.security import is_loopback, origin_host

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

SECURE_COOKIE: Final = "__Host-portal"
LOOPBACK_COOKIE: Final = "portal"
# Hot or cookieless: where one of these must know its reader, it asks authenticate() itself.
_SKIPPED: Final = ("/api/images/serve/", "/static/", "/health", "/metrics", "/embed.js", "/qr/")


class SessionMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: Any = scope
        state["user"], state["auth"], state["csrf"] = None, None, None
        mark, looked_at = audit.request_id.set(state.get("request_id")), reading.set(AS_THE_PORTAL)
        try:
            if scope["type"] == "http" and not scope["path"].startswith(_SKIPPED):
                await authenticate(scope)
            await self._app(scope, receive, send)
        finally:
            audit.request_id.reset(mark)
            reading.reset(looked_at)


async def authenticate(scope: Scope) -> Actor | None:
    """Fill `user`, `auth` and `csrf` of the scope. Raises Unauthenticated for a bad bearer token; a bad cookie is nobody's."""
    state: Any = scope
    headers = Headers.from_scope(scope)
    found: Session | Token | None = None
    if (authorization := headers.get("authorization")) is not None:
        found = await _of_bearer(authorization)
        state["csrf"] = None
    elif (cookie := _cookie_value(scope, headers)) is not None and (session := await find_session(cookie)):
        found = session
        state["csrf"] = session.csrf
        reading.set(Preferences(session.shortcuts, session.dates, session.zone).reading)
    state["auth"], state["user"] = found, found.actor if found else None
    return state["user"]


async def _of_bearer(authorization: str) -> Token:
    scheme, _, token = authorization.partition(" ")
    found = await authenticate_token(token.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise Unauthenticated("This token is unknown, expired or revoked. Send it as: Authorization: Bearer pt_…")
    return found


def _cookie_value(scope: Scope, headers: Headers) -> str | None:
    """Read by hand: a broken cookie beside ours must not hide it. Two of one name are a forgery: neither counts."""
    name = cookie_name(scope)
    pairs = (pair.strip().partition("=") for line in headers.getall("cookie", []) for pair in line.split(";"))
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 and 0 < len(values[0]) <= 100 else None


def cookie_name(scope: Scope) -> str | None:
    """None where no cookie is safe: plain http that leaves this machine."""
    if scope["scheme"] == "https":
        return SECURE_COOKIE
    return LOOPBACK_COOKIE if is_loopback(origin_host(scope)) else None


def session_cookie(scope: Scope, token: str) -> Cookie:
    """Raises Forbidden where the browser would send it in the clear."""
    name = cookie_name(scope)
    if name is None:
        raise Forbidden("Signing in needs https here, or a browser on the portal's own machine.")
    return _cookie(scope, name, token, HOURS * 3600)


def cleared_cookie(scope: Scope) -> Cookie | None:
    name = cookie_name(scope)
    return None if name is None else _cookie(scope, name, "", 0)


def _cookie(scope: Scope, name: str, value: str, seconds: int) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path="/",
        max_age=seconds,
        httponly=True,
        secure=scope["scheme"] == "https",
        samesite="lax",
    )
