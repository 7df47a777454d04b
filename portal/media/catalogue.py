"""What may be served of each image, in memory: a picture is answered without asking the database."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn
from uuid import UUID

from portal import database
from portal.gallery.views import recipe_of
from portal.imaging.edits import Edits
from portal.imaging.geometry import Point
from portal.imaging.presets import Changes
from portal.media.conditional import http_date
from portal.notices import FreshCache, listen
from portal.storage.keys import original_key, rendition_key

ENTRIES: Final = 10_000  # about 4 KB each
_QUERY: Final = """
    SELECT e.type, i.trashed_at IS NOT NULL AS is_trashed, i.status, i.version, i.rendering, i.renditions,
           i.extension, i.media_type, i.filename, i.bytes, i.sha256, i.updated_at,
           i.edits, i.focal_x, i.focal_y
    FROM image i JOIN entity e ON e.pk = i.entity WHERE i.id = $1
"""
_OLD_VERSION: Final = """
    SELECT e.type, i.trashed_at IS NOT NULL AS is_trashed, 'ready' AS status, v.version, v.rendering, v.renditions,
           v.extension, v.media_type, v.filename, v.bytes, v.sha256, v.created_at AS updated_at,
           v.edits, v.focal_x, v.focal_y
    FROM image_version v JOIN image i ON i.id = v.image JOIN entity e ON e.pk = i.entity
    WHERE v.image = $1 AND v.version = $2
"""
_PINNED_SET: Final = """
    SELECT e.type, i.trashed_at IS NOT NULL AS is_trashed, 'ready' AS status, p.version, p.renditions,
           split_part(p.renditions ->> 'of', '.', 2)::int AS rendering, pin.pinned_at AS updated_at,
           coalesce(v.extension, i.extension) AS extension, coalesce(v.media_type, i.media_type) AS media_type,
           coalesce(v.filename, i.filename) AS filename, coalesce(v.bytes, i.bytes) AS bytes,
           coalesce(v.sha256, i.sha256) AS sha256, coalesce(v.edits, i.edits) AS edits,
           CASE WHEN v.pk IS NULL THEN i.focal_x ELSE v.focal_x END AS focal_x,
           CASE WHEN v.pk IS NULL THEN i.focal_y ELSE v.focal_y END AS focal_y
    FROM pinned_picture p JOIN invoice_pin pin ON pin.pk = p.pin JOIN image i ON i.id = p.image
    JOIN entity e ON e.pk = i.entity LEFT JOIN image_version v ON v.image = p.image AND v.version = p.version
    WHERE p.image = $1 AND p.renditions ->> 'of' = $2 ORDER BY pin.pinned_at LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Source:
    """One object that may be sent. `etag` with its quotes."""

    key: str
    bytes: int
    sha256: str
    etag: bytes
    media_type: bytes


@dataclass(frozen=True, slots=True)
class PrintSource:
    """What the current renditions were made of, for one that is made later: an original's key, how it is wanted, and
    by which presets where these are not the code's."""

    key: str
    edits: Edits
    focal_point: Point | None
    presets: Changes


@dataclass(frozen=True, slots=True)
class Entry:
    """One image. `current` is the version and rendering of the renditions that are whole, None before the first are.

    `wanted` is what they will be of after the next rendering; the two are equal unless one is under way.
    `print_from` is None where that is not known any more. `edge_tags` are the headers by which caches in front know it.
    """

    image_id: UUID
    entity_type: str
    is_trashed: bool
    status: str
    current: tuple[int, int] | None
    wanted: tuple[int, int]
    renditions: Mapping[str, Source]
    original: Source
    print_from: PrintSource | None
    filename: str
    updated_at: datetime
    last_modified: bytes
    edge_tags: tuple[tuple[bytes, bytes], ...]


