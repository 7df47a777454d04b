"""Other bytes for a picture: id, place, text and links stay. What it had before is kept, and can come back."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.errors import Conflict, Gone, NotFound
from portal.gallery import places
from portal.gallery.arrivals import announce_original, is_spoken_for
from portal.gallery.disposal import KEPT, drop_old_versions
from portal.gallery.forms import ReceivedPicture
from portal.gallery.holds import versions_pinned_of
from portal.gallery.intake import Rules, refuse_when_disk_is_full, verify_upload
from portal.gallery.service import lock_image, queue_rendering, refuse_duplicate, refuse_stale
from portal.gallery.views import FocalPoint, Recipe, RenditionView, decoded, rendition_views
from portal.imaging.formats import clean_filename
from portal.imaging.pool import RenderPool
from portal.paging import Page, decode_cursor, encode_cursor
from portal.storage.keys import original_key
from portal.storage.links import Links
from portal.storage.store import KeyTaken, Store
from portal.tables import Image

_OF_BYTES: Final = "filename media_type extension bytes width height frames sha256 placeholder exif fingerprint".split()
_WANTED: Final = "edits focal_x focal_y".split()
_FACTS: Final = ", ".join([*_OF_BYTES, *_WANTED, "rendering", "uploaded_by"])
# While new renditions are made an image still shows those of the version before: they are that one's.
_OWN_RENDITIONS: Final = (
    "CASE WHEN split_part(renditions ->> 'of', '.', 1) = version::text THEN renditions ELSE '{}' END AS renditions"
)
_SINCE: Final = (
    "coalesce((SELECT max(replaced_at) FROM image_version WHERE image_version.image = image.id), image.created_at)"
)


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of an image's bytes, with what was wanted of them. `renditions` is empty where none were made.

    `replaced_at` is null for the current one; `created_at` is when these bytes became the image's. One that `is_pinned` is
    shown by an invoice, and kept beyond the ten.
    """

    version: int
    is_current: bool
    is_pinned: bool
    filename: str
    media_type: str
    bytes: int
    width: int
    height: int
    frames: int
    sha256: str
    edits: dict[str, Any]
    focal_point: FocalPoint | None
    placeholder: str | None
    renditions: dict[str, RenditionView]
    uploaded_by: str | None
    created_at: dt.datetime
    replaced_at: dt.datetime | None


async def versions_of(image_id: UUID, *, links: Links, cursor: str | None = None, limit: int = 50) -> Page[VersionView]:
    """Newest first, the current one included. Raises NotFound, FormError for a foreign cursor."""
    before = decode_cursor(cursor, [int])
    rows = await database.fetch(
        f"""SELECT entity.type, version, true AS is_current, {_FACTS}, {_OWN_RENDITIONS}, {_SINCE} AS created_at,
                   NULL AS replaced_at
            FROM image JOIN entity ON entity.pk = image.entity WHERE image.id = $1
            UNION ALL
            SELECT NULL, version, false, {_FACTS}, renditions, created_at, replaced_at
            FROM image_version WHERE image = $1 ORDER BY version DESC""",  # noqa: S608 - constant columns
        image_id,
    )
    if not rows:
        raise NotFound("There is no picture with this id.")
    wanted = [row for row in rows if before is None or row["version"] < before[0]]
    pinned = await versions_pinned_of(image_id)
    about = (image_id, rows[0]["type"], pinned, links, time.time())
    shown = [_version_view(row, *about) for row in wanted[:limit]]
    following = encode_cursor([shown[-1].version]) if len(wanted) > limit else None
    return Page(shown, len(rows), following)


