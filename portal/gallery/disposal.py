"""Trash, restore and delete. Rows go first; bytes follow after the commit, by the `purge` job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, RateLimited
from portal.gallery import holds, places
from portal.gallery.views import decoded, rendition_of
from portal.imaging.presets import PRESETS
from portal.jobs.queue import URGENT, enqueue
from portal.storage.keys import original_key, rendition_key

PURGE: Final = "purge"
KEPT: Final = 10  # old versions of an image, beside those that a pin holds
_COLUMNS: Final = "id, extension, version, rendering, renditions, sort_order, is_primary, trashed_at, filename, sha256"


async def trash_image(image_id: UUID, *, actor: Actor, deletes_per_hour: int) -> None:
    """Out of gallery, order and count; the next image becomes primary. Harmless when it is there already.

    Raises NotFound, RateLimited.
    """
    async with database.transaction():
        gallery = await places.lock_gallery_of(image_id)
        row = await database.fetch_row(f"SELECT {_COLUMNS} FROM image WHERE id = $1 FOR UPDATE", image_id)  # noqa: S608 - constant columns
        if row is None or row["trashed_at"] is not None:
            return
        await refuse_too_many(actor, 1, deletes_per_hour)
        await database.execute(
            """UPDATE image SET trashed_at = now(), last_order = sort_order, sort_order = NULL,
                      was_primary = is_primary, is_primary = false, revision = revision + 1, updated_at = now()
               WHERE id = $1""",
            image_id,
        )
        await places.close_gap(gallery, row["sort_order"])
        await places.ensure_primary(gallery)
        before = {"sort_order": row["sort_order"], "is_primary": row["is_primary"]}
        await record(actor, "image.trash", "image", str(image_id), before=before)


async def restore_image(image_id: UUID, *, actor: Actor) -> None:
    """Back to its place, and primary if it was. Harmless when it is not in the trash. Raises NotFound."""
    async with database.transaction():
        gallery = await places.lock_gallery_of(image_id)
        row = await database.fetch_row(
            "SELECT last_order, was_primary FROM image WHERE id = $1 AND trashed_at IS NOT NULL FOR UPDATE", image_id
        )
        if row is None:
            return
        place = min(row["last_order"], await places.next_place(gallery))
        await places.open_gap(gallery, place)
        await database.execute(
            """UPDATE image SET trashed_at = NULL, sort_order = $2, was_primary = false,
                      revision = revision + 1, updated_at = now() WHERE id = $1""",
            image_id,
            place,
        )
        if row["was_primary"]:
            await places.set_primary(gallery, image_id)
        await places.ensure_primary(gallery)
        await record(actor, "image.restore", "image", str(image_id), after={"sort_order": place})


async def delete_image(
    image_id: UUID, *, actor: Actor, deletes_per_hour: int, only_from_trash: bool = False, force: bool = False
) -> None:
    """Gone for good: row now, bytes within seconds; `force`, for admins, takes it off the invoices that are pinned to it.

    Raises NotFound, RateLimited, Pinned, Forbidden; Conflict with `only_from_trash`.
    """
    async with database.transaction():
        gallery = await places.lock_gallery_of(image_id)
        rows = await database.fetch(f"SELECT {_COLUMNS} FROM image WHERE id = $1 FOR UPDATE", image_id)  # noqa: S608 - constant columns
        if only_from_trash and any(row["trashed_at"] is None for row in rows):
            raise Conflict("This picture is not in the trash (any more). Move it there first.")
        await holds.refuse_pinned([image_id], actor, force=force)
        await refuse_too_many(actor, 1, deletes_per_hour)
        await delete_rows(gallery.ref, rows, actor)
        for row in rows:
            if row["sort_order"] is not None:
                await places.close_gap(gallery, row["sort_order"])
        await places.ensure_primary(gallery)


async def delete_entity(ref: EntityRef, *, actor: Actor, deletes_per_hour: int, force: bool = False) -> None:
    """The entity, its images, their files, and the keys that show it. Each image counts against an editor's hour. `force` as
    for one image.

    Raises NoSuchEntity, RateLimited, Pinned, Forbidden, Conflict.
    """
    async with database.transaction():
        lock = places.lock_invoice if ref.type == "invoices" else places.lock_gallery
        gallery = await lock(ref)
        rows = await database.fetch(f"SELECT {_COLUMNS} FROM image WHERE entity = $1 FOR UPDATE", gallery.pk)  # noqa: S608 - constant columns
        await holds.refuse_pinned([row["id"] for row in rows], actor, force=force)
        await refuse_too_many(actor, len(rows), deletes_per_hour)
        await release_pin(gallery, actor=actor, deletes_per_hour=deletes_per_hour)
        await delete_rows(ref, rows, actor)
        entity = await database.fetch_row("DELETE FROM entity WHERE pk = $1 RETURNING name, reference", gallery.pk)
        await record(actor, "entity.delete", "entity", str(ref), before=dict(entity) if entity else None)
        await _revoke_keys(ref, actor)  # after the row: a key that was just being made is there by then


async def _revoke_keys(ref: EntityRef, actor: Actor) -> None:
    """What is given the same id later may be somebody else's: a link that is out must not show it."""
    rows = await database.fetch(
        """UPDATE embed_key SET revoked_at = now() WHERE scope_type = $1 AND scope_id = $2 AND revoked_at IS NULL
           RETURNING id""",
        ref.type,
        ref.id,
    )
    for row in rows:
        await record(actor, "embed.revoke", "embed", str(row["id"]), before={"scope": str(ref)})


