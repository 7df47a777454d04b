"""The outermost layer: which hosts are ours, who is calling, an id for the log, headers for every answer, and the log's line."""

from __future__ import annotations

import ipaddress
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, unquote_plus, urlsplit

import structlog

from portal.errors import BadRequest
from portal.histogram import Timings
from portal.settings import Settings
from portal.web.exceptions import answer
from portal.web.headers import HeaderTable
from portal.web.heads import as_get, method_of
from portal.web.proxies import Proxies
from portal.web.timing import Requests

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("access")

_HOST: Final = re.compile(rb"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}?)\.?)(?::[0-9]{1,5})?")
_SECRET_PATHS: Final = re.compile(r"^/(embed/k|cards/k|qr/k|password)/[^/?]+", re.IGNORECASE)
_SECRET_WITHIN: Final = re.compile(r"/(?:embed|cards|qr)/+k/|[?&](?:sig|token)=", re.IGNORECASE)
_SECRET_IN_PATH: Final = re.compile(r"(sig|token)%3D.+?(?=%26|$)", re.IGNORECASE)  # its `?` was another character
_SECRET_FIELDS: Final = frozenset({"sig", "token", "key", "code"})
_SLASHES: Final = re.compile("//+")
_QUIET: Final = ("/static/", "/api/images/serve/", "/health", "/metrics")  # logged only when something is wrong


class SecurityMiddleware:
    """Wraps the router: `app.asgi_handler = SecurityMiddleware(SessionMiddleware(app.asgi_handler), settings)`.

    Sets `request_id` and `address` in the scope, and `scheme` by a trusted proxy's word.
    """

    def __init__(self, app: ASGIApp, settings: Settings, requests: Requests | None = None) -> None:
        self._app = app
        self._requests = requests or Requests(Timings())
        self._hosts = frozenset(host.lower().strip("[]").encode() for host in settings.allowed_hosts)
        self._proxies = Proxies(settings.trusted_proxies)
        self._headers = HeaderTable(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope, send = as_get(scope, send)
        state: Any = scope
        state["request_id"] = request_id = secrets.token_hex(8)
        started = time.perf_counter()
        state["address"] = self._proxies.address_of(scope)
        if self._proxies.say_https(scope):
            scope["scheme"] = "https"
        status, answered = 0, 0.0
        self._requests.begin()

        async def send_with_headers(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                self._complete(message, scope, request_id)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                self._check_host(scope)
                await self._app(scope, receive, send_with_headers)
            except Exception as error:
                if status:
                    raise  # an answer has begun: nothing can be said any more but by cutting it off
                await answer(scope, receive, send_with_headers, error)
            finally:
                _log_line(scope, status, time.perf_counter() - started)
                self._requests.end(scope, status, started, answered)

    def _check_host(self, scope: Scope) -> None:
        """Raises BadRequest: links in a page must never be built on a name that a stranger chose."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or (match[1] or match[2]).lower() not in self._hosts:
            raise BadRequest(
                "This portal does not answer under that name. PORTAL_ALLOWED_HOSTS says which are its own."
            )

    def _complete(self, message: Any, scope: Scope, request_id: str) -> None:
        headers = list(message.get("headers", ()))
        present = {name.lower() for name, _ in headers}
        https = scope["scheme"] == "https"
        path = scope.get("root_path", "") + scope["path"]
        headers += [pair for pair in self._headers.for_path(path, https=https) if pair[0] not in present]
        headers.append((b"x-request-id", request_id.encode()))
        if b"cache-control" not in present:  # who may keep something says so
            headers.append((b"cache-control", b"no-store"))
        message["headers"] = headers


def _log_line(scope: Scope, status: int, seconds: float) -> None:
    quiet = 0 < status < 400 and scope["path"].startswith(_QUIET)
    user = scope.get("user")
    (log.debug if quiet else log.info)(
        "request",
        method=method_of(scope),
        path=redacted(scope),
        status=status,
        ms=round(seconds * 1000, 1),
        address=client_address(scope),
        actor=user.name if user is not None else None,
    )


def redacted(scope: Scope) -> str:
    """Path and query without keys, tokens and signatures, however they are spelled."""
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    path = _without_keys(raw.split(b"?")[0].decode("latin-1"))
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{'&'.join(_without_value(pair) for pair in query.split('&'))}" if query else path


def _without_keys(path: str) -> str:
    """Decoded where that is what gives the key away: the router reads the path so too, and takes two slashes for one."""
    plain = quote(_SLASHES.sub("/", unquote(path)))
    shown = _SECRET_PATHS.sub(lambda match: f"/{match[1]}/…", plain)
    shown = _SECRET_IN_PATH.sub(lambda match: f"{match[1]}=…", shown)
    return path if shown == plain else shown


def _without_value(pair: str) -> str:
    name, _, value = pair.partition("=")
    is_secret = unquote_plus(name).lower() in _SECRET_FIELDS or _SECRET_WITHIN.search(_decoded(value))
    return f"{name}=…" if is_secret and value else pair


def _decoded(value: str) -> str:
    """A value within a value, as the address within `url=`, may be encoded twice."""
    return unquote_plus(unquote_plus(value))


def client_address(scope: Scope) -> str:
    """Who calls, past trusted proxies; empty for a Unix socket."""
    known = scope.get("address")
    if isinstance(known, str):
        return known
    client = scope.get("client")
    return client[0] if client else ""


def origin_host(scope: Scope) -> str:
    """The checked Host header, lower case, without port and brackets."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).decode().lower() if match else ""


def is_loopback(host: str) -> bool:
    """Does a browser treat plain http to this host as safe?"""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_origins(scope: Scope, settings: Settings) -> set[str]:
    """What the Origin header of our own pages says: as this request was addressed, or as PORTAL_BASE_URL says."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    base = urlsplit(settings.base_url)
    return {f"{scope['scheme']}://{host}".lower(), f"{base.scheme}://{base.netloc}".lower()}
