"""Where a gallery's primary picture is: one address for a host's `<img>`, whatever becomes of the pictures."""

from __future__ import annotations

import time
from typing import Annotated, Final

from litestar import Response, Router, get
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter

from portal import database
from portal.accounts.guards import may_see, permit
from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import FormError, NoSuchEntity, NotFound
from portal.imaging.presets import PRESETS
from portal.storage.links import Links
from portal.web.parameters import PathText, TheLinks, TheReader

_QUERY: Final = """
    SELECT i.id, i.renditions ->> 'of' AS of FROM image i JOIN entity e ON e.pk = i.entity
    WHERE e.type = $1 AND e.id = $2 AND i.is_primary AND i.trashed_at IS NULL
"""
_FORMATS: Final = {"auto": "", "jpeg": "&format=jpeg"}


@get(
    "/{type:str}/{id:str}/primary",
    **permit("scoped"),
    name="gallery:primary",
    operation_id="GetPrimaryPicture",
    summary="The primary picture of an entity, by a redirect",
    status_code=302,
    responses={302: ResponseSpec(None, description="To the picture, or to the drawing that stands in for it")},
)
async def show(
    type: PathText,
    id: PathText,
    links: TheLinks,
    actor: TheReader,
    size: Annotated[str, QueryParameter(description=f"One of {', '.join(PRESETS)}.")] = "card",
    format: Annotated[str, QueryParameter(description="jpeg for e-mail; else by `Accept`.")] = "auto",
) -> Response[None]:
    """For an `<img>` that never breaks: an entity without a picture, or one that there is not, gives the drawing of its type."""
    ref = parse_ref(type, id)
    if not may_see(actor, ref.type, links.private_types):
        raise NoSuchEntity(f"There is no {ref}.").as_denial()
    if size not in PRESETS:
        raise NotFound(f"There is no size of this name. The sizes are {', '.join(PRESETS)}.")
    if format not in _FORMATS:
        raise FormError({"format": f"Use one of {', '.join(_FORMATS)}."})
    url = await _picture_of(ref, size, links)
    url = f"/api/images/fallback/{ref.type}?size={size}" if url is None else f"{url}&fallback={ref.type}"
    kept = "private" if ref.type in links.private_types else "public"
    headers = {"location": url + _FORMATS[format], "cache-control": f"{kept}, max-age=60"}
    return Response(None, status_code=302, headers=headers | {"cross-origin-resource-policy": "cross-origin"})


async def _picture_of(ref: EntityRef, size: str, links: Links) -> str | None:
    """None where there is none, or none yet."""
    row = await database.fetch_row(_QUERY, ref.type, ref.id)
    if row is None or row["of"] is None:
        return None
    version, _, rendering = row["of"].partition(".")
    return links.rendition(row["id"], ref.type, size, int(version), int(rendering), time.time())


router = Router(path="/api/images/entity", route_handlers=[show], tags=["images"])
