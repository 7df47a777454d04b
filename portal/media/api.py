"""Signed URLs on request: a picture for somebody who has no account, for a while."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from litestar import Response, Router, post
from litestar.openapi import ResponseSpec

from portal.accounts.guards import permit
from portal.errors import FormError, NotFound, NotReady
from portal.gallery.queries import parse_image_id
from portal.imaging.presets import PRESETS
from portal.media.catalogue import load_entry
from portal.web.answers import json_response, read_object
from portal.web.openapi import json_operation
from portal.web.parameters import Http, PathText, TheLinks

LONGEST_SECONDS: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class SignedUrl:
    url: str
    expires_at: datetime


@post(
    "/api/images/{image_id:str}/url",
    name="media:sign_url",
    summary="A link for somebody without account",
    status_code=200,
    tags=["images"],
    operation_class=json_operation({"size": "card", "seconds": 3600}, required=[]),
    responses={200: ResponseSpec(SignedUrl, description="The link, root-relative")},
    **permit("editor"),
)
async def sign_url(image_id: PathText, request: Http, links: TheLinks) -> Response[bytes]:
    """`size` is a rendition's name, `seconds` at most seven days; the original is never given away by a link."""
    size, seconds = read_request(await read_object(request, {"size", "seconds"}))
    entry = await load_entry(parse_image_id(image_id))
    if entry is None or entry.is_trashed:
        raise NotFound("There is no picture with this id.")
    if entry.current is None:
        raise NotReady("This picture is not rendered yet.", retry_after=2)
    expires = int(time.time()) + seconds
    url = links.signed(entry.image_id, size, *entry.current, expires)
    return json_response(200, SignedUrl(url, datetime.fromtimestamp(expires, UTC)))


def read_request(data: dict[str, Any]) -> tuple[str, int]:
    """Size and seconds. Raises FormError; the original is never given away by a link."""
    errors: dict[str, str] = {}
    size, seconds = data.get("size", "optimized"), data.get("seconds", 3600)
    if not isinstance(size, str) or size not in PRESETS:
        errors["size"] = f"Use one of {', '.join(PRESETS)}."
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= LONGEST_SECONDS:
        errors["seconds"] = f"Use a whole number from 1 to {LONGEST_SECONDS} (seven days)."
    if errors:
        raise FormError(errors)
    return size, seconds


router = Router(path="/", route_handlers=[sign_url])
