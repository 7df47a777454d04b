"""Rendering an image: find what is wanted, make all of it, and let the new set live only when it is whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from portal import database
from portal.errors import FileRefused, Gone
from portal.gallery import places
from portal.gallery.disposal import purge_after_commit
from portal.gallery.views import decoded, rendition_of
from portal.imaging.pool import RenderPool
from portal.imaging.presets import READY
from portal.imaging.render import Rendered
from portal.storage.keys import original_key, rendition_key
from portal.storage.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """One rendering of one version of an image."""

    image_id: UUID
    entity_type: str
    version: int
    rendering: int
    extension: str
    focal_point: tuple[float, float] | None

    @property
    def of(self) -> str:
        return f"{self.version}.{self.rendering}"


async def render_all(image_id: UUID, *, store: Store, pool: RenderPool) -> None:
    """Make the seven renditions that an image wants; may run twice, and finds then that nothing is left to do.

    A picture that cannot be rendered is marked failed, with the reason. Raises Unavailable and DiskFull: try again later.
    """
    wanted = await _begin(image_id)
    if wanted is None:
        return
    original = original_key(wanted.entity_type, image_id, wanted.version, wanted.extension)
    try:
        if await store.size(original) is None:
            raise Gone("The original is missing from the store.")
        rendered = await pool.render(store.path_of(original), READY, wanted.focal_point)
    except (FileRefused, Gone) as error:
        await fail_image(image_id, error.code, error.message)
        return
    items = [(_key(wanted, each.name), each.data) for each in rendered]
    await store.put_many(items)
    if not await _finish(wanted, rendered) and not await _is_live(wanted):
        # deleted, or wanted differently by now: another job makes that, and nobody else knows of these objects
        await store.delete(key for key, _ in items)


async def _is_live(wanted: Wanted) -> bool:
    """Has another run of the same job let this very set live, before something else was wanted?"""
    return await database.fetch_value(
        "SELECT EXISTS (SELECT 1 FROM image WHERE id = $1 AND renditions ->> 'of' = $2)", wanted.image_id, wanted.of
    )


def _key(wanted: Wanted, name: str) -> str:
    return rendition_key(wanted.entity_type, wanted.image_id, wanted.version, wanted.rendering, name)


async def _begin(image_id: UUID) -> Wanted | None:
    """None when the image is gone or has what it wants."""
    row = await database.fetch_row(
        """UPDATE image SET status = CASE status WHEN 'ready' THEN 'ready' ELSE 'processing' END, tries = tries + 1
           FROM entity WHERE image.id = $1 AND entity.pk = image.entity AND image.status <> 'failed'
             AND coalesce(image.renditions ->> 'of', '') <> image.version || '.' || image.rendering
           RETURNING entity.type, version, rendering, extension, focal_x, focal_y""",
        image_id,
    )
    if row is None:
        return None
    focal = None if row["focal_x"] is None else (row["focal_x"], row["focal_y"])
    return Wanted(image_id, row["type"], row["version"], row["rendering"], row["extension"], focal)


async def _finish(wanted: Wanted, rendered: list[Rendered]) -> bool:
    """Let the new set live; False when the image does not want it (any more)."""
    live = {"of": wanted.of, "items": {each.name: _described(each) for each in rendered}}
    async with database.transaction():
        row = await database.fetch_row(
            """SELECT image.renditions, entity.pk FROM entity JOIN image ON image.entity = entity.pk
               WHERE image.id = $1 AND image.version = $2 AND image.rendering = $3 FOR NO KEY UPDATE OF entity""",
            wanted.image_id,
            wanted.version,
            wanted.rendering,
        )
        if row is None:
            return False
        await database.execute(
            """UPDATE image SET renditions = $2::jsonb, status = 'ready', error = NULL, updated_at = now()
               WHERE id = $1""",
            wanted.image_id,
            json.dumps(live),
        )
        before = decoded(row["renditions"])
        if before and before["of"] != wanted.of:
            await purge_after_commit(_keys_of_set(wanted, before))
        gallery = await places.lock_gallery_of(wanted.image_id)
        await places.ensure_primary(gallery)
    return True


def _described(each: Rendered) -> dict[str, Any]:
    return {
        "width": each.width,
        "height": each.height,
        "bytes": len(each.data),
        "sha256": hashlib.sha256(each.data).hexdigest(),
        "media_type": each.media_type,
    }


def _keys_of_set(wanted: Wanted, stored: dict[str, Any]) -> list[str]:
    version, rendering = rendition_of(stored)
    return [rendition_key(wanted.entity_type, wanted.image_id, version, rendering, name) for name in stored["items"]]


async def fail_image(image_id: UUID, code: str, message: str) -> None:
    """Mark an image that never was ready as failed; one that is ready keeps its last whole renditions.

    Where another run of the job has made what is wanted, nothing failed.
    """
    async with database.transaction():
        gallery = await places.lock_gallery_of(image_id)
        await database.execute(
            """UPDATE image SET status = CASE WHEN renditions = '{}' THEN 'failed' ELSE status END,
                      error = $2::jsonb, updated_at = now()
               WHERE id = $1 AND coalesce(renditions ->> 'of', '') <> version || '.' || rendering""",
            image_id,
            json.dumps({"code": code, "message": message}),
        )
        await places.ensure_primary(gallery)
