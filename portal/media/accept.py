"""Which formats better than JPEG a client takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

Better = Literal["avif", "webp"]
MEDIA_TYPES: Final[dict[Better, bytes]] = {"avif": b"image/avif", "webp": b"image/webp"}
_LONGEST: Final = 1000  # bytes; browsers send a hundred
_WEIGHT: Final = re.compile(rb"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def taken(headers: Iterable[tuple[bytes, bytes]]) -> tuple[Better, ...]:
    """What Accept names, liked best first; none for one that no browser sends."""
    accept = b""
    for name, value in headers:
        if name == b"accept":
            accept = b"%b,%b" % (accept, value) if accept else value
    return _formats_in(accept) if 0 < len(accept) <= _LONGEST else ()


@lru_cache(maxsize=256)  # there are few browsers
def _formats_in(accept: bytes) -> tuple[Better, ...]:
    """`*/*` and `image/*` name nothing: scripts send that, and mean nothing by it. Liked alike: AVIF, then WebP, then JPEG."""
    weights = dict(_weighed(part) for part in accept.lower().split(b","))
    least = weights.get(b"image/jpeg", 0.0)
    avif, webp = (weights.get(media_type, 0.0) for media_type in MEDIA_TYPES.values())
    order: tuple[tuple[float, Better], ...] = ((avif, "avif"), (webp, "webp"))
    if webp > avif:
        order = order[::-1]
    return tuple(better for weight, better in order if weight > 0 and weight >= least)


def _weighed(part: bytes) -> tuple[bytes, float]:
    """A media type, and its `q`: 1 where it is not said, or not as the standard says it."""
    name, *parameters = (each.strip() for each in part.split(b";"))
    found = next((match for each in parameters if (match := _WEIGHT.fullmatch(each.replace(b" ", b"")))), None)
    return name, float(found[1]) if found else 1.0
