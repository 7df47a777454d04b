"""Asked before a byte is sent, and after: is this file here already, and what does this picture look like?"""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Response, Router, get, post
from litestar.openapi import ResponseSpec

from portal.accounts.guards import permit
from portal.entities.kinds import parse_ref
from portal.gallery import twins
from portal.gallery.image_objects import ImageList
from portal.gallery.queries import parse_image_id
from portal.web.answers import json_response, read_object
from portal.web.parameters import PathText, TheLinks
from portal.web.rendering import AnyRequest


@dataclass(frozen=True, slots=True)
class Known:
    """By hash, the ids of the pictures in this gallery that are the same, byte for byte."""

    known: dict[str, list[str]]


@post(
    "/entities/{type:str}/{id:str}/known",
    name="gallery:known",
    include_in_schema=False,
    status_code=200,
    **permit("editor"),
)
async def known(request: AnyRequest, type: PathText, id: PathText) -> Response[bytes]:
    """`{"sha256": [hash, …]}`. A POST, because the hashes of a folder are too long for an address; it changes nothing."""
    hashes = twins.read_hashes((await read_object(request, {"sha256"})).get("sha256"))
    return json_response(200, Known(await twins.known_in(parse_ref(type, id), hashes)))


@get(
    "/api/images/{id:str}/similar",
    name="gallery:similar",
    summary="Pictures of the same gallery that look like this one",
    tags=["images"],
    responses={200: ResponseSpec(ImageList, description="The likest first, at most 20")},
    **permit("viewer"),
)
async def similar(id: PathText, links: TheLinks) -> Response[bytes]:
    """By a difference hash of 64 bits, of which at most 6 differ; a picture without shape looks like none."""
    images = await twins.lookalikes_of(parse_image_id(id), links)
    return json_response(200, ImageList(images, len(images), None))


router = Router("/", route_handlers=[known, similar])
