"""How a gallery is laid out for who looks at it: as a grid or a list (this browser remembers), which part of a long one, and the
way that leads through it."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from litestar.response import Response

from portal.errors import FormError
from portal.paging import decode_cursor
from portal.web.rendering import AnyRequest, plain_cookie

VIEWS: Final = ("grid", "list")
_COOKIE: Final = "portal_gallery"
_YEAR_SECONDS: Final = 365 * 86_400
_KEPT: Final = frozenset({"q", "missing", "sort", "cursor"})
_LONGEST: Final = 1000


def view_of(request: AnyRequest) -> str:
    chosen = request.cookies.get(_COOKIE, VIEWS[0])
    return chosen if chosen in VIEWS else VIEWS[0]


def remember_view(request: AnyRequest, answer: Response[object], view: str) -> None:
    answer.set_cookie(plain_cookie(request, _COOKIE, view, _YEAR_SECONDS))


def cursor_shown(request: AnyRequest) -> str | None:
    """Of the page that htmx asks from: what answers an action there is the same part of the gallery."""
    try:
        query = urlsplit(request.headers.get("hx-current-url", "")).query
        cursor = parse_qs(query, max_num_fields=20).get("cursor", [None])[-1]
        return cursor if decode_cursor(cursor, [int]) else None
    except (ValueError, FormError):
        return None


def left_at(request: AnyRequest, gallery: str) -> dict[str, str]:
    """Where in a gallery (its path) a plain form was sent from: its part, the way that leads through it. An upload's own address
    says so, else that of the page that it stood on."""
    for address in str(request.url), request.headers.get("referer", ""):
        try:
            parts = urlsplit(address)
            sent = parse_qsl(parts.query[: _LONGEST + 1], max_num_fields=20)
        except ValueError:
            continue
        is_here = unquote(parts.path) in (gallery, f"{gallery}/images") and len(parts.query) <= _LONGEST
        if is_here and (kept := {name: value for name, value in sent if name in _KEPT}):
            return kept
    return {}
