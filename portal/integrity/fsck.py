"""Every promise about rows and bytes, checked one after the other; each breach is a finding."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.errors import FileRefused
from portal.gallery.tasks import forgotten_images
from portal.gallery.views import decoded, rendition_of
from portal.imaging.pool import RenderPool
from portal.imaging.presets import PRESETS, READY
from portal.imaging.verify import Limits
from portal.integrity.objects import in_chunks, is_temporary, older_than, orphaned_of
from portal.storage.keys import original_key, rendition_key
from portal.storage.store import Store

IMAGES_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach. `kind` is a word for scripts; `detail` says why we know."""

    kind: str
    key: str | None
    image_id: str | None
    detail: str


async def fsck(*, store: Store, pool: RenderPool, grace: timedelta) -> AsyncIterator[Finding]:
    """Read every byte and yield each breach: rows without bytes, bytes without rows, pictures that are not what they were."""
    async for finding in _check_images(store, pool):
        yield finding
    async for finding in _check_objects(store, grace):
        yield finding
    for check in (_galleries_without_primary, _gaps_in_order, _jobs_past_lease, _forgotten_images):
        for finding in await check():
            yield finding


async def _check_images(store: Store, pool: RenderPool) -> AsyncIterator[Finding]:
    last = UUID(int=0)
    while rows := await database.fetch(
        """SELECT image.id, image.bytes, image.sha256, image.status, image.version, image.extension, image.renditions,
                  entity.type FROM image JOIN entity ON entity.pk = image.entity
           WHERE image.id > $1 ORDER BY image.id LIMIT $2""",
        last,
        IMAGES_AT_ONCE,
    ):
        for row in [*rows, *await _old_versions_of(rows)]:
            for finding in await _check_image(row, store, pool):
                yield finding
        for row in await _pinned_sets_of(rows):
            for finding in await _check_pinned_set(row, store, pool):
                yield finding
        last = rows[-1]["id"]


async def _old_versions_of(rows: Sequence[Any]) -> Sequence[Any]:
    """Each kept version of these images, as a row like theirs."""
    return await database.fetch(
        """SELECT image.id, v.bytes, v.sha256, 'old' AS status, v.version, v.extension, v.renditions, entity.type
           FROM image_version v JOIN image ON image.id = v.image JOIN entity ON entity.pk = image.entity
           WHERE image.id = ANY($1::uuid[])""",
        [row["id"] for row in rows],
    )


async def _pinned_sets_of(rows: Sequence[Any]) -> Sequence[Any]:
    """Each set that a pin alone holds; the others are looked at where they are shown or kept."""
    return await database.fetch(
        """SELECT DISTINCT image.id, p.version, p.renditions, entity.type,
                  v.pk IS NOT NULL OR image.version = p.version AS has_original
           FROM pinned_picture AS p JOIN image ON image.id = p.image JOIN entity ON entity.pk = image.entity
           LEFT JOIN image_version AS v ON v.image = p.image AND v.version = p.version
           WHERE p.image = ANY($1::uuid[]) AND p.renditions <> image.renditions AND p.renditions IS DISTINCT FROM v.renditions""",
        [row["id"] for row in rows],
    )


async def _check_pinned_set(row: Any, store: Store, pool: RenderPool) -> list[Finding]:
    findings = await _check_renditions(row, store, pool)
    if not row["has_original"]:
        detail = f"an invoice is pinned to version {row['version']}, which is not kept"
        findings.append(Finding("missing_version", None, str(row["id"]), detail))
    is_still_pinned = await database.fetch_value(
        "SELECT EXISTS (SELECT 1 FROM pinned_picture WHERE image = $1 AND renditions = $2::jsonb)",
        row["id"],
        row["renditions"],
    )
    return findings if is_still_pinned else []


async def _check_image(row: Any, store: Store, pool: RenderPool) -> list[Finding]:
    findings = await _check_original(row, store)
    stored = decoded(row["renditions"]) or {"items": {}}
    missing = [name for name in READY if row["status"] == "ready" and name not in stored["items"]]
    image_id = str(row["id"])
    findings += [Finding("missing_rendition", None, image_id, f"ready, but without {name}") for name in missing]
    findings += await _check_renditions(row, store, pool)
    return findings if await _is_still(row) else []


async def _check_renditions(row: Any, store: Store, pool: RenderPool) -> list[Finding]:
    findings: list[Finding] = []
    stored = decoded(row["renditions"]) or {"items": {}}
    for name, item in stored["items"].items():
        version, rendering = rendition_of(stored)
        key = rendition_key(row["type"], row["id"], version, rendering, name)
        findings += await _check_rendition(key, str(row["id"]), name, item, store, pool)
    return findings


