"""Find by photo: a picture is dropped, chosen or taken, and the galleries that have it, or nearly, are shown. Nothing is kept."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Response, Router, get, post
from litestar.params import FromQuery
from litestar.response import Template

from portal.accounts.guards import permit
from portal.errors import FileRefused, FormError
from portal.gallery.likeness import Likeness, Likes, likes_of, pictures_like
from portal.gallery.queries import get_image, parse_image_id
from portal.gallery.twins import read_hash
from portal.gallery.uploads import picture_of, received
from portal.gallery.views import ImageView
from portal.overview.photo import likes_of_photo
from portal.web.parameters import TheLinks, ThePool, TheSettings, TheStore
from portal.web.rendering import AnyRequest, after, is_htmx, page

_SHAPE: Final = re.compile(r"[0-9a-f]{16}")
_NO_FILE: Final = "Choose a photo, or take one."
_NOTHING: Final[dict[str, Any]] = {"asked": False, "alike": [], "image": None, "error": ""}


@get("/search/photo", name="overview:photo", **permit("viewer"), include_in_schema=False)
async def show(
    request: AnyRequest,
    links: TheLinks,
    sha256: FromQuery[str] = "",
    like: FromQuery[str] = "",
    image: FromQuery[str] = "",
) -> Template:
    """What an address of such a search shows, whenever it is opened: of a photo that was sent (`sha256`, `like`), or of a picture
    of ours (`image`)."""
    if image:
        image_id = parse_image_id(image)
        shown = await get_image(image_id, links)
        return await page(
            request, "overview/photo.html", **_shown(await pictures_like(await likes_of(image_id), links), shown)
        )
    wanted = _read(sha256, like)
    context = _shown(await pictures_like(wanted, links)) if wanted else _NOTHING
    return await page(request, "overview/photo.html", **context)


@post(
    "/search/photo",
    name="overview:find_photo",
    status_code=200,
    include_in_schema=False,
    **permit("viewer", upload=True),
)
async def find(
    request: AnyRequest, links: TheLinks, settings: TheSettings, store: TheStore, pool: ThePool
) -> Response[Any] | Template:
    """The photo passes all that an upload passes, and is gone when it has been looked at."""
    try:
        async with received(request, settings, store, max_files=1, fields=()) as upload:
            if not upload.files:
                raise FormError({"file": _NO_FILE})
            wanted = await likes_of_photo(picture_of(upload.files[0]), settings=settings, pool=pool)
    except (FileRefused, FormError) as refused:
        name = "overview/_photo.html" if is_htmx(request) else "overview/photo.html"
        context = {**_NOTHING, "error": refused.message}
        return await page(request, name, status_code=422, **context)
    address = _address(request, wanted)
    alike = await pictures_like(wanted, links)
    answer = await after(request, "overview/_photo.html", to=address, **_shown(alike))
    answer.headers["HX-Replace-Url"] = address
    return answer


def _shown(alike: list[Likeness], image: ImageView | None = None) -> dict[str, Any]:
    return {**_NOTHING, "asked": True, "alike": alike, "image": image}


def _address(request: AnyRequest, wanted: Likes) -> str:
    shape = {} if wanted.fingerprint is None else {"like": f"{wanted.fingerprint & (1 << 64) - 1:016x}"}
    return f"{request.app.route_reverse('overview:photo')}?{urlencode({'sha256': wanted.sha256} | shape)}"


def _read(sha256: str, like: str) -> Likes | None:
    """Raises FormError."""
    if not sha256:
        return None
    if like and not _SHAPE.fullmatch(like):
        raise FormError({"like": "A likeness is 16 hexadecimal digits."})
    bits = int(like, 16) if like else None
    return Likes(read_hash(sha256), bits if bits is None or bits < 1 << 63 else bits - (1 << 64))


router = Router(path="/", route_handlers=[show, find])
