"""From one gallery that lacks something to the next: the way through a list, and the bar that leads along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Router, get
from litestar.params import FromQuery
from litestar.response import Response, Template

from portal.accounts.guards import permit
from portal.entities.kinds import KINDS, EntityRef, parse_ref
from portal.entities.listing import Wish, count_wished, lacks, next_entity
from portal.entities.queries import plain_query
from portal.entities.saved_views import list_query
from portal.gallery.entity_pages import type_view
from portal.gallery.list_views import FILTERS
from portal.gallery.presets import print_box
from portal.paging import EXACT_UP_TO
from portal.web.parameters import PathText
from portal.web.rendering import AnyRequest, page, redirect

# Of each filter: what this gallery wants, and what it has got.
_WORDS: Final = {
    "image": ("wants a picture", "has a picture"),
    "primary": ("wants a primary picture", "has a primary picture"),
    "alt": ("wants alt texts", "has all its alt texts"),
    "low_resolution": ("wants a larger primary picture", "is fit for print"),
}


@dataclass(frozen=True, slots=True)
class Flow:
    """`left`: how many of the list lack it, this one included while `wants`."""

    title: str
    left: str
    others: int
    wants: bool
    words: str
    next_url: str
    list_url: str
    own_url: str
    query: str


@get("/entity-next/{type:str}", name="entities:next", **permit("viewer"), include_in_schema=False)
async def go_on(
    request: AnyRequest,
    type: PathText,
    q: FromQuery[str] = "",
    missing: FromQuery[str] = "image",
    sort: FromQuery[str] = "name",
    after: FromQuery[str] = "",
) -> Response[Any]:
    """To the next gallery of this list behind `after`, an id; where there is no other, to the list."""
    kind, q = type_view(type), plain_query(q)
    here = parse_ref(kind.type, after) if after else None
    query = list_query(q, missing, sort or "name")
    wish = Wish(kind.type, q, missing, await print_box())
    found = await next_entity(wish, sort=sort or "name", after=here)
    to = _gallery(request, found) if found else request.app.route_reverse("entities:list", type=type)
    return redirect(request, f"{to}?{query}".removesuffix("?"))


@get("/entity-flow/{type:str}/{id:str}", name="entities:flow", **permit("viewer"), include_in_schema=False)
async def show_flow(
    request: AnyRequest,
    type: PathText,
    id: PathText,
    q: FromQuery[str] = "",
    missing: FromQuery[str] = "image",
    sort: FromQuery[str] = "name",
) -> Template:
    ref = parse_ref(type, id)
    return await page(request, "entities/_flow.html", flow=await flow_of(request, ref, q, missing or "image", sort))


async def flow_of(request: AnyRequest, ref: EntityRef, q: str, missing: str, sort: str) -> Flow | None:
    """None where nobody comes from a list of what is missing. Raises FormError."""
    if not missing:
        return None
    q, sort = plain_query(q), sort or "name"
    wish = Wish(ref.type, q, missing, await print_box())
    total = await count_wished(wish, sort)
    wants = await lacks(ref, missing, wish.box)
    query, reverse = list_query(q, missing, sort), request.app.route_reverse
    wanted, had = _WORDS[missing]
    return Flow(
        FILTERS[missing],
        f"{total:,}" if total <= EXACT_UP_TO else f"more than {EXACT_UP_TO:,}",
        total - wants,
        wants,
        f"This {KINDS[ref.type].singular} {wanted if wants else f'{had} now'}.",
        f"{reverse('entities:next', type=ref.type)}?{query}&{urlencode({'after': ref.id})}",
        f"{reverse('entities:list', type=ref.type)}?{query}",
        f"{reverse('entities:flow', type=ref.type, id=ref.id)}?{query}",
        query,
    )


def _gallery(request: AnyRequest, ref: EntityRef) -> str:
    return request.app.route_reverse("gallery:show", type=ref.type, id=ref.id)


router = Router(path="/", route_handlers=[go_on, show_flow])
