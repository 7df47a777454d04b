"""Names of objects, relative to the store's root. The shard is the last two hex digits of the image's id.

<entity_type>/<shard>/<image id>-v<version>.<jpg|png|webp|gif>                     an original
<entity_type>/optimized/<shard>/<image id>-v<version>.<rendering>.jpg              a rendition
<entity_type>/thumbnails/<shard>/<image id>-v<version>.<rendering>-<name>.jpg      a thumbnail
temp/<anything>                                                                    in flight

And of cached files, relative to the cache's folder:
<entity_type>/<shard>/<image id>-v<version>.<rendering>-<name>.<webp|avif|jpg>     a rendition made when asked for
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from portal.settings import ENTITY_TYPES

TEMP: Final = "temp"
OPTIMIZED: Final = "optimized"
_TYPE = "|".join(ENTITY_TYPES)
_IMAGE = r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-v(?P<version>[1-9][0-9]{0,8})"
_ORIGINAL = re.compile(
    rf"(?P<type>{_TYPE})/(?P<shard>[0-9a-f]{{2}})/{_IMAGE}\.(?P<extension>jpg|png|webp|gif)", re.ASCII
)
_RENDITION = re.compile(
    rf"(?P<type>{_TYPE})/(?P<folder>optimized|thumbnails)/(?P<shard>[0-9a-f]{{2}})/{_IMAGE}"
    r"\.(?P<rendering>[1-9][0-9]{0,8})(?:-(?P<name>[a-z]{1,20}))?\.jpg",
    re.ASCII,
)
CacheFormat = Literal["webp", "avif", "jpg"]
DRAFT: Final = ".draft-"  # what the name of a cached file begins with until it is whole
_CACHED = re.compile(
    rf"(?:{_TYPE})/[0-9a-f]{{2}}/(?:{_IMAGE}\.[1-9][0-9]{{0,8}}-[a-z]{{1,20}}\.(?:webp|avif|jpg)|{re.escape(DRAFT)}\w+)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """What a key says; `rendering` and `name` are None for an original."""

    entity_type: str
    image_id: UUID
    version: int
    extension: str
    rendering: int | None = None
    name: str | None = None

    @property
    def is_original(self) -> bool:
        return self.name is None


def original_key(entity_type: str, image_id: UUID, version: int, extension: str) -> str:
    return f"{entity_type}/{_shard(image_id)}/{image_id}-v{version}.{extension}"


def rendition_key(entity_type: str, image_id: UUID, version: int, rendering: int, name: str) -> str:
    stem = f"{_shard(image_id)}/{image_id}-v{version}.{rendering}"
    if name == OPTIMIZED:
        return f"{entity_type}/optimized/{stem}.jpg"
    return f"{entity_type}/thumbnails/{stem}-{name}.jpg"


def cache_key(entity_type: str, image_id: UUID, version: int, rendering: int, name: str, format: CacheFormat) -> str:
    return f"{cache_folder(entity_type, image_id)}/{image_id}-v{version}.{rendering}-{name}.{format}"


def cache_folder(entity_type: str, image_id: UUID) -> str:
    return f"{entity_type}/{_shard(image_id)}"


def is_cache_key(key: str) -> bool:
    return _CACHED.fullmatch(key) is not None


def parse_key(key: str) -> ParsedKey | None:
    """None for what neither `original_key` nor `rendition_key` would have written, as temporary and foreign files."""
    match = _ORIGINAL.fullmatch(key) or _RENDITION.fullmatch(key)
    if match is None:
        return None
    said = match.groupdict()
    image_id = UUID(said["id"])
    if said["shard"] != _shard(image_id):
        return None
    if "folder" not in said:
        return ParsedKey(said["type"], image_id, int(said["version"]), said["extension"])
    if (said["folder"] == OPTIMIZED) != (said["name"] is None) or said["name"] == OPTIMIZED:
        return None
    name = said["name"] or OPTIMIZED
    return ParsedKey(said["type"], image_id, int(said["version"]), "jpg", int(said["rendering"]), name)


def _shard(image_id: UUID) -> str:
    return image_id.hex[-2:]
