"""`/api/search`: entities and images together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from litestar import Response, Router, get
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter

from portal.accounts.guards import permit
from portal.gallery.entity_objects import EntityObject, InvoiceObject, entity_object
from portal.gallery.views import ImageView
from portal.overview.queries import search_everything
from portal.web.answers import json_response
from portal.web.parameters import TheLinks


@dataclass(frozen=True)
class SearchResult:
    """The best of each kind, at most 24."""

    entities: list[EntityObject | InvoiceObject]
    images: list[ImageView]


@get(
    "/",
    **permit("viewer"),
    operation_id="Search",
    summary="Search entities and images together",
    description="Entities by name, id, reference and number, each with its primary picture; images by alt text, caption,"
    " file name and tags.",
    responses={200: ResponseSpec(SearchResult, description="What was found")},
)
async def search(
    links: TheLinks, q: Annotated[str, QueryParameter(description="Beginnings of words; all of them must match.")] = ""
) -> Response[bytes]:
    found = await search_everything(q, links)
    return json_response(200, SearchResult([entity_object(view) for view in found.entities], found.images))


router = Router(path="/api/search", route_handlers=[search], tags=["search"])
