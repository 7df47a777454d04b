"""The gallery's jobs. Payloads carry ids; each may run twice."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog

from portal import database
from portal.errors import NotFound
from portal.gallery.disposal import PURGE
from portal.gallery.renditions import fail_image, render_all
from portal.gallery.service import RENDER
from portal.gallery.trash import trash_tasks
from portal.imaging.pool import RenderPool
from portal.jobs.keeping import refuse_while_kept
from portal.jobs.progress import Later
from portal.jobs.queue import BULK, Task, enqueue
from portal.storage.cache import Cache
from portal.storage.keys import parse_key
from portal.storage.store import Store

log = structlog.get_logger()

PURGE_AT_ONCE: Final = 1000
PASS_SECONDS: Final = 600.0  # over a million pictures, with a disk that is busy


def gallery_tasks(store: Store, pool: RenderPool, cache: Cache | None = None) -> Mapping[str, Task]:
    return {
        RENDER: Task(partial(render_renditions, store=store, pool=pool), give_up=give_up_rendering, is_patient=True),
        PURGE: Task(partial(purge_or_wait, store=store, cache=cache), is_patient=True),
        **trash_tasks(),
    }


async def render_renditions(payload: dict[str, Any], *, store: Store, pool: RenderPool) -> None:
    await render_all(UUID(payload["image"]), store=store, pool=pool)


async def give_up_rendering(payload: dict[str, Any], reason: str) -> None:
    """Of the file for which the job was queued: another one that came meanwhile has a job of its own."""
    version = payload.get("version")
    try:
        message = f"The renditions could not be made. {reason}"
        await fail_image(UUID(payload["image"]), "failed", message, version=version)
    except NotFound:
        return  # deleted meanwhile


async def forgotten_images(only: UUID | None = None) -> dict[UUID, int]:
    """Those (or, of one alone, whether it is among them) that wait for renditions which no job is going to make: their
    first, or new ones (as for a focal point).

    Each with the version of its bytes.
    """
    one, values = ("", []) if only is None else ("image.id = $2 AND", [only])
    rows = await database.fetch(
        f"""SELECT image.id, image.version FROM image WHERE {one} status <> 'failed' AND error IS NULL
             AND coalesce(renditions ->> 'of', '') <> version || '.' || rendering AND NOT EXISTS (
             SELECT 1 FROM pgqueuer WHERE entrypoint = $1 AND status IN ('queued', 'picked')
               AND convert_from(payload, 'UTF8')::jsonb ->> 'image' = image.id::text)""",  # noqa: S608 - one of two constants
        RENDER,
        *values,
    )
    return {row["id"]: row["version"] for row in rows}


async def queue_forgotten_images() -> int:
    """How many there were. A worker that loses its database in the middle of a job may lose the job as well."""
    with database.patience(PASS_SECONDS):
        forgotten = await forgotten_images()
    for image_id, version in forgotten.items():
        async with database.transaction():
            await enqueue(RENDER, {"image": str(image_id), "version": version}, dedupe=f"render {image_id}")
    return len(forgotten)


async def purge_or_wait(payload: dict[str, Any], *, store: Store, cache: Cache | None = None) -> None:
    """While objects are kept in place one job waits for all that are deleted meanwhile."""
    try:
        await purge_objects(payload, store=store, cache=cache)
    except Later:
        if "waits" in payload:
            raise
        async with database.transaction():
            await enqueue(PURGE, {"waits": True}, priority=BULK, dedupe="purge later")


async def purge_objects(payload: dict[str, Any], *, store: Store, cache: Cache | None = None) -> None:
    """Remove the objects of deleted rows, and with an original what is cached of it; then forget their keys. Raises Later."""
    while await database.fetch_value("SELECT EXISTS (SELECT FROM object_purge)"):
        async with database.transaction():
            await refuse_while_kept()
            # read only now: what a restore has just brought back is not noted any more; and held, lest what comes back to
            # this key meanwhile (a picture that was moved there and back) be taken away
            rows = await database.fetch(
                "SELECT pk, key FROM object_purge ORDER BY pk LIMIT $1 FOR UPDATE", PURGE_AT_ONCE
            )
            await store.delete(row["key"] for row in rows)
            if cache is not None:
                await _forget_cached([row["key"] for row in rows], cache)
            await database.execute("DELETE FROM object_purge WHERE pk = ANY($1::bigint[])", [row["pk"] for row in rows])


async def _forget_cached(keys: list[str], cache: Cache) -> None:
    """What the cache does not let go of is swept with its hours: nobody is shown it, and the keys must not wait for it."""
    for said in map(parse_key, keys):
        if said is not None and said.is_original:
            try:
                await cache.forget(said.entity_type, said.image_id)
            except OSError as error:
                log.warning("cached files stay", image=str(said.image_id), cause=repr(error))
