"""Where pictures are shown, asked for before they go: of one from its menu, of the chosen ones from the gallery's bar."""

from __future__ import annotations

from litestar import Router, get, post
from litestar.response import Template

from portal.accounts.guards import permit
from portal.entities.kinds import parse_ref
from portal.gallery.queries import parse_image_id
from portal.gallery.uses import Uses, uses_of_entity, uses_of_images
from portal.web.forms import read_form_lists
from portal.web.parameters import PathText
from portal.web.rendering import AnyRequest, page


@get("/images/{id:str}/uses", name="gallery:uses", include_in_schema=False, **permit("viewer"))
async def of_image(request: AnyRequest, id: PathText) -> Template:
    image_id = parse_image_id(id)
    return await page(request, "gallery/_used_in.html", uses=await uses_of_images([image_id]), image=str(image_id))


@post(
    "/entities/{type:str}/{id:str}/uses",
    name="gallery:uses_of_chosen",
    include_in_schema=False,
    status_code=200,
    **permit("viewer"),
)
async def of_chosen(request: AnyRequest, type: PathText, id: PathText) -> Template:
    """`ids`, or with `all=1` the whole gallery; changes nothing."""
    ref, form = parse_ref(type, id), await read_form_lists(request)
    ids = [parse_image_id(each) for each in form.get("ids", [])]
    if form.get("all") == ["1"]:
        uses = await uses_of_entity(ref)
    else:
        uses = await uses_of_images(ids) if ids else Uses((), 0)
    return await page(request, "gallery/_used_in.html", uses=uses, image=None)


router = Router("/", route_handlers=[of_image, of_chosen])