async def release_pin(gallery: places.LockedGallery, *, actor: Actor, deletes_per_hour: int) -> bool:
    """Take the pin off an invoice that `places.lock_invoice` has locked; what nothing else holds goes with it.

    False when there is none. Raises RateLimited when more old versions would go than an editor may remove.
    """
    pin = await database.fetch_row(
        "SELECT pk, items, pinned_by, pinned_at FROM invoice_pin WHERE invoice = $1", gallery.pk
    )
    if pin is None:
        return False
    held = await database.fetch(
        """SELECT p.image, p.item, p.renditions, entity.type FROM pinned_picture AS p JOIN image ON image.id = p.image
           JOIN entity ON entity.pk = image.entity WHERE p.pin = $1 ORDER BY p.position""",
        pin["pk"],
    )
    await database.execute("DELETE FROM invoice_pin WHERE pk = $1", pin["pk"])
    types = {row["image"]: row["type"] for row in held}
    await _purge_lost(types, [(row["image"], decoded(row["renditions"])) for row in held])
    for image_id in await _with_too_many_versions(types):
        await drop_old_versions(types[image_id], image_id, KEPT, actor=actor, deletes_per_hour=deletes_per_hour)
    pictures = [{"image": row["image"], "item": row["item"], "of": decoded(row["renditions"])["of"]} for row in held]
    before = {name: pin[name] for name in ("pinned_by", "pinned_at", "items")} | {"pictures": pictures}
    await record(actor, "invoice.unpin", "entity", str(gallery.ref), before=before)
    return True


async def _purge_lost(types: Mapping[UUID, str], sets: Sequence[tuple[UUID, dict[str, Any]]]) -> None:
    """Of these sets those that no image shows, and no version or other pin holds."""
    rows = await database.fetch(
        """SELECT lost.image, lost.of FROM unnest($1::uuid[], $2::text[]) AS lost (image, of)
           JOIN image ON image.id = lost.image AND image.renditions ->> 'of' IS DISTINCT FROM lost.of
           WHERE NOT EXISTS (SELECT 1 FROM image_version v WHERE v.image = lost.image AND v.renditions ->> 'of' = lost.of)
             AND NOT EXISTS (SELECT 1 FROM pinned_picture p WHERE p.image = lost.image AND p.renditions ->> 'of' = lost.of)""",
        [image_id for image_id, _ in sets],
        [stored["of"] for _, stored in sets],
    )
    gone = {(row["image"], row["of"]) for row in rows}
    keys = [keys_of_set(types[id], id, stored) for id, stored in sets if (id, stored["of"]) in gone]
    await purge_after_commit([key for each in keys for key in each])


async def _with_too_many_versions(image_ids: Iterable[UUID]) -> list[UUID]:
    rows = await database.fetch(
        "SELECT image FROM image_version WHERE image = ANY($1::uuid[]) GROUP BY image HAVING count(*) > $2",
        list(image_ids),
        KEPT,
    )
    return [row["image"] for row in rows]


async def drop_old_versions(
    entity_type: str, image_id: UUID, most: int, *, actor: Actor, deletes_per_hour: int, but: int | None = None
) -> None:
    """All but the newest `most`; the version `but` stays, and what a pin holds. Each that goes counts among an editor's
    deletes: eleven files would else take away what the picture was.

    Renditions that the image still shows stay: their successors take them away. Raises RateLimited.
    """
    dropped = await database.fetch(
        """DELETE FROM image_version WHERE image = $1 AND version IN (
               SELECT version FROM image_version WHERE image = $1 ORDER BY version = $3 DESC, version DESC OFFSET $2)
             AND version NOT IN (SELECT version FROM pinned_picture WHERE image = $1)
           RETURNING version, filename, sha256, extension, renditions, renditions ->> 'of' = (
               SELECT image.renditions ->> 'of' FROM image WHERE id = $1) AS is_shown""",
        image_id,
        most,
        but or 0,
    )
    await refuse_too_many(actor, len(dropped), deletes_per_hour)
    for row in dropped:
        before = {name: row[name] for name in ("version", "filename", "sha256")}
        await record(actor, "image.drop_version", "image", str(image_id), before=before)
        owned = {**row, "renditions": "{}"} if row["is_shown"] else row
        await purge_after_commit(version_keys_of(entity_type, image_id, owned))


