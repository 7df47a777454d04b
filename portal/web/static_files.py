"""Style sheets, scripts and fonts: from memory, cached for ever under their hashed address, words of them squeezed once."""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from portal.errors import NotFound
from portal.web.assets import find_asset
from portal.web.squeeze import takes_gzip

_WORDS: Final = re.compile(r"text/|application/(?:json|javascript)|image/svg")
_MOST: Final = 512 * 1024  # bytes; what is longer would hold everything else up while it is squeezed


@get("/static/{path:path}", opt={"permission": "public"}, include_in_schema=False, sync_to_thread=False)
def static(request: Request[Any, Any, Any], path: FromPath[str]) -> Response[bytes]:
    asset = find_asset(path.lstrip("/"))
    if asset is None:
        raise NotFound("There is nothing at this address.")
    is_words = bool(_WORDS.match(asset.media_type))
    is_squeezed = is_words and takes_gzip(request.headers.get("accept-encoding", ""))
    data, etag = (_squeeze if is_squeezed else _read)(asset.file)
    headers = {
        "ETag": etag,
        "Cache-Control": "public, max-age=31536000, immutable" if asset.immutable else "public, max-age=60",
    }
    if is_words:
        headers["Vary"] = "Accept-Encoding"
    if etag.endswith('-gzip"'):
        headers["Content-Encoding"] = "gzip"
    if etag in request.headers.get("if-none-match", ""):
        headers.pop("Content-Encoding", None)
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


@cache
def _squeeze(path: Path) -> tuple[bytes, str]:
    """With an ETag of its own; as it is, where that is no gain."""
    data, etag = _read(path)
    squeezed = gzip.compress(data, 9, mtime=0) if len(data) <= _MOST else data
    return (squeezed, f'{etag[:-1]}-gzip"') if len(squeezed) < len(data) else (data, etag)


router = Router("/", route_handlers=[static, favicon])
