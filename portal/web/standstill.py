"""Before every handler: while a restore writes, people are shown that, and nothing that would change is taken.

What everybody may see (pictures, frames, cards), signing in and out, and whatever scripts read go on as always; admins keep
the pages on which they follow the restore. Who has not signed in is led there first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from litestar import MediaType, Request, Response, Router, get
from litestar.response import Template
from litestar.response.base import ASGIResponse
from litestar.utils import normalize_path

from portal.audit.actors import Actor
from portal.errors import Restoring
from portal.jobs.standstill import Standstill, Watch
from portal.web.exceptions import wants_json
from portal.web.rendering import AnyRequest, is_htmx, page, render, shell_context

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

RETRY_AFTER: Final = 10  # seconds
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN: Final = frozenset({"public", "scoped"})
_OF_EACH_BROWSER: Final = frozenset({"/login", "/logout", "/account/theme"})
_SAYS_ITSELF: Final = "/api/images/restore"  # that one is running, and since when
_FOR_ADMINS: Final = ("/maintenance/backups", "/maintenance/jobs", "/maintenance/health")


class StandstillMiddleware:
    """One of Litestar's own middlewares, the first: a body that is refused is not read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch: Watch | None = scope["litestar_app"].state.get("standstill")
        now = watch.now if watch is not None else None
        if now is None or scope["type"] != "http" or _goes_on(Request(scope), now):
            await self._app(scope, receive, send)
            return
        request: AnyRequest = Request(scope, receive)
        if request.method not in _READING or is_htmx(request):
            raise Restoring(_said(now), retry_after=RETRY_AFTER)
        await (await _page(request, now))(scope, receive, send)


def _goes_on(request: AnyRequest, now: Standstill) -> bool:
    scope = request.scope
    path, actor = normalize_path(scope["path"]), scope.get("user")
    if path in _OF_EACH_BROWSER:
        return True
    permission = getattr(scope.get("route_handler"), "opt", {}).get("permission")
    if not isinstance(actor, Actor) and permission not in _OPEN:
        return True  # to its guard
    if request.method not in _READING:
        cancelling = (f"/api/jobs/{now.job}/cancel", f"/maintenance/jobs/{now.job}/cancel")
        return path == _SAYS_ITSELF or path in cancelling
    if permission in _OPEN or wants_json(request):
        return True
    return isinstance(actor, Actor) and actor.may("admin") and path.startswith(_FOR_ADMINS)


def _said(now: Standstill) -> str:
    since = now.since.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"The portal is being restored since {since}, and takes nothing in. Nothing is lost: send it again when that is done."


async def _page(request: AnyRequest, now: Standstill) -> ASGIResponse:
    """At the address that was asked for, so that loading it again, once it is over, shows what was asked for."""
    context = await shell_context(request, counted=False) | _inputs(request, now) | {"shell": None, "toasts": []}
    headers = {"cache-control": "no-store", "retry-after": str(RETRY_AFTER)}
    text = render(request, "web/standstill.html", context)
    return ASGIResponse(body=text.encode(), status_code=503, headers=headers, media_type=MediaType.HTML)


def _inputs(request: AnyRequest, now: Standstill) -> dict[str, Any]:
    actor = request.scope.get("user")
    progress = now.progress if isinstance(actor, Actor) and actor.may("viewer") else {}
    return {
        "standstill": now,
        "progress": progress,
        "percent": _percent(progress),
        "is_admin": isinstance(actor, Actor) and actor.may("admin"),
    }


def _percent(progress: Mapping[str, Any]) -> int | None:
    done, total = progress.get("done"), progress.get("total")
    return min(round(100 * done / total), 100) if done is not None and total else None


@get("/standstill", name="web:standstill", include_in_schema=False, opt={"permission": "public"})
async def standstill(request: AnyRequest) -> Template | Response[bytes]:
    """What the page asks for again and again; once it is over, the browser is told to load its page anew."""
    watch: Watch | None = request.app.state.get("standstill")
    if watch is None or watch.now is None:
        return Response(b"", headers={"hx-refresh": "true"}, media_type=MediaType.HTML)
    return await page(request, "web/_standstill.html", **_inputs(request, watch.now))


router = Router("/", route_handlers=[standstill])
