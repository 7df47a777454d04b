"""The HTML with which another site shows one public picture: by links that stay when its file is replaced."""

from __future__ import annotations

from html import escape

from portal.gallery.views import ImageView

STEPS = ("large", "gallery", "optimized")  # all of one shape


def embed_code(image: ImageView, base_url: str) -> str:
    """Empty until there are renditions."""
    found = [(name, image.renditions[name]) for name in STEPS if name in image.renditions]
    if not found:
        return ""
    widths = {rendition.width: name for name, rendition in reversed(found)}  # of equals the first
    offered = ", ".join(f"{_link(image, name, base_url)} {width}w" for width, name in sorted(widths.items()))
    name, shown = found[min(1, len(found) - 1)]
    lines = [f'<img src="{_link(image, name, base_url)}"']
    if len(widths) > 1:
        lines.append(f'     srcset="{offered}" sizes="(width < 50rem) 100vw, 50rem"')
    alt = "" if image.decorative else escape(image.alt_text or "")
    lines.append(f'     alt="{alt}" width="{shown.width}" height="{shown.height}" loading="lazy">')
    return "\n".join(lines)


def _link(image: ImageView, name: str, base_url: str) -> str:
    return escape(f"{base_url}/api/images/serve/{image.id}?size={name}")
