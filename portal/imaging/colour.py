"""Every picture in sRGB: browsers, printers and scripts then agree on its colours, and the profile can be left out."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any, cast

from PIL import Image, ImageCms

_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
_SRGB = cast(Any, ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType]  # so typed in Pillow


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """L, RGB or CMYK in; L or RGB out; LA and RGBA keep their transparency, so that it is mixed in sRGB as browsers do.

    A profile that is broken or for another kind of picture is ignored.
    """
    if picture.mode in ("LA", "RGBA"):
        colours = to_srgb(picture.convert(picture.mode[:-1]), profile)
        colours.putalpha(picture.getchannel("A"))
        return colours
    transform = _transform(profile, picture.mode) if profile else None
    if transform:
        return ImageCms.applyTransform(picture, transform) or picture
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where nothing is to be done. The cache pays: one camera writes one profile into every picture."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        facts: Any = getattr(source, "profile")  # noqa: B009  # Pillow types it as unknown
        if facts.xcolor_space != _SPACES.get(mode) or (facts.profile_description or "").startswith("sRGB"):
            return None
        return ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
