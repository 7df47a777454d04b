"""Objects that nobody owns: into the quarantine, or adopted as a new picture of an entity that somebody names."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from portal import database
from portal.entities.kinds import EntityRef
from portal.errors import Duplicate, FileRefused, FormError, Gone, NoSuchEntity, NotFound
from portal.gallery.forms import PictureFields, ReceivedPicture
from portal.gallery.intake import refuse_too_large, rules_of, verify_upload
from portal.gallery.places import lock_gallery, lock_gallery_of
from portal.gallery.service import add_image, refuse_duplicate
from portal.integrity.findings import FindingView
from portal.integrity.objects import is_temporary
from portal.integrity.strays import LEAST_AGE, orphans_of, strays_of
from portal.maintenance.quarantine import copied, take_away
from portal.maintenance.repair_room import Outcome, Room, gone, hold_for, refused, settle
from portal.storage.keys import TEMP, parse_key
from portal.storage.look import look_at
from portal.storage.store import ObjectEntry

QUARANTINE: Final = "quarantine"
ADOPT: Final = "adopt"
_REASONS: Final = {
    "orphaned_object": "no picture owns these bytes",
    "stray_temp_file": "an interrupted upload left it",
}


async def repair_object(finding: FindingView, room: Room) -> Outcome:
    """Into the quarantine, once more proved to be nobody's. Raises DiskFull, Unavailable."""
    if "name" in finding.evidence:
        return refused("none", "Its name is not one of ours. Remove it by hand.")
    key = finding.key or ""
    reason = _REASONS.get(finding.kind, "nobody owns these bytes")
    detail = f"Into the quarantine: {reason}."
    try:
        async with room.store.turn(), database.transaction():
            refusal = await _refusal(key, room)
            if refusal is not None:
                return refusal
            if room.dry_run:
                return Outcome("planned", QUARANTINE, detail)
            held = await hold_for(finding, key, reason, room)
            after = {"quarantined": str(held.id)}
            outcome = await settle(finding, QUARANTINE, detail, room, ("object", key), before={"key": key}, after=after)
    except Gone:
        return gone(QUARANTINE)
    await take_away(held, key, store=room.store)
    return outcome


async def _refusal(key: str, room: Room) -> Outcome | None:
    """Of what is not there, owned by now, or so young that somebody may still be at it. Holds the locks that prove it."""
    seen = (await look_at(room.store, [key], read=False))[key]
    if not seen.is_there or seen.modified_at is None:
        return gone(QUARANTINE)
    entry = ObjectEntry(key, seen.bytes or 0, seen.modified_at)
    grace = max(room.grace, LEAST_AGE) if is_temporary(entry) else room.grace
    if seen.modified_at > datetime.now(UTC) - grace:
        return refused(QUARANTINE, "It was written just now, and somebody may be at it. It is looked at again later.")
    if is_temporary(entry):
        return None if await strays_of([entry], room.store) else gone(QUARANTINE)
    await _lock_its_gallery(key)
    return (
        None if await orphans_of([entry], room.store) else gone(QUARANTINE, "Somebody owns it, or is at it just now.")
    )


async def _lock_its_gallery(key: str) -> None:
    said = parse_key(key)
    if said is not None:
        try:
            await lock_gallery_of(said.image_id)
        except NotFound:
            return  # of a picture that is no more, or never was


async def find_owner(key: str | None) -> EntityRef | None:
    """Whose it is, as its key says: of an image that is there, another version or rendering of it."""
    said = parse_key(key or "")
    row = (
        None
        if said is None
        else await database.fetch_row(
            "SELECT entity.type, entity.id FROM image JOIN entity ON entity.pk = image.entity WHERE image.id = $1",
            said.image_id,
        )
    )
    return None if row is None else EntityRef(row["type"], row["id"])


async def adopt(finding: FindingView, ref: EntityRef | None, room: Room) -> Outcome:
    """A new image of `ref` (None: of whose the key says it is) of these bytes, verified as an upload; then they are held.

    Run again after it was killed, it finds the picture there and goes on. Raises FormError without an entity, DiskFull,
    Unavailable, Busy.
    """
    owner = ref or await find_owner(finding.key)
    if owner is None:
        raise FormError({"entity": "Say whose picture this becomes, as inventory_items/MUG-1."})
    if finding.kind != "orphaned_object":
        return refused(ADOPT, "Only bytes that nobody owns are adopted.")
    async with database.transaction():
        refusal = await _refusal(finding.key or "", room)
    if refusal is not None:
        return refusal
    try:
        return await _adopt(finding, owner, room)
    except Gone:
        return gone(ADOPT)
    except (FileRefused, NoSuchEntity) as error:
        return refused(ADOPT, error.message)


async def _adopt(finding: FindingView, owner: EntityRef, room: Room) -> Outcome:
    key = finding.key or ""
    rules = rules_of(room.settings, owner.type)
    received = await _received(key, rules.max_bytes, room)
    detail = f"Adopted as a new picture of {owner}; the old object is in the quarantine."
    try:
        if room.dry_run:
            async with database.transaction():
                await refuse_duplicate((await lock_gallery(owner)).pk, received.sha256)
            await verify_upload(received, rules, room.pool)
            return Outcome("planned", ADOPT, detail)
        parts = {"rules": rules, "store": room.store, "pool": room.pool, "actor": room.actor}
        image_id = str(await add_image(owner, received, PictureFields(), **parts))
    except Duplicate as error:
        image_id = str(error.extra["image_id"])
        detail = f"{owner} has this picture already; the old object is in the quarantine."
        if room.dry_run:
            return Outcome("planned", ADOPT, detail)
    finally:
        await asyncio.to_thread(received.path.unlink, missing_ok=True)
    async with room.store.turn(), database.transaction():
        held = await hold_for(finding, key, f"adopted as picture {image_id}", room)
        after = {"image": image_id, "entity": str(owner), "quarantined": str(held.id)}
        outcome = await settle(finding, ADOPT, detail, room, ("image", image_id), before={"key": key}, after=after)
    await take_away(held, key, store=room.store)
    return outcome


async def _received(key: str, most: int, room: Room) -> ReceivedPicture:
    """As an upload lies on our disk. Raises Gone, TooLarge before a byte of it is copied."""
    refuse_too_large(await room.store.size(key) or 0, most)
    path = room.store.root / TEMP / f"{uuid4()}.part"
    size, sha256 = await copied(await room.store.open(key), path)
    return ReceivedPicture(path, key.rpartition("/")[2], size, sha256)
