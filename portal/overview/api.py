"""`/api/search`: galleries and pictures together; by a photo, the pictures that are like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import Response, Router, get, post
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter

from portal.accounts.guards import permit
from portal.errors import FormError
from portal.gallery.entity_objects import EntityObject, InvoiceObject, entity_object
from portal.gallery.uploads import picture_of, received
from portal.gallery.views import ImageView
from portal.overview.asked import ask
from portal.overview.photo import PhotoMatch, find_by_photo
from portal.overview.search import MOST_FOUND, search_everything
from portal.web.answers import json_response
from portal.web.openapi import multipart_operation
from portal.web.parameters import Cursor, Http, TheLinks, ThePool, TheSettings, TheStore

PARTS = ("", "entities", "images")


@dataclass(frozen=True)
class Following:
    """Cursors of what follows, each for its `part`; null at the end."""

    entities: str | None
    images: str | None


@dataclass(frozen=True)
class SearchResult:
    """At most 24 of each."""

    entities: list[EntityObject | InvoiceObject]
    images: list[ImageView]
    next: Following


@dataclass(frozen=True)
class PhotoResult:
    """The same files first, then the likest, at most 24; none when nothing is like the photo."""

    found: list[PhotoMatch]


@get(
    "/",
    **permit("viewer"),
    operation_id="Search",
    summary="Search entities and images together",
    description="Entities by name, id, reference and number, each with its primary picture, what fits best first; images by"
    " alt text, caption, file name and tags, the newest first. Among the words stand filters: `type:invoices`,"
    " `missing:image|primary|alt`,"
    ' `tag:"dark blue"`, `is:failed|waiting|ready|primary`; of several types each, of all other filters all must fit.',
    responses={200: ResponseSpec(SearchResult, description="What was found")},
)
async def search(
    links: TheLinks,
    q: Annotated[str, QueryParameter(description="Beginnings of words and filters; all of them must match.")] = "",
    part: Annotated[str, QueryParameter(description="`entities` or `images` alone, with `cursor`: what follows")] = "",
    cursor: Cursor = None,
) -> Response[bytes]:
    if part not in PARTS:
        raise FormError({"part": "Use entities or images."})
    asked = ask(q)
    asked.refuse_unknown()
    found = await search_everything(asked, links, part=part, cursor=cursor, limit=MOST_FOUND)
    entities = [entity_object(view) for view in found.entities]
    images = [hit.image for hit in found.images]
    return json_response(200, SearchResult(entities, images, Following(found.more_entities, found.more_images)))


@post(
    "/photo",
    status_code=200,
    operation_id="FindByPhoto",
    operation_class=multipart_operation({"file": "binary"}, fields=()),
    summary="Find the images that a photo shows",
    responses={200: ResponseSpec(PhotoResult, description="What has it, or nearly")},
    **permit("viewer", upload=True, problems=(507,)),
)
async def by_photo(
    request: Http, settings: TheSettings, store: TheStore, pool: ThePool, links: TheLinks
) -> Response[bytes]:
    """Multipart with `file`. It is verified as an upload is, compared with every image outside the trash, and not kept. At most 6
    bits: nearly the same picture; up to 10: the same scene, cut or lit another way.
    """
    async with received(request, settings, store, max_files=1, fields=()) as sent:
        files = [file for file in sent.files if file.field == "file"]
        if not files:
            raise FormError({"file": "Send one file in the field `file`."})
        found = await find_by_photo(picture_of(files[0]), settings=settings, pool=pool, links=links)
    return json_response(200, PhotoResult(found))


router = Router(path="/api/search", route_handlers=[search, by_photo], tags=["search"])
