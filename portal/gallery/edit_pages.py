"""What one does to a picture's bytes on its page: edits, another file, an old version. Every action is a form's POST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.params import FromPath
from litestar.response import Template

from portal.accounts.guards import permit
from portal.errors import FormError, PortalError
from portal.gallery import queries, service, versions
from portal.gallery.again import render_again
from portal.gallery.forms import read_edit_form, read_picture_fields, read_revision
from portal.gallery.image_pages import parts_of, show_image
from portal.gallery.queries import parse_image_id
from portal.gallery.uploads import REPLACE_FIELDS, received, replace_with
from portal.storage.links import Links
from portal.web.exceptions import wants_json
from portal.web.forms import read_form
from portal.web.parameters import PathText, TheActor, TheLinks, ThePool, TheSettings, TheStore
from portal.web.rendering import AnyRequest, Toast, after, is_htmx, page


async def after_edit(request: AnyRequest, image_id: UUID, links: Links, said: str) -> Response[Any]:
    """All of the page that follows the bytes for htmx, the page for a form."""
    image = await queries.get_image(image_id, links)
    context = await parts_of(request, image, links, changed_here=True) if is_htmx(request) else {}
    back = request.app.route_reverse("gallery:image", id=image.id)
    return await after(request, "gallery/_parts.html", to=back, toast=Toast(said), **context)


@post("/images/{id:str}/edits", name="gallery:edits", include_in_schema=False, status_code=200, **permit("editor"))
async def edit(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    image_id, sent = parse_image_id(id), await read_form(request)
    await service.edit_image(image_id, read_edit_form(sent), actor=actor)
    return await after_edit(request, image_id, links, _said_of(sent))


def _said_of(sent: Mapping[str, str]) -> str:
    quick = {
        "left": "Turned left",
        "right": "Turned right",
        "horizontal": "Mirrored",
        "vertical": "Flipped upside down",
        "1": "Back to the original",
    }
    known = (said for name in ("turn", "mirror", "reset") if (said := quick.get(sent.get(name, ""))))
    return next(known, "Cropped" if "crop_x" in sent else "Changed")


@get("/images/{id:str}/rendered", name="gallery:rendered", include_in_schema=False, **permit("viewer"))
async def rendered(request: AnyRequest, links: TheLinks, id: PathText) -> Template | Response[Any]:
    """Asked by a page that waits: 204 until the renditions are as wanted, or cannot be made."""
    image = await queries.get_image(parse_image_id(id), links)
    if not await queries.are_settled([UUID(image.id)]):
        return Response(b"", status_code=204)
    return await page(request, "gallery/_parts.html", **await parts_of(request, image, links))


@post(
    "/images/{id:str}/rerender", name="gallery:rerender", include_in_schema=False, status_code=200, **permit("editor")
)
async def rerender(request: AnyRequest, links: TheLinks, actor: TheActor, id: PathText) -> Response[Any]:
    image_id = parse_image_id(id)
    await render_again(image_id, actor=actor)
    return await after_edit(request, image_id, links, "Being rendered again")


@post(
    "/images/{id:str}/file",
    name="gallery:replace_file",
    include_in_schema=False,
    status_code=200,
    **permit("editor", upload=True),
)
async def replace_file(
    request: AnyRequest,
    settings: TheSettings,
    store: TheStore,
    pool: ThePool,
    links: TheLinks,
    actor: TheActor,
    id: PathText,
) -> Response[Any] | Template:
    """What is refused comes back on the page, beside the field, or as a problem to the script that sends."""
    image = await queries.get_image(parse_image_id(id), links)
    try:
        async with received(request, settings, store, max_files=1, fields=REPLACE_FIELDS | {"revision"}) as sent:
            files = [file for file in sent.files if file.field == "file"]
            if not files:
                raise FormError({"file": "Choose a picture."})
            is_new = await replace_with(
                image,
                files[0],
                settings=settings,
                store=store,
                pool=pool,
                actor=actor,
                allow_duplicate=read_picture_fields(sent.fields).allow_duplicate,
                revision=read_revision(sent.fields),
            )
    except PortalError as error:
        if wants_json(request) or is_htmx(request) or error.status in (401, 403, 404):
            raise
        return await show_image(request, image, links, replacing=error, status=error.status)
    said = "Replaced. The file before is kept under Versions" if is_new else "It is the file that is shown already"
    return await after_edit(request, UUID(image.id), links, said)


@post(
    "/images/{id:str}/versions/{number:int}/restore",
    name="gallery:restore_version",
    include_in_schema=False,
    status_code=200,
    **permit("editor"),
)
async def restore_version(
    request: AnyRequest,
    settings: TheSettings,
    store: TheStore,
    links: TheLinks,
    actor: TheActor,
    id: PathText,
    number: FromPath[int],
) -> Response[Any]:
    image_id = parse_image_id(id)
    is_new = await versions.restore_version(
        image_id,
        number,
        store=store,
        actor=actor,
        deletes_per_hour=settings.deletes_per_hour,
        floor=settings.free_space_bytes,
    )
    said = f"Version {number} is back. The one before it is kept, too" if is_new else "It is what is shown already"
    return await after_edit(request, image_id, links, said)


router = Router("/", route_handlers=[edit, rendered, rerender, replace_file, restore_version])
