"""Another file for an image, and its versions, in the JSON API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, Router, get, post, put
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example

from portal.accounts.guards import permit
from portal.errors import FormError, NotFound
from portal.gallery import queries
from portal.gallery.api import IMAGE, answer_with, read_if_match
from portal.gallery.forms import read_picture_fields
from portal.gallery.queries import parse_image_id
from portal.gallery.uploads import REPLACE_FIELDS, received, replace_with
from portal.gallery.versions import VersionView, restore_version, versions_of
from portal.paging import read_limit
from portal.web.answers import json_response
from portal.web.openapi import multipart_operation
from portal.web.parameters import (
    Cursor,
    Http,
    Limit,
    PathText,
    TheActor,
    TheLinks,
    ThePool,
    TheSettings,
    TheStore,
)
from portal.web.preferences import wait_seconds, wait_until

_ID: Final = "01930000-0000-7000-8000-000000000001"
_EXAMPLE: Final[dict[str, Any]] = {
    "version": 1,
    "is_current": False,
    "is_pinned": False,
    "filename": "mug-front.jpg",
    "media_type": "image/jpeg",
    "bytes": 3104210,
    "width": 4032,
    "height": 3024,
    "frames": 1,
    "sha256": "9b82174d12f995ed9c97639f821af6a696749cb07d97de5c2c273892585a929b",
    "edits": {"rotate": 90},
    "focal_point": None,
    "placeholder": "data:image/webp;base64,UklGRg==",
    "renditions": {
        "card": {
            "url": f"/api/images/serve/{_ID}?size=card&v=1.2",
            "width": 400,
            "height": 300,
            "bytes": 24712,
            "media_type": "image/jpeg",
        }
    },
    "uploaded_by": "user:ana@example.com",
    "created_at": "2026-11-22T09:41:07.149343Z",
    "replaced_at": "2026-11-23T14:02:11.520147Z",
}


@dataclass(frozen=True, slots=True)
class VersionList:
    """Newest first, the current one included."""

    versions: list[VersionView]
    total: int
    next: str | None


@put(
    "/{id:str}/file",
    summary="Give an image another file",
    operation_class=multipart_operation({"file": "binary"}, fields=("allow_duplicate",)),
    responses=IMAGE,
    **permit("editor", upload=True, problems=(409, 412, 429, 507)),
)
async def replace(
    id: PathText,
    request: Http,
    settings: TheSettings,
    store: TheStore,
    pool: ThePool,
    links: TheLinks,
    actor: TheActor,
) -> Response[bytes]:
    """Multipart with `file` and optionally `allow_duplicate`. Id, links, place and text stay; edits and focal point do not.

    What it was before becomes an old version, of which ten are kept, and those that an invoice is pinned to. The last whole
    renditions are served until the new ones are there; `Prefer: wait=N` waits for them. The bytes that the image has already
    change nothing.
    """
    wait = wait_seconds(request)
    image = await queries.get_image(parse_image_id(id), links)
    async with received(request, settings, store, max_files=1, fields=REPLACE_FIELDS) as sent:
        files = [file for file in sent.files if file.field == "file"]
        if len(files) != 1:
            raise FormError({"file": "Send one file in the field `file`."})
        await replace_with(
            image,
            files[0],
            settings=settings,
            store=store,
            pool=pool,
            actor=actor,
            allow_duplicate=read_picture_fields(sent.fields).allow_duplicate,
            revision=read_if_match(request),
        )
    image_id = parse_image_id(id)
    await wait_until(lambda: queries.are_settled([image_id]), wait)
    return answer_with(await queries.get_image(image_id, links))


@get(
    "/{id:str}/versions",
    summary="An image's versions, newest first",
    responses={
        200: ResponseSpec(
            VersionList,
            description="One page",
            examples=[Example(summary="An old one", value={"versions": [_EXAMPLE], "total": 2, "next": None})],
        )
    },
    **permit("editor"),
)
async def list_versions(id: PathText, links: TheLinks, limit: Limit = None, cursor: Cursor = None) -> Response[bytes]:
    """The current one included. To editors an old version's URLs give its own bytes, as does `size=original&v=<version>`."""
    page = await versions_of(parse_image_id(id), links=links, cursor=cursor, limit=read_limit(limit))
    return json_response(200, VersionList(page.items, page.total, page.next))


@post(
    "/{id:str}/versions/{version:str}/restore",
    summary="Bring an old version back",
    status_code=200,
    responses=IMAGE,
    **permit("editor", problems=(409, 410, 412, 429, 507)),
)
async def restore(
    id: PathText,
    version: PathText,
    request: Http,
    settings: TheSettings,
    store: TheStore,
    links: TheLinks,
    actor: TheActor,
) -> Response[bytes]:
    """Its bytes, edits and focal point become a new version; the old one stays. 410 when its bytes are lost."""
    image_id = parse_image_id(id)
    await restore_version(
        image_id,
        parse_version(version),
        store=store,
        actor=actor,
        deletes_per_hour=settings.deletes_per_hour,
        floor=settings.free_space_bytes,
        revision=read_if_match(request),
    )
    return answer_with(await queries.get_image(image_id, links))


def parse_version(text: str) -> int:
    """Raises NotFound for what cannot be a version's number."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise NotFound("There is no such version of this picture.")


router = Router("/api/images", route_handlers=[replace, list_versions, restore], tags=["images"])
