"""The picture that stands in for one that is not there, so that no page of a host shows a broken one. Public, drawn once."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final

from litestar import Response, Router, get
from litestar.openapi import ResponseSpec
from litestar.params import PathParameter, QueryParameter
from litestar.types import HTTPScope, Send

from portal.accounts.guards import permit
from portal.errors import FormError, NotFound
from portal.imaging.fallback import TYPES, Format, draw_fallback
from portal.imaging.presets import OPTIMIZED, PRESETS
from portal.media.wish import Wish
from portal.web.parameters import Http

_MEDIA_TYPES: Final[dict[Format, str]] = {"svg": "image/svg+xml", "png": "image/png", "jpeg": "image/jpeg"}
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
}


@dataclass(frozen=True, slots=True)
class Fallback:
    data: bytes
    etag: str
    media_type: str


@lru_cache(maxsize=len(TYPES) * len(PRESETS) * len(_MEDIA_TYPES))  # all there are: some kilobytes each
def fallback_of(type: str, size: str, format: Format) -> Fallback:
    """Of a type and a size that there are. Draws, the first time."""
    preset = PRESETS[size]
    data = draw_fallback(type, preset.width, preset.height, format)
    return Fallback(data, f'"{hashlib.sha256(data).hexdigest()[:32]}"', _MEDIA_TYPES[format])


async def find_fallback(type: str, size: str, format: Format) -> Fallback:
    return await asyncio.to_thread(fallback_of, type, size, format)


async def send_fallback(scope: HTTPScope, send: Send, type: str, wish: Wish) -> None:
    """For a minute, and for this reader alone: another may see the picture, and soon there may be one."""
    size = wish.size if wish.size in PRESETS else OPTIMIZED.name
    found = await find_fallback(type, size, "jpeg" if wish.format == "jpeg" else "svg")
    headers = {
        **fallback_headers(found, "private, max-age=60"),
        "vary": "Accept",
        "content-type": found.media_type,
        "content-length": str(len(found.data)),
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": encoded})
    body = b"" if scope["method"] == "HEAD" else found.data
    await send({"type": "http.response.body", "body": body, "more_body": False})


def fallback_headers(found: Fallback, cache_control: str) -> dict[str, str]:
    return {**_HEADERS, "cache-control": cache_control, "etag": found.etag}


@get(
    "/api/images/fallback/{type:str}",
    **permit("public"),
    name="media:fallback",
    operation_id="GetFallback",
    summary="The picture that stands in for one that is not there",
    responses={200: ResponseSpec(bytes, description="The drawing", media_type="image/svg+xml")},
    tags=["images"],
)
async def show(
    request: Http,
    type: Annotated[str, PathParameter(description=f"One of {', '.join(sorted(TYPES))}.")],
    size: Annotated[str, QueryParameter(description=f"One of {', '.join(PRESETS)}.")] = "card",
    format: Annotated[str, QueryParameter(description="svg, png, or jpeg (for e-mail).")] = "svg",
) -> Response[bytes]:
    """Neutral on light and dark, with the type's icon, in the size's box."""
    if type not in TYPES or size not in PRESETS:
        raise NotFound("There is no such type of entity, or no such size.")
    if format not in _MEDIA_TYPES:
        raise FormError({"format": f"Use one of {', '.join(_MEDIA_TYPES)}."})
    found = await find_fallback(type, size, format)  # type: ignore[arg-type] - one of them, as was just seen
    headers = fallback_headers(found, "public, max-age=86400")
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    return Response(found.data, media_type=found.media_type, headers=headers)


router = Router(path="/", route_handlers=[show])
