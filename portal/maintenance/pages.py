"""The page about use: how often what is shown, and what could be lighter or go; and one picture's own line of it."""

from __future__ import annotations

from litestar import Router, get
from litestar.response import Template

from portal.accounts.guards import permit
from portal.gallery.queries import get_image, parse_image_id
from portal.maintenance.chart import chart_of
from portal.maintenance.figures import Figures
from portal.maintenance.queries import usage_of_image
from portal.web.parameters import PathText, TheLinks, TheSettings
from portal.web.rendering import AnyRequest, page


@get("/maintenance/usage", name="maintenance:usage", include_in_schema=False, **permit("viewer"))
async def usage(request: AnyRequest, links: TheLinks, settings: TheSettings) -> Template:
    figures: Figures = request.app.state.figures
    report = await figures.usage_report(links)
    return await page(
        request,
        "maintenance/usage.html",
        report=report,
        chart=chart_of(report.days),
        has_edge=settings.cdn_purge_url is not None,
    )


@get("/images/{id:str}/usage", name="maintenance:image_usage", include_in_schema=False, **permit("viewer"))
async def image_usage(request: AnyRequest, links: TheLinks, id: PathText) -> Template:
    image = await get_image(parse_image_id(id), links)
    usage = await usage_of_image(parse_image_id(image.id))
    return await page(request, "maintenance/_image_usage.html", image=image, usage=usage)


router = Router("/", route_handlers=[usage, image_usage])