async def _is_still(row: Any) -> bool:
    """A row that changed or went while its bytes were read proves nothing; it is looked at again next time."""
    return await database.fetch_value(
        """SELECT EXISTS (SELECT 1 FROM image WHERE id = $1 AND version = $2 AND renditions = $3::jsonb)
               OR EXISTS (SELECT 1 FROM image_version WHERE image = $1 AND version = $2 AND renditions = $3::jsonb)""",
        row["id"],
        row["version"],
        row["renditions"],
    )


async def _check_original(row: Any, store: Store) -> list[Finding]:
    key = original_key(row["type"], row["id"], row["version"], row["extension"])
    image_id = str(row["id"])
    size = await store.size(key)
    if size is None:
        return [Finding("missing_object", key, image_id, "the original is not in the store")]
    if size != row["bytes"]:
        return [Finding("checksum_mismatch", key, image_id, f"{size} bytes instead of {row['bytes']}")]
    digest = hashlib.sha256(await store.read(key)).hexdigest()
    if digest != row["sha256"]:
        return [Finding("checksum_mismatch", key, image_id, f"SHA-256 {digest} instead of {row['sha256']}")]
    return []


async def _check_rendition(
    key: str, image_id: str, name: str, item: dict[str, Any], store: Store, pool: RenderPool
) -> list[Finding]:
    if await store.size(key) is None:
        return [Finding("missing_rendition", key, image_id, f"{name} is not in the store")]
    if hashlib.sha256(await store.read(key)).hexdigest() != item["sha256"]:
        return [Finding("wrong_rendition", key, image_id, f"{name} is not what was rendered")]
    preset = PRESETS[name]
    try:
        seen = await pool.verify(store.path_of(key), "rendition.jpg", Limits())
    except FileRefused as error:
        return [Finding("wrong_rendition", key, image_id, f"{name} does not decode: {error.message}")]
    exact = preset.fit == "fill"
    fits = (seen.width, seen.height) == (item["width"], item["height"])
    in_box = name == "optimized" or (seen.width <= preset.width and seen.height <= preset.height)
    if not fits or not in_box or (exact and (seen.width, seen.height) != (preset.width, preset.height)):
        return [Finding("wrong_rendition", key, image_id, f"{name} is {seen.width} x {seen.height}")]
    return []


async def _check_objects(store: Store, grace: timedelta) -> AsyncIterator[Finding]:
    entries = await asyncio.to_thread(lambda: list(older_than(store.walk(), grace)))
    for entry in filter(is_temporary, entries):
        yield Finding("stray_temp_file", entry.key, None, f"left over since {entry.modified_at:%Y-%m-%d %H:%M}")
    for chunk in in_chunks(entry for entry in entries if not is_temporary(entry)):
        for entry in await orphaned_of(chunk):
            yield Finding("orphaned_object", entry.key, None, "no row owns these bytes")


async def _galleries_without_primary() -> list[Finding]:
    rows = await database.fetch(
        """SELECT entity.type, entity.id FROM entity
           WHERE EXISTS (SELECT 1 FROM image WHERE image.entity = entity.pk AND status = 'ready' AND trashed_at IS NULL)
             AND NOT EXISTS (SELECT 1 FROM image WHERE image.entity = entity.pk AND is_primary)"""
    )
    return [Finding("no_primary", None, None, f"{row['type']}/{row['id']} has no primary image") for row in rows]


async def _gaps_in_order() -> list[Finding]:
    rows = await database.fetch(
        """SELECT entity.type, entity.id FROM image JOIN entity ON entity.pk = image.entity
           WHERE trashed_at IS NULL GROUP BY entity.type, entity.id
           HAVING min(sort_order) <> 0 OR max(sort_order) <> count(*) - 1"""
    )
    return [Finding("order_not_dense", None, None, f"{row['type']}/{row['id']} has a gap in its order") for row in rows]


async def _jobs_past_lease() -> list[Finding]:
    rows = await database.fetch(
        "SELECT id, entrypoint FROM pgqueuer WHERE status = 'picked' AND heartbeat < now() - interval '10 minutes'"
    )
    return [
        Finding("job_past_lease", None, None, f"job {row['id']} ({row['entrypoint']}) stands still") for row in rows
    ]


async def _forgotten_images() -> list[Finding]:
    detail = "waits for renditions, and no job makes them"
    return [Finding("no_job", None, str(image_id), detail) for image_id in await forgotten_images()]
