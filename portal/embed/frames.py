"""What embed pages and cards have in common: who may frame them, the options in their URL, what they show of a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode, urlsplit

from portal.embed.keys import EmbedGrant
from portal.embed.shown import ALL
from portal.gallery.views import EntityView, ImageView, RenditionView
from portal.imaging.presets import PRESETS
from portal.settings import Settings
from portal.storage.links import Links
from portal.web.headers import content_security_policy, frame_ancestors

LAYOUTS: Final = ("grid", "strip", "carousel")
THEMES: Final = ("auto", "light", "dark")


@dataclass(frozen=True, slots=True)
class Options:
    layout: str
    theme: str
    captions: bool
    limit: int


def read_options(query: Mapping[str, str]) -> Options:
    """Never an error: who embeds a page can't see one. Unknown words give the default."""
    layout, theme, limit = query.get("layout"), query.get("theme"), query.get("limit", "")
    is_number = limit.isascii() and limit.isdigit() and len(limit) < 10
    return Options(
        layout=layout if layout in LAYOUTS else LAYOUTS[0],
        theme=theme if theme in THEMES else THEMES[0],
        captions=query.get("captions") != "0",
        limit=min(int(limit), ALL) or ALL if is_number else ALL,
    )


def with_options(path: str, options: Options) -> str:
    """The path with those options that differ from what a frame shows unless told."""
    said = {
        "layout": options.layout if options.layout != LAYOUTS[0] else None,
        "theme": options.theme if options.theme != THEMES[0] else None,
        "captions": None if options.captions else "0",
        "limit": options.limit if options.limit != ALL else None,
    }
    query = urlencode({name: value for name, value in said.items() if value is not None})
    return f"{path}{'&' if '?' in path else '?'}{query}" if query else path


def frame_headers(
    settings: Settings, grant: EmbedGrant | None, entity_type: str, *, cache: Literal["shared", "none"]
) -> dict[str, str]:
    """Only these sites may frame the page, and nothing in it comes from anywhere else.

    The portal's origin stands beside 'self', because a sandboxed frame's own origin is nothing that matches.
    """
    base = urlsplit(settings.base_url)
    own = f"'self' {base.scheme}://{base.netloc}"
    policy = content_security_policy(
        img_src=f"{own} data:",
        style_src=own,
        script_src=own,
        font_src=own,
        connect_src="'none'",
        form_action="'none'",
        frame_ancestors=frame_ancestors(_parents(settings, grant, entity_type)),
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": "public, max-age=60" if cache == "shared" else "private, no-store",
        "X-Robots-Tag": "noindex",
    }


def _parents(settings: Settings, grant: EmbedGrant | None, entity_type: str) -> str:
    if grant is not None and grant.parents:
        return " ".join(grant.parents)
    return "" if entity_type in settings.private_types else settings.embed_parents


def links_for(grant: EmbedGrant | None, links: Links) -> Links:
    """Links that end when the key ends."""
    if grant is None or grant.expires_at is None:
        return links
    return dataclasses.replace(links, until=int(grant.expires_at.timestamp()))


def as_granted(image: ImageView, grant: EmbedGrant | None) -> ImageView:
    """The picture without a caption where the key has none, and with only the renditions that the key allows; each other name
    stands for the nearest of them in size."""
    if grant is None:
        return image
    if not grant.captions:
        image = dataclasses.replace(image, caption=None)
    if grant.presets is None:
        return image
    allowed = {name: image.renditions[name] for name in grant.presets if name in image.renditions}
    if not allowed:
        return dataclasses.replace(image, renditions={})
    return dataclasses.replace(image, renditions={name: _nearest(name, allowed) for name in image.renditions})


def _nearest(name: str, allowed: Mapping[str, RenditionView]) -> RenditionView:
    if name in allowed:
        return allowed[name]
    return allowed[min(allowed, key=lambda other: abs(PRESETS[other].width - PRESETS[name].width))]


def for_visitor(entity: EntityView, private_types: Collection[str]) -> EntityView:
    """Without what only staff may read: free attributes, the reference, a private parent's name, private items' pictures."""
    entity = dataclasses.replace(entity, attributes={}, reference=None)
    if "inventory_items" in private_types:
        lines = [dataclasses.replace(line, item_name=None, picture=None) for line in entity.lines]
        entity = dataclasses.replace(entity, lines=lines)
    return without_private_parent(entity, private_types)


def without_private_parent(entity: EntityView, private_types: Collection[str]) -> EntityView:
    if entity.parent is None or entity.parent.type not in private_types:
        return entity
    return dataclasses.replace(entity, parent=None, parent_name=None)
