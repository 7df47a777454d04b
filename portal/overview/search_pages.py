"""The search: its page, what it finds while somebody types, what follows, and the few of a quick look."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from litestar import Router, get
from litestar.params import FromQuery
from litestar.response import Template

from portal.accounts.guards import permit
from portal.errors import FormError
from portal.overview.asked import Asked, ask
from portal.overview.search import MOST_FOUND, Found, search_everything, suggestions
from portal.storage.links import Links
from portal.web.parameters import Cursor, TheLinks
from portal.web.rendering import AnyRequest, page

PARTS: Final = ("entities", "images")
_GALLERIES: Final = 12
_QUICK_GALLERIES, _QUICK_PICTURES = 5, 6


@get("/search", name="overview:search", **permit("viewer"), include_in_schema=False)
async def show(
    request: AnyRequest, links: TheLinks, q: FromQuery[str] = "", part: FromQuery[str] = "", cursor: Cursor = None
) -> Template:
    """A filter that there is none of comes back with what was typed, and with what there is."""
    asked = ask(q)
    try:
        asked.refuse_unknown()
        error = ""
    except FormError as wrong:
        error = wrong.errors["q"]
    part = part if part in PARTS else ""
    context = await _context(asked, links, part, cursor)
    return await page(
        request, "overview/search.html", status_code=422 if error else 200, error=error, part=part, **context
    )


@get("/search/results", name="overview:results", **permit("viewer"), include_in_schema=False)
async def results(request: AnyRequest, links: TheLinks, q: FromQuery[str] = "") -> Template:
    """While somebody types: a filter that is half written is passed over. The address follows."""
    asked = ask(q)
    here = request.app.route_reverse("overview:search")
    address = f"{here}?{urlencode({'q': asked.text})}" if asked.text else here
    context = await _context(asked, links, "", None)
    return await page(
        request, "overview/_found.html", headers={"HX-Replace-Url": address}, error="", part="", **context
    )


@get("/search/more", name="overview:more", **permit("viewer"), include_in_schema=False)
async def more(
    request: AnyRequest, links: TheLinks, q: FromQuery[str] = "", part: FromQuery[str] = "images", cursor: Cursor = None
) -> Template:
    part = part if part in PARTS else "images"
    context = await _context(ask(q), links, part, cursor)
    return await page(request, f"overview/_{part}.html", **context)


@get("/search/quick", name="overview:quick", **permit("viewer"), include_in_schema=False)
async def quick(request: AnyRequest, links: TheLinks, q: FromQuery[str] = "") -> Template:
    """The first few of each, for the dialog that every page has."""
    asked = ask(q)
    found = await search_everything(asked, links, limit=_QUICK_GALLERIES, most_images=_QUICK_PICTURES)
    return await page(request, "overview/_quick.html", **_shown(asked, found), suggested=await suggestions(asked.text))


async def _context(asked: Asked, links: Links, part: str, cursor: str | None) -> dict[str, Any]:
    limit = MOST_FOUND if part else _GALLERIES
    found = await search_everything(asked, links, part=part, cursor=cursor, limit=limit, most_images=MOST_FOUND)
    return _shown(asked, found) | {"suggested": [] if part else await suggestions(asked.text)}


def _shown(asked: Asked, found: Found) -> dict[str, Any]:
    return {
        "asked": asked,
        "q": asked.text,
        "entities": found.entities,
        "images": found.images,
        "more_entities": found.more_entities,
        "more_images": found.more_images,
    }


router = Router(path="/", route_handlers=[show, results, more, quick])
