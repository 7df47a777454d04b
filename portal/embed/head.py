"""What a page to be framed tells those who link to it: its picture, its address, and where its oEmbed answer is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from portal.gallery.views import ImageView, RenditionView


@dataclass(frozen=True, slots=True)
class Preview:
    """The picture of a link: `url` absolute, sizes in pixels."""

    url: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True, slots=True)
class Head:
    """Absolute addresses. `oembed` and `preview` are None where a stranger who follows them would find nothing."""

    url: str
    oembed: str | None
    preview: Preview | None


def head_of(path: str, images: Iterable[ImageView], *, base_url: str, is_open: bool) -> Head:
    """Of the page at `path` (root-relative, with the query that makes it what it is).

    `is_open`: whoever has the address may see it: a public type's, or one with its key in it.
    """
    url = base_url + path
    if not is_open:
        return Head(url, None, None)
    return Head(url, f"{base_url}/oembed?url={quote(url, safe='')}", preview_of(images, base_url))


def preview_of(images: Iterable[ImageView], base_url: str) -> Preview | None:
    """The primary image, else the first one that is ready."""
    ready = [image for image in images if image.renditions]
    image = next((image for image in ready if image.is_primary), ready[0] if ready else None)
    shown = (image.renditions.get("gallery") or image.renditions.get("card")) if image else None
    return _preview(shown, image, base_url) if image and shown else None


def _preview(shown: RenditionView, image: ImageView, base_url: str) -> Preview:
    return Preview(base_url + shown.url, shown.width, shown.height, image.alt_text or image.caption or "")
