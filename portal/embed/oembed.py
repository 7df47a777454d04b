"""oEmbed (oembed.com): from the address of one of our galleries or cards to the frame that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from litestar import Response, Router, get

from portal.accounts.guards import permit
from portal.embed.frames import Options, as_granted, links_for, read_options, with_options
from portal.embed.head import Preview, preview_of
from portal.embed.keys import EmbedGrant
from portal.embed.pages import grants_of
from portal.embed.shown import shown_of
from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import BadRequest, NoSuchEntity, NotFound, PortalError
from portal.settings import Settings
from portal.web.answers import json_response
from portal.web.parameters import Http, QueryText, TheLinks, TheSettings

_CARDS: Final = ("invoices", "inventory_items", "customers")
_WIDTH: Final = 800
_LEAST: Final = 120
_MOST_LENGTH: Final = 2000
_FRESH: Final = 300  # seconds: what a signed thumbnail outlives


class UnknownFormat(PortalError):
    status, code, title = 501, "bad_request", "Not in this format"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an address names: a gallery or a card of `ref`, at `path`; `grant` when a key is in it."""

    ref: EntityRef
    grant: EmbedGrant | None
    path: str
    options: Options
    is_card: bool


@get("/oembed", name="embed:oembed", include_in_schema=False, **permit("public"))
async def show_oembed(
    request: Http,
    settings: TheSettings,
    links: TheLinks,
    url: QueryText = None,
    maxwidth: QueryText = None,
    maxheight: QueryText = None,
    format: QueryText = None,
) -> Response[bytes]:
    """Of public types and of keys; what is private without its key, withdrawn or not there is 404, an expired key 410."""
    if format not in (None, "", "json"):
        raise UnknownFormat("This answers in JSON only.")
    asked = await _asked(request, url or "", settings)
    width, most = min(_pixels(maxwidth) or _WIDTH, 4000), _pixels(maxheight)
    ours = links_for(asked.grant, links)
    shown = await shown_of(asked.ref, links=ours, limit=asked.options.limit)
    images = [as_granted(image, asked.grant) for image in shown.images]
    wanted = _height(asked, sum(bool(image.renditions) for image in images), width)
    height = min(wanted, most) if most else wanted
    name = shown.entity.name
    answer: dict[str, Any] = {
        "version": "1.0",
        "type": "rich",
        "provider_name": "Image Portal",
        "provider_url": settings.base_url,
        "title": name if asked.is_card else f"Pictures of {name}",
        "html": _frame(settings.base_url, asked.path, width, height, is_fixed=most is not None),
        "width": width,
        "height": height,
        "cache_age": _FRESH,
        **_thumbnail(preview_of(images, settings.base_url), width, most),
    }
    cache = "private, no-store" if asked.grant else f"public, max-age={_FRESH}"
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": cache,
    }
    return json_response(200, answer, headers)


async def _asked(request: Http, url: str, settings: Settings) -> _Asked:
    """Raises BadRequest without an address, NotFound for what is not ours or not to be seen, Gone for an expired key."""
    if not url:
        raise BadRequest("Say which address: /oembed?url=…")
    parts, base = _split(url), urlsplit(settings.base_url)
    if parts is None or (parts.scheme, parts.netloc.lower()) != (base.scheme, base.netloc.lower()):
        raise _not_ours()
    steps = parts.path.removeprefix(base.path).split("/")
    if len(steps) != 4 or steps[0] or steps[1] not in ("embed", "cards"):
        raise _not_ours()
    query = {name: values[-1] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
    options = read_options(query)
    kind, kept = steps[1], unquote(steps[3])
    if steps[2] == "k":
        grant = await grants_of(request).find_key(kept)
        ref = grant.entity(query.get("id") or query.get("entity"))
        path = f"/{kind}/k/{kept}" + ("" if grant.scope.id is not None else f"?id={ref.id}")
    else:
        grant, ref = None, parse_ref(unquote(steps[2]), kept)
        path = f"/{kind}/{ref}"
        if ref.type in settings.private_types:
            raise NoSuchEntity(f"There is no {ref}.")
    if kind == "cards" and ref.type not in _CARDS:
        raise _not_ours()
    return _Asked(ref, grant, with_options(path, options), options, kind == "cards")


def _split(url: str) -> SplitResult | None:
    """None for what is no address."""
    try:
        parts = urlsplit(url)
        parse_qs(parts.query, max_num_fields=20)
    except ValueError:
        return None
    return parts if len(url) <= _MOST_LENGTH and parts.netloc.isascii() else None


def _not_ours() -> NotFound:
    return NotFound("There is no gallery or card of this portal at that address.")


def _pixels(text: str | None) -> int | None:
    """Raises BadRequest for what is no positive number."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise BadRequest("maxwidth and maxheight are numbers of pixels.")
    return int(text)


def _height(asked: _Asked, count: int, width: int) -> int:
    """About what the page needs; /embed.js sets it right."""
    if asked.is_card:
        return 900
    if count == 0:
        return _LEAST
    if asked.options.layout == "strip":
        return 152 if width > 736 else 124
    if asked.options.layout == "carousel" or count == 1:
        return round(width * (0.625 if width > 736 else 0.75)) + 110
    columns = min(count, 2 if width <= 480 else 3 if width <= 736 else 4)
    return -(-count // columns) * (round(width / columns * 0.75) + 40)


def _frame(base_url: str, path: str, width: int, height: int, *, is_fixed: bool) -> str:
    """As `snippet`, of a size; `fixed` scrolls inside rather than grow beyond what was asked for."""
    fixed = '="fixed"' if is_fixed else ""
    return (
        f'<iframe src="{escape(base_url + path)}" sandbox="allow-scripts" title="Pictures" loading="lazy" '
        f'referrerpolicy="no-referrer" width="{width}" height="{height}" frameborder="0" '
        f"data-portal-embed{fixed}></iframe>\n"
        f'<script src="{escape(base_url)}/embed.js" async></script>'
    )


def _thumbnail(preview: Preview | None, width: int, height: int | None) -> dict[str, Any]:
    """Only one that keeps to the sizes asked for, as the specification wants it."""
    if preview is None or preview.width > width or (height is not None and preview.height > height):
        return {}
    return {"thumbnail_url": preview.url, "thumbnail_width": preview.width, "thumbnail_height": preview.height}


router = Router(path="/", route_handlers=[show_oembed], tags=["embeds"])
