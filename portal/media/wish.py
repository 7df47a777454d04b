"""What the URL of a picture asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus
from uuid import UUID

from portal.errors import FormError, NotFound
from portal.imaging.fallback import TYPES as FALLBACKS
from portal.imaging.presets import PRESETS

MOUNT: Final = "/api/images/serve"
ORIGINAL: Final = "original"
NOBODY: Final = UUID(int=0)
FORMATS: Final = ("auto", "jpeg", "webp", "avif")
_VERSION: Final = re.compile(r"([1-9][0-9]{0,8})(?:\.([1-9][0-9]{0,8}))?", re.ASCII)
_NAMES: Final = frozenset({"size", "format", "v", "exp", "sig", "download", "fallback"})
_SHORT: Final = 250  # bytes of a URL worth remembering


@dataclass(frozen=True, slots=True)
class Wish:
    """What the URL asks for. `v`, `exp` and `sig` as they stand there; `version` is what `v` says, None where it says nothing.

    `fallback`: the type of the drawing that is to come where there is no picture; then an id that cannot be is NOBODY.
    """

    image_id: UUID
    size: str
    format: str
    v: str | None
    version: tuple[int, int | None] | None
    exp: str | None
    sig: str | None
    is_download: bool
    fallback: str | None = None


def wish_of(path: str, query: bytes) -> Wish:
    """Raises what `read_wish` raises."""
    return (_known_wish if len(path) + len(query) <= _SHORT else read_wish)(path, query)


def read_wish(path: str, query: bytes) -> Wish:
    """Raises NotFound for an id or size that cannot be, FormError for a strange format or fallback. Of a name twice: the last."""
    asked = _parse(query)
    size, form = asked.get("size", "optimized"), asked.get("format", "auto")
    if size != ORIGINAL and size not in PRESETS:
        raise NotFound(f"There is no size of this name. The sizes are {', '.join(PRESETS)}.")
    if form not in FORMATS:
        raise FormError({"format": f"Use one of {', '.join(FORMATS)}."})
    fallback = asked.get("fallback")
    if fallback is not None and fallback not in FALLBACKS:
        raise FormError({"fallback": f"Use one of {', '.join(sorted(FALLBACKS))}."})
    image_id = _id_in(path)
    if image_id is None and fallback is None:
        raise unknown()
    v = asked.get("v")
    exp, sig = asked.get("exp"), asked.get("sig")
    if (exp is not None or sig is not None) and not _is_as_signed(query, asked):
        sig = ""
    is_download = asked.get("download") == "1"
    return Wish(image_id or NOBODY, size, form, v, _version_of(v), exp, sig, is_download, fallback)


def _id_in(path: str) -> UUID | None:
    """In one spelling alone: a signed URL with any other byte is no signed URL."""
    text = path.removeprefix(f"{MOUNT}/").removesuffix("/")  # the router adds one, and asks for none behind the mount
    try:
        image_id = UUID(text)
    except ValueError:
        return None
    return image_id if str(image_id) == text else None


def _is_as_signed(query: bytes, asked: dict[str, str]) -> bool:
    """A signature holds for one spelling: each name once and none that we don't know, nothing encoded, the size named."""
    names_once = query.count(b"&") + 1 == len(asked)
    return names_once and "size" in asked and asked.keys() <= _NAMES and b"%" not in query and b"+" not in query


def _version_of(v: str | None) -> tuple[int, int | None] | None:
    match = _VERSION.fullmatch(v or "")
    return None if match is None else (int(match[1]), int(match[2]) if match[2] else None)


_known_wish = lru_cache(maxsize=8192)(read_wish)  # a page asks for the same pictures again and again


def _parse(query: bytes) -> dict[str, str]:
    asked: dict[str, str] = {}
    for pair in query.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        asked[name] = unquote_plus(value) if "%" in value or "+" in value else value
    return asked


def unknown() -> NotFound:
    return NotFound("There is no picture with this id.")
