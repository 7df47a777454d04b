"""Every error becomes an answer here: problem+json for scripts, a notice for htmx, a page for people."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import asyncpg
import structlog
from litestar import MediaType, Request, exceptions
from litestar.response import Response
from litestar.response.base import ASGIResponse
from litestar.utils import normalize_path

from portal import errors
from portal.database import AWAY
from portal.errors import PortalError
from portal.web.refusals import note_refusal
from portal.web.rendering import AnyRequest, is_htmx, local_path, render, shell_context

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger()

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_STATUSES: Final[dict[int, type[PortalError]]] = {
    error.status: error
    for error in (
        errors.Unauthenticated,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.Gone,
        errors.Stale,
        errors.TooLarge,
        errors.UnsupportedFormat,
        errors.RateLimited,
        errors.Unavailable,
    )
}
_SENTENCES: Final = {
    401: "Sign in first.",
    403: "You may not do this.",
    404: "There is nothing at this address.",
    413: "The request is larger than this address takes.",
    503: "The portal cannot do this at the moment. Try again shortly.",
}


class MethodNotAllowed(PortalError):
    status, code, title = 405, "method_not_allowed", "Not possible here"


def respond(request: AnyRequest, error: Exception) -> Response[Any]:
    """The exception handler for every exception: `exception_handlers={Exception: respond}`."""
    return _ErrorAnswer(error)


async def answer(scope: Scope, receive: Receive, send: Send, error: Exception) -> None:
    """The same, for what goes wrong outside the router."""
    request: AnyRequest = Request(scope, receive, send)  # type: ignore[arg-type] - http, as was checked
    response = await _respond(request, error)
    await response(scope, receive, send)


class _ErrorAnswer(Response[Any]):
    """Litestar's exception handlers are not async, but its responses are."""

    def __init__(self, error: Exception) -> None:
        super().__init__(content=None)
        self.error = error

    def to_asgi_response(self, app: Any, request: Any, **_: Any) -> ASGIApp:  # type: ignore[override] - fewer parameters are needed
        async def send_answer(scope: Scope, receive: Receive, send: Send) -> None:
            await (await _respond(request, self.error))(scope, receive, send)

        return send_answer


async def _respond(request: AnyRequest, raised: Exception) -> ASGIResponse:
    error = as_portal_error(raised)
    _log(error, raised)
    request.scope["error_code"] = error.code  # type: ignore[typeddict-unknown-key] - our own key of the scope
    note_refusal(request, error)
    headers = {"cache-control": "no-store", "vary": "Accept, HX-Request"}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if error.status == 405:
        headers["allow"] = ", ".join(_methods_of(request))
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="portal"'
    if wants_json(request):
        return _json(request, error, headers)
    return await _html(request, error, headers)


def _methods_of(request: AnyRequest) -> list[str]:
    """What the address takes; Litestar's own answer does not say so, and RFC 9110 asks for it."""
    route, path = request.app.asgi_router.handle_routing, normalize_path(request.scope["path"])
    found: list[str] = []
    for method in _METHODS:
        with contextlib.suppress(exceptions.HTTPException):
            route(path=path, method=method)
            found += ["GET", "HEAD"] if method == "GET" else [method]
    return found


def as_portal_error(error: Exception) -> PortalError:
    """What to say about an exception. Nothing of its own text, which may name tables or paths, is passed on."""
    if isinstance(error, PortalError):
        return error
    if isinstance(error, exceptions.HTTPException):
        return _of_litestar(error)
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError) and (said := _of_database(error)):
        return said
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return errors.DiskFull("The disk is full. What was stored before is safe; make room and try again.")
    if isinstance(error, AWAY):
        return errors.Unavailable("The database is away for a moment. Try again shortly.", retry_after=2)
    # A charset that does not exist is a bare LookupError; KeyError and IndexError are defects of ours.
    if isinstance(error, UnicodeError) or type(error) is LookupError:
        return errors.BadRequest("The request holds text that is not valid UTF-8.")
    return PortalError("Something went wrong on our side. It was noted; try again, and tell us if it stays.")


def _of_database(error: Exception) -> PortalError | None:
    if isinstance(error, asyncpg.DiskFullError):
        return errors.DiskFull("The database's disk is full. What was stored before is safe; make room and try again.")
    # The server's words for a value that fits no column (NUL, too long, too large), and asyncpg's own before sending.
    if isinstance(error, asyncpg.DataError) or (
        isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    ):
        return errors.FormError({"": "A value is too long, too large or holds characters that cannot be stored."})
    if isinstance(error, asyncpg.DeadlockDetectedError | asyncpg.SerializationError | asyncpg.UniqueViolationError):
        return errors.Conflict("Somebody changed the same thing at the same moment. Look again, then repeat it.")
    if isinstance(error, asyncpg.QueryCanceledError | asyncpg.LockNotAvailableError):
        return errors.Unavailable("The database took too long. Try again shortly.", retry_after=2)
    return None