def _version_view(
    row: Mapping[str, Any], image_id: UUID, entity_type: str, pinned: Collection[int], links: Links, now: float
) -> VersionView:
    return VersionView(
        version=row["version"],
        is_current=row["is_current"],
        is_pinned=row["version"] in pinned,
        filename=row["filename"],
        media_type=row["media_type"],
        bytes=row["bytes"],
        width=row["width"],
        height=row["height"],
        frames=row["frames"],
        sha256=row["sha256"],
        edits=decoded(row["edits"]) or {},
        focal_point=None if row["focal_x"] is None else FocalPoint(row["focal_x"], row["focal_y"]),
        placeholder=row["placeholder"],
        renditions=rendition_views(image_id, decoded(row["renditions"]), entity_type, links, now),
        uploaded_by=row["uploaded_by"],
        created_at=row["created_at"],
        replaced_at=row["replaced_at"],
    )


async def replace_file(
    image_id: UUID,
    received: ReceivedPicture,
    *,
    rules: Rules,
    store: Store,
    pool: RenderPool,
    actor: Actor,
    deletes_per_hour: int,
    allow_duplicate: bool = False,
    revision: int | None = None,
) -> bool:
    """Verify, store the bytes, then row and job in one transaction. False, and harmless, when these are the bytes it has.

    Raises FileRefused, NotFound, Stale, Conflict for what is in the trash, Duplicate (with `image_id`), RateLimited, Busy,
    DiskFull, Unavailable; then all stays as it was.
    """
    if not await _wants(image_id, received, allow_duplicate, revision):
        return False
    verified = await verify_upload(received, rules, pool)
    facts = {
        "filename": clean_filename(received.filename),
        "media_type": verified.media_type,
        "extension": verified.extension,
        "bytes": received.bytes,
        "width": verified.width,
        "height": verified.height,
        "frames": verified.frames,
        "sha256": received.sha256,
        "placeholder": verified.placeholder,
        "exif": json.dumps(verified.exif),
        "fingerprint": verified.fingerprint,
        **dict.fromkeys(("focal_x", "focal_y")),  # they belonged to other pixels
        "edits": "{}",
        "uploaded_by": actor.name,
    }
    async with store.turn(), database.transaction():
        await announce_original(image_id)
        gallery = await places.lock_gallery_of(image_id)
        if not await _wants(image_id, received, allow_duplicate, revision):
            return False
        row = await lock_image(image_id, None)
        await drop_old_versions(gallery.ref.type, image_id, KEPT - 1, actor=actor, deletes_per_hour=deletes_per_hour)
        version = await _stored_as(gallery, row, verified.extension, store, lambda key: store.adopt(received.path, key))
        await _become(gallery, row, version, facts, actor, "image.replace", {})
    return True


async def _wants(image_id: UUID, received: ReceivedPicture, allow_duplicate: bool, revision: int | None) -> bool:
    """False when the image has these bytes. Asked before the costly decoding, and again under the lock."""
    row = await database.fetch_row("SELECT entity, sha256, revision, trashed_at FROM image WHERE id = $1", image_id)
    if row is None:
        raise NotFound("There is no picture with this id.")
    _refuse_trashed(row)
    if row["sha256"] == received.sha256:
        return False  # also with an old revision: a PUT that is sent again, because its answer was lost, did its work
    refuse_stale(row, revision)
    if not allow_duplicate:
        await refuse_duplicate(row["entity"], received.sha256, besides=image_id)  # it may have got them just now
    return True


def _refuse_trashed(row: Mapping[str, Any]) -> None:
    if row["trashed_at"] is not None:
        raise Conflict("This picture is in the trash. Restore it first.")


