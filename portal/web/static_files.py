"""Style sheets, scripts and fonts: from memory, cached for ever under their hashed address."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from portal.errors import NotFound
from portal.web.assets import find_asset


@get("/static/{path:path}", opt={"permission": "public"}, include_in_schema=False, sync_to_thread=False)
def static(request: Request[Any, Any, Any], path: FromPath[str]) -> Response[bytes]:
    asset = find_asset(path.lstrip("/"))
    if asset is None:
        raise NotFound("There is nothing at this address.")
    data, etag = _read(asset.file)
    headers = {
        "ETag": etag,
        "Cache-Control": "public, max-age=31536000, immutable" if asset.immutable else "public, max-age=60",
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=asset.media_type)


@get("/favicon.ico", opt={"permission": "public"}, include_in_schema=False, sync_to_thread=False)
def favicon() -> Response[bytes]:
    """Browsers ask for it on pages that name no icon, as embeds."""
    asset = find_asset("img/mark.svg")
    if asset is None:
        raise NotFound("There is nothing at this address.")
    data, etag = _read(asset.file)
    return Response(data, headers={"ETag": etag, "Cache-Control": "public, max-age=86400"}, media_type=asset.media_type)


@cache
def _read(path: Path) -> tuple[bytes, str]:
    """The few files of the checkout; a new version is a new process."""
    data = path.read_bytes()
    return data, f'"{hashlib.sha256(data).hexdigest()[:32]}"'


router = Router("/", route_handlers=[static, favicon])