def _of_litestar(error: exceptions.HTTPException) -> PortalError:
    if isinstance(error, exceptions.ValidationException):
        return errors.FormError(_fields(error.extra), "Some fields need another look.")
    if isinstance(error, exceptions.MethodNotAllowedException):
        return MethodNotAllowed("This address does not take that method.")
    kind = _STATUSES.get(error.status_code)
    if kind is not None:
        retry_after = 2 if error.status_code in {429, 503} else None
        return kind(_SENTENCES.get(error.status_code, kind.title), retry_after=retry_after)
    if error.status_code < 500:
        return errors.BadRequest("The request cannot be read.")
    return PortalError("Something went wrong on our side. It was noted; try again, and tell us if it stays.")


def _fields(extra: Any) -> dict[str, str]:
    """Litestar's list of {message, key} as field -> sentence."""
    found: dict[str, str] = {}
    for item in extra if isinstance(extra, list) else []:
        if isinstance(item, dict):
            found[str(item.get("key", ""))] = str(item.get("message", "")) or "This cannot be used."
    return found or {"": "The values do not have the form that this address takes."}


def _log(error: PortalError, raised: Exception) -> None:
    if error.status == 500:
        log.error("unexpected error", exc_info=raised)
    elif error.report:
        log.warning("error", code=error.code, cause=repr(raised.__cause__ or raised))


def wants_json(request: AnyRequest) -> bool:
    path, accept = request.scope["path"], request.headers.get("accept", "")
    if path in ("/api", "/metrics") or path.startswith("/api/"):
        return True
    return "application/problem+json" in accept or ("application/json" in accept and "text/html" not in accept)


def problem(error: PortalError, request_id: str | None) -> dict[str, Any]:
    """RFC 9457's members and ours."""
    body: dict[str, Any] = {
        "status": error.status,
        "title": error.title,
        "detail": error.message,
        "code": error.code,
        "request_id": request_id,
        **error.extra,
    }
    if isinstance(error, errors.FormError):
        body["errors"] = [{"field": _shown(field), "message": message} for field, message in error.errors.items()]
    return body


def _shown(name: str) -> str:
    """A field's name out of a request, fit to stand in JSON: a lone surrogate is none."""
    return name.encode("utf-8", "replace").decode()[:100]


def _json(request: AnyRequest, error: PortalError, headers: dict[str, str]) -> ASGIResponse:
    body = problem(error, request.scope.get("request_id"))  # type: ignore[arg-type] - our own key of the scope
    response: Response[Any] = Response(
        body, status_code=error.status, headers=headers, media_type="application/problem+json"
    )
    return response.to_asgi_response(app=None, request=request)


async def _html(request: AnyRequest, error: PortalError, headers: dict[str, str]) -> ASGIResponse:
    request_id = request.scope.get("request_id")
    if error.status == 401 and (login := _login(request)):
        if not is_htmx(request):
            return ASGIResponse(status_code=303, headers={**headers, "location": login})
        headers["hx-redirect"] = login
    said = {"message": error.message, "code": error.code, "request_id": request_id}
    try:
        if is_htmx(request):
            text = render(request, "web/_notice.html", said)
        else:
            frame = await _frame(request, error)
            text = render(
                request,
                "web/error.html",
                frame | said | {"status": error.status, "title": error.title, "action": None, "toasts": []},
            )
    except Exception:
        log.exception("the page for an error failed")
        return ASGIResponse(
            body=f"{error.title}\n\n{error.message}\n\n{request_id}\n".encode(),
            status_code=error.status,
            headers=headers,
            media_type=MediaType.TEXT,
        )
    return ASGIResponse(body=text.encode(), status_code=error.status, headers=headers, media_type=MediaType.HTML)


async def _frame(request: AnyRequest, error: PortalError) -> dict[str, Any]:
    """The page around the error; without numbers when the database is what fails."""
    try:
        return await shell_context(request, counted=error.status < 500)
    except Exception:
        log.exception("the frame around an error failed")
        return await shell_context(request, counted=False)


def _login(request: AnyRequest) -> str | None:
    """Where somebody signs in and comes back from; None for who asked for no page."""
    accept = request.headers.get("accept", "*/*")
    if request.method in {"GET", "HEAD"} and not is_htmx(request):
        back = request.scope["path"]
        query = request.scope.get("query_string", b"").decode("latin-1")
        return _login_with(f"{back}?{query}" if query else back) if "*/*" in accept or "text/html" in accept else None
    if is_htmx(request) or "text/html" in accept:
        return _login_with(path_of(request.headers.get("hx-current-url") or request.headers.get("referer", "")))
    return None


def _login_with(back: str) -> str:
    back = local_path(back)
    return "/login" if back == "/" else f"/login?{urlencode({'next': back})}"


def path_of(url: str) -> str:
    """A page's address as a path; only its path and query are used, so that no other host comes in."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
