"""Originals that are missing or changed: found elsewhere in the store, healed from a backup, or their row goes to the trash."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from portal import database
from portal.backups.objects import find_objects, read_newest
from portal.errors import Gone, NotFound, Unavailable
from portal.gallery import places
from portal.gallery.disposal import trash_image
from portal.gallery.holds import invoices_pinned_to, named
from portal.gallery.service import retry_image
from portal.integrity.findings import FindingView
from portal.maintenance.quarantine import digest_of, take_away
from portal.maintenance.repair_room import (
    GONE,
    Original,
    Outcome,
    Room,
    find_original,
    find_original_of,
    gone,
    has_bytes,
    hold_for,
    refused,
    seen_at,
    settle,
)
from portal.storage.keys import original_key

NOWHERE: Final = "Its original is nowhere: not in the store, not in the quarantine, not in a backup."
WRONG: Final = "not the bytes that its row says"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the very bytes lie: `repair` is relink or heal. `key` is one of the store's, or of the quarantine's (`is_held`)."""

    repair: str
    detail: str
    key: str | None = None
    is_held: bool = False


async def repair_original(finding: FindingView, room: Room) -> Outcome:
    """Relink, heal, or trash, in this order. Raises DiskFull, Unavailable."""
    original = await find_original_of(finding.key)
    if original is None or original.is_given_up:
        return gone("heal")
    seen = await seen_at(room.store, original.key)
    if seen.sha256 == original.sha256:
        return gone("heal")
    try:
        source = await _find_source(original, room)
    except _BackupsAway:
        return refused("trash", _away(room))
    if source is not None:
        return await _place(finding, original, source, room)
    if seen.is_there and seen.sha256 is None:
        return refused("trash", "The disk cannot read its bytes, and no others are known. Look at the disk first.")
    if await room.backups.is_away():
        return refused("trash", _away(room))
    return await _give_up(finding, original, room)


class _BackupsAway(Exception):
    """Nobody knows what they hold."""


def _away(room: Room) -> str:
    if room.settings.backup_bucket is None:
        return "The disk for backups is not mounted, which may hold its bytes. Mount it, or remove its folder."
    return f"{room.backups.words} is out of reach, which may hold its bytes. Try again when it can be asked."


async def _find_source(original: Original, room: Room) -> Source | None:
    async for source in _in_the_store(original, room):
        return source
    try:
        held = await find_objects(room.backups, original.sha256)
    except Unavailable as error:
        raise _BackupsAway from error
    newest = await read_newest(room.backups, original.sha256) if held else None
    if newest is None:
        return None
    return Source("heal", f"Healed from the backup's object of {newest[0].modified_at:%Y-%m-%d %H:%M} UTC.")


async def _in_the_store(original: Original, room: Room) -> AsyncIterator[Source]:
    """Other rows' originals with this SHA-256, then what nobody owns, then the quarantine."""
    for key in await _keys_of_same(original):
        if await has_bytes(room, key, original.sha256):
            yield Source("relink", f"Copied from {key}, which holds the very bytes.", key)
    for key in await _keys_of_nobody(original):
        if await digest_of(room.store, key) == original.sha256:
            yield Source("relink", f"Found as {key} and copied to its own place.", key)
    rows = await database.fetch(
        """SELECT held_as FROM quarantined WHERE sha256 = $1 AND restored_at IS NULL AND removed_at IS NULL
           ORDER BY id DESC""",
        original.sha256,
    )
    for row in rows:
        if await _held_digest(row["held_as"], room) == original.sha256:
            yield Source(
                "relink", "Copied from the quarantine, where the very bytes lie.", row["held_as"], is_held=True
            )


async def _held_digest(held_as: str, room: Room) -> str | None:
    try:
        return await digest_of(room.quarantine, held_as)
    except Unavailable:
        return None  # its disk is away: nothing is found there


async def _keys_of_same(original: Original) -> list[str]:
    rows = await database.fetch(
        """SELECT entity.type, image.id, image.version, image.extension FROM image JOIN entity ON entity.pk = image.entity
           WHERE image.sha256 = $1
           UNION ALL
           SELECT entity.type, image.id, v.version, v.extension FROM image_version v JOIN image ON image.id = v.image
           JOIN entity ON entity.pk = image.entity WHERE v.sha256 = $1""",
        original.sha256,
    )
    keys = [original_key(row["type"], row["id"], row["version"], row["extension"]) for row in rows]
    return [key for key in keys if key != original.key]


