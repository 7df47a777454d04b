"""Galleries in a foreign frame: plain pages without cookie or session; and the script that gives the frame its height."""

from __future__ import annotations

from functools import cache

from litestar import Response, Router, get
from litestar.response import Template

from portal.accounts.guards import actor_of, may_see, permit
from portal.embed.frames import as_granted, for_visitor, frame_headers, links_for, read_options, with_options
from portal.embed.head import head_of
from portal.embed.keys import EmbedGrant, Grants
from portal.embed.openings import note_opening
from portal.embed.shown import shown_of
from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import NoSuchEntity
from portal.gallery.views import ImageView
from portal.imaging.edits import edits_of
from portal.imaging.geometry import crop_to_fill
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.assets import STATIC_ROOT
from portal.web.parameters import Http, PathText, TheLinks, TheSettings


@get("/embed/{kind:str}/{id:str}", name="embed:gallery", include_in_schema=False, **permit("scoped"))
async def show_gallery(request: Http, kind: PathText, id: PathText, settings: TheSettings, links: TheLinks) -> Template:
    ref = parse_ref(kind, id)
    if not may_see(actor_of(request), ref.type, settings.private_types):
        raise no_such(ref).as_denial()
    return await _page(request, ref, None, f"/embed/{ref}", settings, links)


@get("/embed/k/{key:str}", name="embed:keyed", include_in_schema=False, **permit("public"))
async def show_keyed(request: Http, key: PathText, settings: TheSettings, links: TheLinks) -> Template:
    grant = await grants_of(request).find_key(key)
    ref = grant.entity(asked_entity(request))
    await note_opening(request, ref)
    path = f"/embed/k/{key}" if grant.scope.id is not None else f"/embed/k/{key}?id={ref.id}"
    return await _page(request, ref, grant, path, settings, links)


@get("/embed.js", name="embed:script", include_in_schema=False, **permit("public"))
async def show_script() -> Response[bytes]:
    headers = {
        "Cache-Control": "public, max-age=300",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(_script(), media_type="text/javascript", headers=headers)


def grants_of(request: Http) -> Grants:
    return request.app.state.grants


def asked_entity(request: Http) -> str | None:
    """Of a key for a whole type, the URL says which entity."""
    return request.query_params.get("id") or request.query_params.get("entity")


def no_such(ref: EntityRef) -> NoSuchEntity:
    """The words of a gallery that does not exist: what is private must not be told from what is not there."""
    return NoSuchEntity(f"There is no {ref}.")


async def _page(
    request: Http, ref: EntityRef, grant: EmbedGrant | None, path: str, settings: Settings, links: Links
) -> Template:
    options = read_options(request.query_params)
    ours = links_for(grant, links)
    shown = await shown_of(ref, links=ours, limit=options.limit)
    images = [as_granted(image, grant) for image in shown.images]
    is_shared = grant is None and ref.type not in settings.private_types
    return Template(
        template_name="embed/gallery.html",
        context={
            "entity": for_visitor(shown.entity, settings.private_types),
            "images": images,
            "head": head_of(
                with_options(path, options), images, base_url=settings.base_url, is_open=is_shared or grant is not None
            ),
            "crops": {image.id: crop_of(image) for image in images if image.focal_point},
            "layout": options.layout,
            "theme": options.theme,
            "captions": options.captions,
            "credit": None,
        },
        headers=frame_headers(settings, grant, ref.type, cache="shared" if is_shared else "none"),
    )


def crop_of(image: ImageView) -> int:
    """Where a 4:3 crop around the focal point lies between the picture's ends, in tenths, as the cropped renditions do."""
    point = image.focal_point
    if point is None:
        return 5
    edits = edits_of(image.edits)
    width, height = edits.size_of((image.width, image.height))
    left, top, right, bottom = crop_to_fill((width, height), (4, 3), edits.point_of((point.x, point.y)))
    spare = max(width - (right - left), height - (bottom - top))
    return round(10 * max(left, top) / spare) if spare >= 1 else 5


@cache
def _script() -> bytes:
    return (STATIC_ROOT / "js" / "embed-host.js").read_bytes()


router = Router(path="/", route_handlers=[show_gallery, show_keyed, show_script])
