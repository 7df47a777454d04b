"""Pictures like one picture: a part of its page, asked for by itself."""

from __future__ import annotations

from typing import Final

from litestar import Router, get
from litestar.response import Template

from portal.accounts.guards import permit
from portal.gallery import likeness
from portal.gallery.queries import get_image, parse_image_id
from portal.web.parameters import PathText, TheLinks
from portal.web.rendering import AnyRequest, page

_SHOWN: Final = 12


@get("/images/{id:str}/similar", name="gallery:alike", include_in_schema=False, **permit("viewer"))
async def show(request: AnyRequest, links: TheLinks, id: PathText) -> Template:
    image_id = parse_image_id(id)
    image = await get_image(image_id, links)
    alike = await likeness.pictures_like(await likeness.likes_of(image_id), links, _SHOWN)
    return await page(request, "gallery/_similar.html", image=image, alike=alike)


router = Router(path="/", route_handlers=[show])
