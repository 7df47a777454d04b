"""Objects against rows: which key belongs to an image, and which to nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from portal import database
from portal.gallery.arrivals import arrived_of
from portal.gallery.disposal import keys_of, keys_of_set, version_keys_of, versions_of_images
from portal.gallery.holds import pinned_sets_of
from portal.storage.keys import TEMP, ParsedKey, parse_key
from portal.storage.store import ObjectEntry


def is_temporary(entry: ObjectEntry) -> bool:
    return entry.key.startswith(f"{TEMP}/")


def older_than(entries: Iterable[ObjectEntry], grace: timedelta, now: datetime | None = None) -> Iterator[ObjectEntry]:
    """Whoever is younger may still get its row."""
    limit = (now or datetime.now(UTC)) - grace
    return (entry for entry in entries if entry.modified_at <= limit)


async def orphaned_of(entries: Sequence[ObjectEntry]) -> list[ObjectEntry]:
    """Those of `entries` that no row owns: foreign names, deleted images, renditions that are no longer wanted."""
    parsed = {entry.key: parse_key(entry.key) for entry in entries}
    owned = await _owned_keys({each.image_id for each in parsed.values() if each is not None})
    return [entry for entry in entries if not _is_owned(parsed[entry.key], entry.key, owned)]


async def without_arrivals(entries: Sequence[ObjectEntry]) -> list[ObjectEntry]:
    """`entries` without originals that somebody is just adding; the rest stays so until the open transaction ends."""
    parsed = {entry.key: parse_key(entry.key) for entry in entries}
    arrived = await arrived_of({each.image_id for each in parsed.values() if each is not None})
    return [entry for entry in entries if (each := parsed[entry.key]) is None or each.image_id in arrived]


def _is_owned(parsed: ParsedKey | None, key: str, owned: set[str]) -> bool:
    return parsed is not None and key in owned


async def _owned_keys(images: set[UUID]) -> set[str]:
    rows = await database.fetch(
        """SELECT entity.type, image.id, extension, version, rendering, renditions
           FROM image JOIN entity ON entity.pk = image.entity WHERE image.id = ANY($1::uuid[])""",
        list(images),
    )
    versions = await versions_of_images(row["id"] for row in rows)
    pinned = await pinned_sets_of(row["id"] for row in rows)
    owned = {key for row in rows for key in keys_of(row["type"], row)}
    for row in rows:
        for version in versions.get(row["id"], ()):
            owned.update(version_keys_of(row["type"], row["id"], version))
        for stored in pinned.get(row["id"], ()):
            owned.update(keys_of_set(row["type"], row["id"], stored))
    return owned
