"""What one does to pictures. Each verb is one transaction with its line in the audit; none knows HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, Duplicate, FormError, NotFound, PortalError, Stale
from portal.gallery import places
from portal.gallery.arrivals import announce_original
from portal.gallery.forms import PictureFields, ReceivedPicture
from portal.gallery.intake import Rules, verify_upload
from portal.idempotency import Claim, remember
from portal.imaging.edits import Edits, check_size, edits_of
from portal.imaging.formats import clean_filename
from portal.imaging.pool import RenderPool
from portal.imaging.verify import Verified
from portal.jobs.queue import BULK, URGENT, USUAL, enqueue
from portal.storage.keys import original_key
from portal.storage.store import Store
from portal.tables import Image

log = structlog.get_logger()

RENDER: Final = "render"
_JSON_COLUMNS: Final = frozenset({"attributes", "edits"})
CROWD: Final = 12  # pictures of one sender that wait in one gallery; those beyond are bulk


async def add_image(
    ref: EntityRef,
    received: ReceivedPicture,
    fields: PictureFields,
    *,
    rules: Rules,
    store: Store,
    pool: RenderPool,
    actor: Actor,
    claim: Claim | None = None,
    part: str = "0",
    priority: int = USUAL,
) -> UUID:
    """Verify, store the bytes, then row and job in one transaction; the id is durable when this returns.

    With a `claim`, a part that an interrupted first try had stored already gives its id again.
    Raises FileRefused, NoSuchEntity, Duplicate (with `image_id`), FormError (edits that leave nothing), Busy, DiskFull,
    Unavailable; then nothing is kept.
    """
    if claim is not None and part in claim.stored:
        return UUID(claim.stored[part])
    await _refuse_early(ref, received, fields)
    verified = await verify_upload(received, rules, pool)
    check_edits(fields.more, (verified.width, verified.height))
    image_id = uuid7()
    key = original_key(ref.type, image_id, 1, verified.extension)
    async with store.turn(), database.transaction():
        await announce_original(image_id)
        try:
            await store.adopt(received.path, key)
            await _insert(ref, image_id, received, fields, verified, actor, priority)
            await remember(claim, part, str(image_id))
        except PortalError:
            await store.delete([key])  # under the lock still: a check must not see bytes that are on their way out
            raise
    # Any other error leaves the bytes: whether the commit went through is unknown, and the sweep knows how to tell.
    return image_id


async def _refuse_early(ref: EntityRef, received: ReceivedPicture, fields: PictureFields) -> None:
    """Before the costly decoding; decided again, under the lock, when the row is written."""
    row = await database.fetch_row("SELECT pk FROM entity WHERE type = $1 AND id = $2", ref.type, ref.id)
    if row is None:
        await places.lock_gallery(ref)  # says it in the one place that knows the words
    elif not fields.allow_duplicate:
        await refuse_duplicate(row["pk"], received.sha256)


async def refuse_duplicate(entity: int, sha256: str, *, besides: UUID | None = None) -> None:
    """Raises Duplicate when a picture of this gallery, `besides` this one, has the same bytes; the trash does not count."""
    there = await database.fetch_value(
        """SELECT id FROM image WHERE entity = $1 AND sha256 = $2 AND trashed_at IS NULL AND id IS DISTINCT FROM $3
           LIMIT 1""",
        entity,
        sha256,
        besides,
    )
    if there is not None:
        raise Duplicate("Already in this gallery: the two files are the same, byte for byte.", image_id=str(there))


async def _insert(
    ref: EntityRef,
    image_id: UUID,
    received: ReceivedPicture,
    fields: PictureFields,
    verified: Verified,
    actor: Actor,
    priority: int,
) -> None:
    gallery = await places.lock_gallery(ref)
    if not fields.allow_duplicate:
        await refuse_duplicate(gallery.pk, received.sha256)
    filename = clean_filename(received.filename)
    priority = await _turn_of(priority, gallery.pk, actor)
    await Image.insert(
        Image(
            id=image_id,
            entity=gallery.pk,
            filename=filename,
            media_type=verified.media_type,
            extension=verified.extension,
            bytes=received.bytes,
            width=verified.width,
            height=verified.height,
            frames=verified.frames,
            sha256=received.sha256,
            alt_text=fields.alt_text,
            caption=fields.caption,
            tags=list(fields.tags),
            sort_order=await places.next_place(gallery),
            placeholder=verified.placeholder,
            fingerprint=verified.fingerprint,
            exif=json.dumps(verified.exif),
            uploaded_by=actor.name,
            **fields.more,
        )
    )
    if fields.is_primary:
        await places.set_primary(gallery, image_id)
    await places.ensure_primary(gallery)
    after = {"entity": str(ref), "filename": filename, "sha256": received.sha256, "bytes": received.bytes}
    await record(actor, "image.add", "image", str(image_id), after=after)
    await queue_rendering(image_id, 1, priority)


async def queue_rendering(image_id: UUID, version: int, priority: int = URGENT) -> None:
    """Of what is wanted when the job runs; `version` says whose fault it is when no run of it comes to an end."""
    await enqueue(RENDER, {"image": str(image_id), "version": version}, priority=priority)


async def _turn_of(priority: int, entity: int, actor: Actor) -> int:
    """What is many does not hold up what is few: a single picture overtakes the rest of three hundred."""
    if not BULK < priority <= URGENT:
        return priority
    crowd = await database.fetch_value(
        """SELECT count(*) FROM (SELECT 1 FROM image WHERE status IN ('pending', 'processing')
           AND entity = $1 AND uploaded_by = $2 LIMIT $3) AS waiting""",
        entity,
        actor.name,
        CROWD,
    )
    return priority if crowd < CROWD else BULK


async def change_image(image_id: UUID, changes: dict[str, Any], *, actor: Actor, revision: int | None = None) -> None:
    """Write the columns in `changes` (from forms.read_metadata). Raises NotFound, Stale, Conflict, FormError.

    A new focal point or new edits queue a new rendering; the last whole renditions serve until it is there.
    """
    async with database.transaction():
        gallery = await places.lock_gallery_of(image_id)
        row = await lock_image(image_id, revision)
        await _apply(gallery, row, dict(changes), actor)


async def edit_image(
    image_id: UUID, change: Callable[[Edits], Edits], *, actor: Actor, revision: int | None = None
) -> None:
    """New edits computed from those that stand (as a turn of what people see). Raises as `change_image` does."""
    async with database.transaction():
        gallery = await places.lock_gallery_of(image_id)
        row = await lock_image(image_id, revision)
        wanted = change(edits_of(_plain(row["edits"])))
        await _apply(gallery, row, {"edits": json.dumps(wanted.stored())}, actor)


async def lock_image(image_id: UUID, revision: int | None) -> dict[str, Any]:
    """The whole row, held by the open transaction. Raises NotFound; Stale when `revision` is given and is another one."""
    row = await Image.select().where(Image.id == image_id).first().lock_rows("UPDATE")
    if row is None:
        raise NotFound("There is no picture with this id.")
    refuse_stale(row, revision)
    return row


def refuse_stale(row: Mapping[str, Any], revision: int | None) -> None:
    if revision is not None and revision != row["revision"]:
        raise Stale("Somebody changed this picture in the meantime. Look at it again before you save.")


async def _apply(gallery: places.LockedGallery, row: dict[str, Any], changes: dict[str, Any], actor: Actor) -> None:
    image_id: UUID = row["id"]
    check_edits(changes, (row["width"], row["height"]))
    primary = changes.pop("is_primary", None)
    if primary is not None and primary != row["is_primary"]:
        if not primary:
            raise Conflict("One picture of a gallery is always the primary one. Make another one primary instead.")
        await _become_primary(gallery, row, actor)
    before = {name: _told(name, row[name]) for name in changes}
    after = {name: _told(name, value) for name, value in changes.items()}
    if before == after:
        return
    if any(before.get(name) != after.get(name) for name in ("focal_x", "focal_y", "edits")):
        # a new chance, also where the rendering before failed
        status = "pending" if row["status"] == "failed" else row["status"]
        changes |= {"rendering": row["rendering"] + 1, "status": status, "error": None, "tries": 0}
        await queue_rendering(image_id, row["version"])
    values: dict[Any, Any] = {**changes, "revision": row["revision"] + 1, "updated_at": datetime.now(UTC)}
    await Image.update(values).where(Image.id == image_id)
    await record(actor, "image.describe", "image", str(image_id), before=before, after=after)


def check_edits(changes: Mapping[str, Any], size: tuple[int, int]) -> None:
    """Do they leave something of a picture of this size? Raises FormError."""
    try:
        check_size(edits_of(_plain(changes.get("edits"))), size)
    except ValueError as error:
        raise FormError({"edits": str(error)}) from error


def _told(column: str, value: Any) -> Any:
    """What a person has written stays a text, also where it reads as JSON."""
    return _plain(value) if column in _JSON_COLUMNS else value


def _plain(value: Any) -> Any:
    """Columns of JSON come as text; the audit wants what they say."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


