"""Rendering an image: find what is wanted, make all of it, and let the new set live only when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog

from portal import database
from portal.errors import Conflict, FileRefused, Gone, NotFound
from portal.gallery import places
from portal.gallery.disposal import keys_of_set, purge_after_commit
from portal.gallery.holds import is_kept
from portal.gallery.presets import changes_in_force, hold_presets
from portal.gallery.service import queue_rendering
from portal.gallery.views import Recipe, decoded
from portal.imaging.placeholder import data_url
from portal.imaging.pool import RenderPool
from portal.imaging.presets import READY
from portal.imaging.render import PLACEHOLDER, Rendered
from portal.jobs.queue import BULK
from portal.storage.keys import original_key, rendition_key
from portal.storage.store import Store

log = structlog.get_logger()

_TRIES: Final = 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One rendering of one version of an image."""

    image_id: UUID
    entity_type: str
    version: int
    rendering: int
    recipe: Recipe

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
    recipe = wanted.recipe
    original = original_key(wanted.entity_type, image_id, wanted.version, recipe.extension)
    try:
        if await store.size(original) is None:
            raise Gone("The original is missing from the store.")
        *rendered, placeholder = await pool.render(
            store.path_of(original),
            (*READY, PLACEHOLDER),
            recipe.focal_point,
            recipe.edits,
            changes=recipe.presets,
        )
    except (FileRefused, Gone) as error:
        log.warning("a picture cannot be rendered", image=str(image_id), code=error.code, cause=repr(error.__cause__))
        await fail_image(image_id, error.code, error.message, of=wanted.of)
        return
    items = [(_key(wanted, each.name), each.data) for each in rendered]
    await store.put_many(items)
    if not await _while_it_moves(lambda: _finish(wanted, rendered, data_url(placeholder.data))):
        await _while_it_moves(lambda: _let_go(wanted, [key for key, _ in items]))


async def _while_it_moves(step: Callable[[], Awaitable[T]]) -> T:
    """Tried anew where the picture is just being moved: nobody else knows of these objects. Each try waits for the gallery that
    it has come to."""
    for _ in range(_TRIES):
        with contextlib.suppress(Conflict):
            return await step()
    return await step()


async def _let_go(wanted: Wanted, keys: list[str]) -> None:
    """Deleted, moved or wanted differently by now: another job makes that, and nobody else knows of these objects."""
    async with database.transaction():
        with contextlib.suppress(NotFound):
            await places.lock_gallery_of(wanted.image_id)  # else it might come back to these keys while we look
        if not await _is_live(wanted):
            await purge_after_commit(keys)


async def _is_live(wanted: Wanted) -> bool:
    """Has another run of the same job let this very set live, before something else was wanted? It may be kept since."""
    row = await database.fetch_row(
        "SELECT renditions ->> 'of' AS of, type FROM image JOIN entity ON pk = entity WHERE image.id = $1",
        wanted.image_id,
    )
    if row is None or row["type"] != wanted.entity_type:
        return False
    return row["of"] == wanted.of or await is_kept(wanted.image_id, wanted.of)


def _key(wanted: Wanted, name: str) -> str:
    return rendition_key(wanted.entity_type, wanted.image_id, wanted.version, wanted.rendering, name)


async def _begin(image_id: UUID) -> Wanted | None:
    """None when the image is gone or has what it wants."""
    row = await database.fetch_row(
        """UPDATE image SET status = CASE status WHEN 'ready' THEN 'ready' ELSE 'processing' END, tries = tries + 1
           FROM entity WHERE image.id = $1 AND entity.pk = image.entity AND image.status <> 'failed'
             AND coalesce(image.renditions ->> 'of', '') <> image.version || '.' || image.rendering
           RETURNING entity.type, version, rendering, extension, focal_x, focal_y, edits""",
        image_id,
    )
    if row is None:
        return None
    recipe = replace(Recipe.of_row(row), presets=await changes_in_force())
    return Wanted(image_id, row["type"], row["version"], row["rendering"], recipe)


async def _finish(wanted: Wanted, rendered: list[Rendered], placeholder: str) -> bool:
    """Let the new set live; False when the image does not want it (any more)."""
    items = {each.name: _described(each) for each in rendered}
    live = {"of": wanted.of, "made_of": wanted.recipe.stored(), "items": items}
    async with database.transaction():
        try:
            gallery = await places.lock_gallery_of(wanted.image_id)
        except NotFound:
            return False
        # asked under the lock: who held it before may have wanted something else
        row = await database.fetch_row(
            "SELECT renditions FROM image WHERE id = $1 AND version = $2 AND rendering = $3",
            wanted.image_id,
            wanted.version,
            wanted.rendering,
        )
        if row is None or gallery.ref.type != wanted.entity_type:
            return False
        await database.execute(
            """UPDATE image SET renditions = $2::jsonb, placeholder = $3, status = 'ready', error = NULL,
                      updated_at = now() WHERE id = $1""",
            wanted.image_id,
            json.dumps(live),
            placeholder,
        )
        before = decoded(row["renditions"])
        if before and before["of"] != wanted.of and not await is_kept(wanted.image_id, before["of"]):
            await purge_after_commit(keys_of_set(wanted.entity_type, wanted.image_id, before))
        await places.ensure_primary(gallery)
        await _want_again_if_outdated(wanted)
    return True


async def _want_again_if_outdated(wanted: Wanted) -> None:
    """A set whose presets were changed while it was made serves until there is one by those in force."""
    await hold_presets()
    if await changes_in_force() != wanted.recipe.presets:
        await database.execute("UPDATE image SET rendering = rendering + 1 WHERE id = $1", wanted.image_id)
        await queue_rendering(wanted.image_id, wanted.version, BULK)


def _described(each: Rendered) -> dict[str, Any]:
    return {
        "width": each.width,
        "height": each.height,
        "bytes": len(each.data),
        "sha256": hashlib.sha256(each.data).hexdigest(),
        "media_type": each.media_type,
    }


async def fail_image(
    image_id: UUID, code: str, message: str, *, of: str | None = None, version: int | None = None
) -> None:
    """Mark an image that never was ready as failed; one that is ready keeps its last whole renditions.

    Where another run of the job has made what is wanted, or by now something else is wanted than this rendering (`of`),
    another file than of this `version`, nothing failed.
    """
    async with database.transaction():
        gallery = await places.lock_gallery_of(image_id)
        await database.execute(
            """UPDATE image SET status = CASE WHEN renditions = '{}' THEN 'failed' ELSE status END,
                      error = $2::jsonb, updated_at = now()
               WHERE id = $1 AND coalesce(renditions ->> 'of', '') <> version || '.' || rendering
                 AND coalesce($3, version || '.' || rendering) = version || '.' || rendering
                 AND coalesce($4::int, version) = version""",
            image_id,
            json.dumps({"code": code, "message": message}),
            of,
            version,
        )
        await places.ensure_primary(gallery)