async def _keys_of_nobody(original: Original) -> list[str]:
    """What a check has found with these bytes."""
    rows = await database.fetch(
        """SELECT key FROM finding WHERE state = 'open' AND kind IN ('orphaned_object', 'stray_temp_file')
           AND key IS NOT NULL AND evidence -> 'found' ->> 'sha256' = $1 AND NOT evidence ? 'name' ORDER BY id""",
        original.sha256,
    )
    return [row["key"] for row in rows]


async def _place(finding: FindingView, original: Original, source: Source, room: Room) -> Outcome:
    """The right bytes under their key; wrong ones are held before. Read again here, so that none is kept in memory for long."""
    room.foresight.sound.add(original.key)
    if room.dry_run:
        return Outcome("planned", source.repair, source.detail)
    try:
        await _hold_wrong(original, finding, room)
        data = await _bytes_from(source, original, room)
        return await _put(finding, original, source, data, room)
    except (Gone, NotFound) as error:
        room.foresight.sound.discard(original.key)
        return refused(source.repair, error.message)


async def _bytes_from(source: Source, original: Original, room: Room) -> bytes:
    if source.key is None:
        newest = await read_newest(room.backups, original.sha256)
        if newest is None:
            raise Gone("The copy in the backup is gone since.")
        return newest[1]
    return await (room.quarantine if source.is_held else room.store).read(source.key)


async def _hold_wrong(original: Original, finding: FindingView, room: Room) -> None:
    """A transaction of its own: the bytes are in the quarantine, and it is known there, before others take their place."""
    async with room.store.turn(), database.transaction():
        await places.lock_gallery_of(original.image_id)
        seen = await seen_at(room.store, original.key)
        if seen.sha256 not in (None, original.sha256):  # of what the disk cannot read there are no bytes to hold
            await hold_for(finding, original.key, WRONG, room, original.image_id, {"replaced": True})


async def _put(finding: FindingView, original: Original, source: Source, data: bytes, room: Room) -> Outcome:
    async with room.store.turn(), database.transaction():
        await places.lock_gallery_of(original.image_id)
        now = await find_original(original.image_id, original.version)
        if now is None or now.sha256 != original.sha256:
            return gone(source.repair)
        seen = await seen_at(room.store, original.key)
        if seen.sha256 == original.sha256:
            return gone(source.repair)
        await room.store.put(original.key, data)
        if (await seen_at(room.store, original.key)).sha256 != original.sha256:
            raise Gone("The copy changed while it was read.")
        if now.is_current and (now.error or {}).get("code") == GONE:
            await retry_image(original.image_id, actor=room.actor)
        subject = ("image", str(original.image_id))
        before = {"key": original.key, "sha256": seen.sha256, "bytes": seen.bytes}
        after = {"sha256": original.sha256, "bytes": original.bytes}
        return await settle(finding, source.repair, source.detail, room, subject, before=before, after=after)


async def _give_up(finding: FindingView, original: Original, room: Room) -> Outcome:
    if not original.is_current:
        return refused("none", f"{NOWHERE} It is one of the kept versions: what the picture shows is not touched.")
    if invoices := await invoices_pinned_to([original.image_id]):
        return refused("trash", f"{NOWHERE} It stays, because it is pinned on {named(invoices)}.")
    where = "It was in the trash already" if original.is_trashed else "It went to the trash"
    detail = f"{NOWHERE} {where}, and can be restored there."
    room.foresight.lost.add((original.image_id, original.version))
    if room.dry_run:
        return Outcome("planned", "trash", detail)
    try:
        return await _trash(finding, original, detail, room)
    except NotFound:
        return gone("trash")


async def _trash(finding: FindingView, original: Original, detail: str, room: Room) -> Outcome:
    held = None
    async with room.store.turn(), database.transaction():
        await places.lock_gallery_of(original.image_id)
        now = await find_original(original.image_id, original.version)
        seen = await seen_at(room.store, original.key)
        if now is None or not now.is_current or seen.sha256 == now.sha256:
            return gone("trash")
        if await invoices_pinned_to([original.image_id]):
            return refused("trash", "An invoice was pinned to it just now. It stays.")
        before = {"error": now.error, "was_trashed": now.is_trashed}
        if seen.sha256 is not None:
            held = await hold_for(finding, original.key, WRONG, room, original.image_id, before)
        await trash_image(original.image_id, actor=room.actor, deletes_per_hour=0)
        await database.execute(
            "UPDATE image SET error = $2::jsonb, updated_at = now() WHERE id = $1",
            original.image_id,
            json.dumps({"code": GONE, "message": NOWHERE}),
        )
        outcome = await settle(finding, "trash", detail, room, ("image", str(original.image_id)), before=before)
    if held is not None:
        await take_away(held, original.key, store=room.store, is_owned=True)
    return outcome
