"""What stands where a picture will be until it has come: the picture itself, of a few pixels."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from PIL import Image

from portal.imaging import geometry
from portal.imaging.colour import to_srgb
from portal.imaging.decode import resample, to_8_bit, turn_upright

PLACEHOLDER_SIDE = 16
MEDIA_TYPE = "image/webp"


def make_placeholder(picture: Image.Image, size: geometry.Size, turns: Sequence[int]) -> bytes:
    """A WebP of at most 16 x 16.

    `size` is that of the picture that people see, of which `picture` may be a scaled decode that lies as the camera was
    held; `turns` are the EXIF orientations that bring it upright and on from there.
    """
    small = geometry.fit_within(size, (PLACEHOLDER_SIDE, PLACEHOLDER_SIDE))
    lying = small
    for turn in turns:
        lying = geometry.upright(lying, turn)
    profile = picture.info.get("icc_profile")
    tiny = resample(to_8_bit(picture), lying, Image.Resampling.BOX)
    plain = to_srgb(tiny, profile)
    for turn in turns:
        plain = turn_upright(plain, turn)
    plain = plain.convert("RGBA" if plain.mode in ("LA", "RGBA") else "RGB")
    plain.info = {}
    out = io.BytesIO()
    plain.save(out, "WEBP", quality=20, method=4)
    return out.getvalue()


def data_url(webp: bytes) -> str:
    return f"data:{MEDIA_TYPE};base64," + base64.b64encode(webp).decode()
