"""Which answers are refusals that the audit hears of; it is told after the fact, and never in the answer's way."""

from __future__ import annotations

from typing import Final

import structlog
from litestar.exceptions import HTTPException

from portal.audit.denials import Denials
from portal.errors import PortalError, Unauthenticated
from portal.web.rendering import AnyRequest

log = structlog.get_logger()

_ELSEWHERE: Final = "(no such address)"
_COOKIES: Final = ("portal=", "__Host-portal=")


def note_refusal(request: AnyRequest, error: PortalError) -> None:
    """Nothing for other errors, nor for who comes without credentials and is only asked to sign in."""
    if not error.is_denial or (isinstance(error, Unauthenticated) and not _brings_credentials(request)):
        return
    denials: Denials | None = request.app.state.get("denials")
    if denials is None:
        return
    try:
        refusal = (request.scope["method"], _route_of(request), error.status, error.code)
        denials.note(request.scope.get("user"), refusal, request.scope.get("request_id"))  # type: ignore[arg-type] - our own key of the scope
    except Exception:  # an answer is worth more than a line about it
        log.exception("a refusal was not noted")


def _brings_credentials(request: AnyRequest) -> bool:
    """Right ones are none that were refused: these are wrong, late or forged."""
    cookies = (pair.strip() for pair in request.headers.get("cookie", "").split(";"))
    return "authorization" in request.headers or any(pair.startswith(_COOKIES) for pair in cookies)


def _route_of(request: AnyRequest) -> str:
    """Its template: what stands in a path may be a key. Before the router has seen the request, it is asked."""
    handler, template = request.scope.get("route_handler"), request.scope.get("path_template", "")
    if handler is None:
        try:
            route = request.app.asgi_router.handle_routing
            _, handler, _, _, template = route(path=request.scope["path"], method=request.scope["method"])
        except HTTPException:
            return _ELSEWHERE
    return (template or min(handler.paths, default=_ELSEWHERE))[:100]  # what is mounted has no template