async def delete_rows(ref: EntityRef, rows: Iterable[Any], actor: Actor) -> None:
    keys: list[str] = []
    rows = list(rows)
    versions = await versions_of_images(row["id"] for row in rows)
    pinned = await holds.pinned_sets_of(row["id"] for row in rows)
    for row in rows:
        invoices = await holds.invoices_pinned_to([row["id"]]) if row["id"] in pinned else []
        keys += all_keys_of(ref.type, row, versions.get(row["id"], ()), pinned.get(row["id"], ()))
        await database.execute("DELETE FROM image WHERE id = $1", row["id"])
        before: dict[str, Any] = {"entity": str(ref), "filename": row["filename"], "sha256": row["sha256"]}
        if invoices:
            before["pinned_on"] = [each.id for each in invoices]
        await record(actor, "image.delete", "image", str(row["id"]), before=before)
    await purge_after_commit(keys)


def all_keys_of(
    entity_type: str, row: Mapping[str, Any], versions: Iterable[Mapping[str, Any]], pinned: Iterable[Mapping[str, Any]]
) -> list[str]:
    """What an image row may own, with its old versions and the sets that pins hold of it."""
    return keys_of(entity_type, row) + kept_keys_of(entity_type, row["id"], versions, pinned)


def kept_keys_of(
    entity_type: str, image_id: UUID, versions: Iterable[Mapping[str, Any]], pinned: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Of old versions, and of the sets that pins hold."""
    of_versions = (version_keys_of(entity_type, image_id, each) for each in versions)
    of_pins = (keys_of_set(entity_type, image_id, each) for each in pinned)
    return [key for keys in (*of_versions, *of_pins) for key in keys]


async def versions_of_images(image_ids: Iterable[UUID]) -> dict[UUID, list[Any]]:
    """The kept old versions of each image, as rows for `version_keys_of`."""
    rows = await database.fetch(
        "SELECT image, version, extension, sha256, renditions FROM image_version WHERE image = ANY($1::uuid[])",
        list(image_ids),
    )
    found: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["image"]].append(row)
    return found


def version_keys_of(entity_type: str, image_id: UUID, row: Mapping[str, Any]) -> list[str]:
    """Every object a row of `image_version` owns: its original and its last whole renditions."""
    key = original_key(entity_type, image_id, row["version"], row["extension"])
    return [key, *keys_of_set(entity_type, image_id, decoded(row["renditions"]))]


def keys_of_set(entity_type: str, image_id: UUID, stored: Mapping[str, Any]) -> list[str]:
    """The objects of a stored set of renditions."""
    if not stored:
        return []
    version, rendering = rendition_of(stored)
    return [rendition_key(entity_type, image_id, version, rendering, name) for name in stored["items"]]


def keys_of(entity_type: str, row: Mapping[str, Any]) -> list[str]:
    """Every object an image row may own: its original and the renditions that are live or on their way."""
    stored = decoded(row["renditions"])
    sets = {(row["version"], row["rendering"])} | ({rendition_of(stored)} if stored else set())
    keys = [original_key(entity_type, row["id"], row["version"], row["extension"])]
    keys += [rendition_key(entity_type, row["id"], *each, name) for each in sorted(sets) for name in PRESETS]
    return keys


async def purge_after_commit(keys: Sequence[str]) -> None:
    """Note keys whose rows go with this transaction, and queue their removal."""
    if not keys:
        return
    await database.execute(
        "INSERT INTO object_purge (key) SELECT unnest($1::text[]) ON CONFLICT (key) DO NOTHING", list(keys)
    )
    # no dedupe: a purge that is just ending would swallow this one
    await enqueue(PURGE, {}, priority=URGENT)


async def refuse_too_many(actor: Actor, more: int, most: int) -> None:
    """One leaked editor's token must not empty the shop; admins are not capped. Raises RateLimited."""
    if actor.may("admin") or more == 0:
        return
    await database.execute("SELECT pg_advisory_xact_lock(hashtext('deletes of ' || $1))", actor.name)
    recent = await database.fetch_value(
        """SELECT count(*) FROM audit WHERE actor = $1 AND action IN ('image.trash', 'image.delete', 'image.drop_version')
           AND at > now() - interval '1 hour'""",
        actor.name,
    )
    if recent + more > most:
        raise RateLimited(
            f"You may remove {most} pictures an hour and have removed {recent}. Wait, or ask an admin.",
            retry_after=600,
        )