async def restore_version(
    image_id: UUID,
    version: int,
    *,
    store: Store,
    actor: Actor,
    deletes_per_hour: int,
    floor: int,
    revision: int | None = None,
) -> bool:
    """The bytes of an old version, with its edits and focal point, as a new version; the old one stays where it is.

    False, and harmless, when the image has all this already. Raises NotFound, Stale, Conflict for what is in the trash,
    RateLimited, Gone when the bytes are lost or damaged, DiskFull when fewer than `floor` bytes would stay free.
    """
    async with store.turn(), database.transaction():
        await announce_original(image_id)
        gallery = await places.lock_gallery_of(image_id)
        row = await lock_image(image_id, revision)
        _refuse_trashed(row)
        if version == row["version"]:
            return False
        old = await database.fetch_row(
            f"SELECT {_FACTS} FROM image_version WHERE image = $1 AND version = $2",  # noqa: S608 - constant columns
            image_id,
            version,
        )
        if old is None:
            raise NotFound("This version is not kept (any more).")
        if old["sha256"] == row["sha256"] and Recipe.of_row(old) == Recipe.of_row(row):
            return False
        await refuse_when_disk_is_full(store, floor, old["bytes"])
        data = await _whole(store, original_key(gallery.ref.type, image_id, version, old["extension"]), old["sha256"])
        limits: dict[str, Any] = {"actor": actor, "deletes_per_hour": deletes_per_hour, "but": version}
        await drop_old_versions(gallery.ref.type, image_id, KEPT - 1, **limits)
        number = await _stored_as(gallery, row, old["extension"], store, lambda key: store.put_new(key, data))
        facts = {name: old[name] for name in (*_OF_BYTES, *_WANTED, "uploaded_by")}
        await _become(gallery, row, number, facts, actor, "image.restore_version", {"restored": version})
    return True


async def _whole(store: Store, key: str, sha256: str) -> bytes:
    data = await store.read(key)
    if await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest()) != sha256:
        raise Gone("The bytes of this version are damaged. It has to be healed from a backup.")
    return data


async def _stored_as(
    gallery: places.LockedGallery,
    row: Mapping[str, Any],
    extension: str,
    store: Store,
    storing: Callable[[str], Coroutine[Any, Any, None]],
) -> int:
    """The version under whose key the bytes were stored: the next one whose number nobody has, not a restore either.

    The lock alone does not keep others off: it ends with our connection to the database, and they may be there before us.
    Nobody's bytes are removed here: those that a killed try left behind have no row and are swept.
    """
    for version in itertools.count(row["version"] + 1):
        if await is_spoken_for(gallery.ref.type, row["id"], version, extension, store):
            continue
        key = original_key(gallery.ref.type, row["id"], version, extension)
        with contextlib.suppress(KeyTaken):
            await _to_its_end(storing(key), key, store)
            return version
    raise AssertionError("numbers do not end")


async def _to_its_end(storing: Coroutine[Any, Any, None], key: str, store: Store) -> None:
    """Also when who waits is sent away: what the thread has stored by then is taken away again."""
    task = asyncio.ensure_future(storing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if task.exception() is None:
            await store.delete([key])
        raise


async def _become(
    gallery: places.LockedGallery,
    row: dict[str, Any],
    version: int,
    facts: dict[str, Any],
    actor: Actor,
    action: str,
    more: dict[str, Any],
) -> None:
    """The image has these bytes, which lie under this version's key; what it had becomes an old version."""
    image_id = row["id"]
    await database.execute(
        f"""INSERT INTO image_version (image, version, {_FACTS}, renditions, created_at, replaced_at)
            SELECT id, version, {_FACTS}, {_OWN_RENDITIONS}, {_SINCE}, clock_timestamp() FROM image WHERE id = $1""",  # noqa: S608 - constant columns
        image_id,
    )
    values: dict[Any, Any] = {
        **facts,
        "version": version,
        "rendering": 1,
        "status": "ready" if row["status"] == "ready" else "pending",
        "error": None,
        "tries": 0,
        "revision": row["revision"] + 1,
        "updated_at": dt.datetime.now(dt.UTC),
    }
    await Image.update(values).where(Image.id == image_id)
    said = ("filename", "sha256", "bytes")
    before = {"version": row["version"], **{name: row[name] for name in said}}
    after = {"version": version, **{name: facts[name] for name in said}, **more}
    await record(actor, action, "image", str(image_id), before=before, after=after)
    await queue_rendering(image_id, version)
