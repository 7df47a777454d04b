"""Copies of pictures for another entity: pictures of their own, with the same file and words, whose renditions are made anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from portal import database
from portal.audit.service import record_many
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, Gone, NoSuchEntity, NotFound, PortalError
from portal.gallery import batch, places
from portal.gallery.arrivals import announce_originals
from portal.gallery.batch import Errors, Outcome
from portal.gallery.batch_moves import FAR_AT_ONCE, Moving, portions, refusals_of
from portal.gallery.intake import refuse_when_disk_is_full
from portal.gallery.service import RENDER
from portal.jobs.queue import BULK, enqueue_many
from portal.storage.copies import Copy, copy_objects
from portal.storage.keys import original_key

_TAKEN: Final = """filename, media_type, extension, bytes, width, height, frames, sha256, alt_text, decorative, caption, tags,
    focal_x, focal_y, edits, placeholder, attributes, exif, fingerprint"""


async def copy_many(ids: Sequence[UUID], target: EntityRef, how: Moving) -> list[Outcome]:
    """Each an outcome with the copy's id, in the order of `ids`. Raises NoSuchEntity."""
    errors: Errors = {}
    made: dict[UUID, UUID] = {}
    for some in portions(ids, FAR_AT_ONCE):
        try:
            errors |= await _copy(some, target, how, made)
        except NoSuchEntity:
            raise
        except PortalError as error:
            errors |= dict.fromkeys(some, error)
    return batch.outcomes_of(ids, errors, made)


async def _copy(ids: Sequence[UUID], target: EntityRef, how: Moving, made: dict[UUID, UUID]) -> Errors:
    """Notes in `made` what was copied."""
    copies = {each: uuid7() for each in ids}
    keys: dict[UUID, str] = {}
    async with how.store.turn(), database.transaction():
        await announce_originals(copies.values())
        gallery = await places.lock_gallery(target)
        rows = await _sources_of(ids)
        errors = {each: NotFound("There is no picture with this id.") for each in ids if each not in rows}
        errors |= await refusals_of(list(rows.values()), gallery, how)
        try:
            for row in (row for each, row in rows.items() if each not in errors):
                key = keys[row["id"]] = original_key(target.type, copies[row["id"]], 1, row["extension"])
                try:
                    await _copy_bytes(row, key, how)
                except Gone as error:
                    errors[row["id"]] = error
            going = {each: copies[each] for each in keys if each not in errors}
            inserted = await _insert(going, rows, gallery, how)
            for each in going.keys() - inserted:
                errors[each] = Conflict("This picture was changed or deleted while it was copied. Try again.")
            await how.store.delete([keys[each] for each in keys if each in errors])
        except PortalError:
            await how.store.delete(
                keys.values()
            )  # under the lock still: a check must not see bytes that are on their way out
            raise
    made |= {each: copies[each] for each in inserted}
    return errors


async def _sources_of(ids: Sequence[UUID]) -> dict[UUID, Mapping[str, Any]]:
    rows = await database.fetch(
        """SELECT image.id, type, version, extension, bytes, width, height, sha256, trashed_at FROM image
           JOIN entity ON pk = entity WHERE image.id = ANY($1::uuid[])""",
        list(ids),
    )
    found = {row["id"]: row for row in rows}
    return {each: found[each] for each in ids if each in found}


async def _copy_bytes(row: Mapping[str, Any], key: str, how: Moving) -> None:
    """Raises Gone, DiskFull."""
    await refuse_when_disk_is_full(how.store, how.floor, row["bytes"])
    source = original_key(row["type"], row["id"], row["version"], row["extension"])
    await copy_objects(how.store, [Copy(source, key, row["sha256"])])


async def _insert(
    copies: Mapping[UUID, UUID], rows: Mapping[UUID, Mapping[str, Any]], gallery: places.LockedGallery, how: Moving
) -> set[UUID]:
    """Of which pictures: a source may have got another file, or gone, while its bytes were copied."""
    inserted = await database.fetch(
        f"""INSERT INTO image (id, entity, sort_order, uploaded_by, {_TAKEN})
            SELECT wanted.copy, $4, $5::int + n - 1, $6, {_TAKEN}
            FROM unnest($1::uuid[], $2::uuid[], $3::int[]) WITH ORDINALITY AS wanted (copy, source, of_version, n)
            JOIN image ON image.id = wanted.source AND image.version = wanted.of_version ORDER BY n RETURNING id""",  # noqa: S608 - constant columns
        list(copies.values()),
        list(copies),
        [rows[each]["version"] for each in copies],
        gallery.pk,
        await places.next_place(gallery),
        how.actor.name,
    )
    ids = {row["id"] for row in inserted}
    await places.put_in_order(gallery, await places.ids_in_order(gallery))
    await places.ensure_primary(gallery)
    come = {each: copy for each, copy in copies.items() if copy in ids}
    told = {str(copy): (None, _told(rows[each], gallery)) for each, copy in come.items()}
    await record_many(how.actor, "image.copy", "image", told)
    await enqueue_many(RENDER, [{"image": str(copy), "version": 1} for copy in come.values()], priority=BULK)
    return set(come)


def _told(source: Mapping[str, Any], gallery: places.LockedGallery) -> dict[str, Any]:
    said = {"entity": str(gallery.ref), "copy_of": str(source["id"])}
    return said | {name: source[name] for name in ("sha256", "bytes")}