async def _become_primary(gallery: places.LockedGallery, row: dict[str, Any], actor: Actor) -> None:
    if row["trashed_at"] is not None:
        raise Conflict("This picture is in the trash. Restore it first.")
    before = await database.fetch_value("SELECT id FROM image WHERE entity = $1 AND is_primary", gallery.pk)
    await places.set_primary(gallery, row["id"])
    await record(
        actor,
        "image.primary",
        "image",
        str(row["id"]),
        before={"primary": str(before) if before else None},
        after={"primary": str(row["id"])},
    )


async def reorder_gallery(ref: EntityRef, ids: list[UUID], *, actor: Actor) -> None:
    """Raises NoSuchEntity, or Conflict unless `ids` are all of the gallery's images, each once."""
    async with database.transaction():
        gallery = await places.lock_gallery(ref)
        before = await places.ids_in_order(gallery)
        if len(ids) != len(before) or set(ids) != set(before):
            raise Conflict("The gallery has changed in the meantime: send the ids of all its pictures, each once.")
        if ids == before:
            return
        await places.put_in_order(gallery, ids)
        await record(
            actor,
            "image.reorder",
            "entity",
            str(ref),
            before={"ids": [str(each) for each in before]},
            after={"ids": [str(each) for each in ids]},
        )


async def retry_image(image_id: UUID, *, actor: Actor) -> None:
    """Queue an image again whose rendering failed, also where older renditions are still shown. Raises NotFound; harmless
    for one that did not fail."""
    async with database.transaction():
        await places.lock_gallery_of(image_id)
        version = await database.fetch_value(
            """UPDATE image SET status = CASE status WHEN 'failed' THEN 'pending' ELSE status END,
                      error = NULL, tries = 0, updated_at = now()
               WHERE id = $1 AND (status = 'failed' OR error IS NOT NULL) RETURNING version""",
            image_id,
        )
        if version is not None:
            await record(actor, "image.retry", "image", str(image_id))
            await queue_rendering(image_id, version)
            await forget_given_up()


async def forget_given_up() -> int:
    """The queue keeps the renderings that it gave up; not of a picture that is tried again, is well, or is gone."""
    return await database.execute(
        """DELETE FROM pgqueuer WHERE status = 'failed' AND entrypoint = $1 AND NOT EXISTS (
               SELECT 1 FROM image WHERE image.id = (convert_from(pgqueuer.payload, 'UTF8')::jsonb ->> 'image')::uuid
               AND (image.status = 'failed' OR image.error IS NOT NULL))""",
        RENDER,
    )
