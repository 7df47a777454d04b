"""What needs me today, and the search over everything."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get
from litestar.params import FromQuery
from litestar.response import Template

from portal.accounts.guards import permit
from portal.entities.queries import plain_query
from portal.overview.queries import overview_of_today, search_everything
from portal.web.parameters import TheLinks
from portal.web.rendering import page


@get("/", name="overview:show", **permit("viewer"), include_in_schema=False)
async def show(request: Request[Any, Any, Any], links: TheLinks) -> Template:
    today = await overview_of_today(links)
    return await page(
        request, "overview/show.html", needs=today.needs, recent=today.recent, kinds=today.kinds, storage=today.storage
    )


@get("/search", name="overview:search", **permit("viewer"), include_in_schema=False)
async def search(request: Request[Any, Any, Any], links: TheLinks, q: FromQuery[str] = "") -> Template:
    found = await search_everything(q, links)
    return await page(request, "overview/search.html", q=plain_query(q), entities=found.entities, images=found.images)


@get("/styleguide", name="web:styleguide", **permit("viewer"), include_in_schema=False)
async def styleguide(request: Request[Any, Any, Any]) -> Template:
    """Every component in every state, for whoever changes a style sheet."""
    return await page(request, "web/styleguide.html")


router = Router(path="/", route_handlers=[show, search, styleguide])
