"""What needs me today, and the style guide."""

from __future__ import annotations

from litestar import Router, get
from litestar.response import Template

from portal.accounts.guards import permit
from portal.gallery.coverage_pages import MEASURES
from portal.overview.queries import overview_of_today
from portal.web.parameters import TheActor, TheLinks
from portal.web.rendering import AnyRequest, page


@get("/", name="overview:show", **permit("viewer"), include_in_schema=False)
async def show(request: AnyRequest, links: TheLinks, actor: TheActor) -> Template:
    today = await overview_of_today(links)
    background = await request.app.state.upkeep.today(is_admin=actor.may("admin"))
    shown = {"today": today, "background": background, "at_work": background.at_work}
    return await page(request, "overview/show.html", **shown, measures=MEASURES)


@get("/today/running", name="overview:running", **permit("viewer"), include_in_schema=False)
async def running(request: AnyRequest) -> Template:
    """Asked for as long as something runs."""
    return await page(request, "overview/_running.html", at_work=await request.app.state.upkeep.at_work())


@get("/styleguide", name="web:styleguide", **permit("viewer"), include_in_schema=False)
async def styleguide(request: AnyRequest) -> Template:
    """Every component in every state, for whoever changes a style sheet."""
    return await page(request, "web/styleguide.html")


router = Router(path="/", route_handlers=[show, running, styleguide])