class Catalogue:
    """Entries by image id; another process's change is heard of within a moment, as long as `run` runs."""

    def __init__(self, entries: int = ENTRIES) -> None:
        self._cache: FreshCache[UUID, Entry] = FreshCache(load_entry, entries)

    async def find(self, image_id: UUID) -> Entry | None:
        return await self._cache.find(image_id)

    def held(self, image_id: UUID) -> Entry | None:
        """The entry in memory, if there is one; who was given the same one before still has the truth."""
        return self._cache.held(image_id)

    def forget(self, image_id: UUID) -> None:
        self._cache.forget(image_id)

    @property
    def is_trusted(self) -> bool:
        return self._cache.is_trusted

    async def run(self) -> NoReturn:
        await listen("portal_image", self._cache, self._hear)

    def _hear(self, payload: str) -> None:
        with contextlib.suppress(ValueError):
            self.forget(UUID(payload))


async def load_entry(image_id: UUID) -> Entry | None:
    row = await database.fetch_row(_QUERY, image_id)
    return None if row is None else _entry(image_id, row)


async def load_old_version(image_id: UUID, version: int) -> Entry | None:
    """An old version as if it were the image; None where none of this number is kept."""
    row = await database.fetch_row(_OLD_VERSION, image_id, version)
    return None if row is None else _entry(image_id, row)


async def load_pinned_set(image_id: UUID, of: str) -> Entry | None:
    """A set that an invoice is pinned to, as if it were what the image shows; None where none is (any more)."""
    row = await database.fetch_row(_PINNED_SET, image_id, of)
    return None if row is None else _entry(image_id, row)


def _entry(image_id: UUID, row: Mapping[str, Any]) -> Entry:
    kind, version = row["type"], row["version"]
    stored = json.loads(row["renditions"])
    current = _pair(stored["of"]) if stored else None
    return Entry(
        image_id=image_id,
        entity_type=kind,
        is_trashed=row["is_trashed"],
        status=row["status"],
        current=current,
        wanted=(version, row["rendering"]),
        renditions=_sources(kind, image_id, current, stored.get("items", {})) if current else {},
        original=Source(
            key=original_key(kind, image_id, version, row["extension"]),
            bytes=row["bytes"],
            sha256=row["sha256"],
            etag=f'"{row["sha256"][:32]}-original"'.encode(),
            media_type=row["media_type"].encode(),
        ),
        print_from=_print_source(kind, image_id, current, stored, row) if current else None,
        filename=row["filename"],
        updated_at=row["updated_at"],
        last_modified=http_date(row["updated_at"]),
        edge_tags=_edge_tags(kind, image_id),
    )


def _edge_tags(kind: str, image_id: UUID) -> tuple[tuple[bytes, bytes], ...]:
    """One spelling for Cloudflare and its like, one for Fastly and Varnish."""
    tag = edge_tag(image_id)
    return (b"cache-tag", f"{tag},{kind}".encode()), (b"surrogate-key", f"{tag} {kind}".encode())


def edge_tag(image_id: UUID) -> str:
    return f"image-{image_id}"


def _print_source(
    kind: str, image_id: UUID, current: tuple[int, int], stored: Mapping[str, Any], row: Mapping[str, Any]
) -> PrintSource | None:
    recipe = recipe_of(stored, row)
    if recipe is None:
        return None
    key = original_key(kind, image_id, current[0], recipe.extension)
    return PrintSource(key, recipe.edits, recipe.focal_point, recipe.presets)


def _pair(of: str) -> tuple[int, int]:
    version, _, rendering = of.partition(".")
    return int(version), int(rendering)


def _sources(
    kind: str, image_id: UUID, current: tuple[int, int], items: Mapping[str, Mapping[str, Any]]
) -> dict[str, Source]:
    return {
        name: Source(
            key=rendition_key(kind, image_id, *current, name),
            bytes=item["bytes"],
            sha256=item["sha256"],
            etag=f'"{item["sha256"][:32]}-{name}"'.encode(),
            media_type=item["media_type"].encode(),
        )
        for name, item in items.items()
    }
