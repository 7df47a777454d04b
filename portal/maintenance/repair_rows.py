"""What rows promise each other, made true again: a dense order, a primary picture, a job that renders, counters."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from portal import database
from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import NotFound
from portal.gallery import places
from portal.gallery.counters import counter_mismatches, recount
from portal.gallery.service import RENDER
from portal.gallery.tallies import retally, tally_mismatches
from portal.gallery.tasks import forgotten_images
from portal.integrity.findings import FindingView
from portal.jobs.queue import enqueue
from portal.maintenance.repair_room import Outcome, Room, gone, settle

ORDER: Final = "The pictures stand in the same order, without a gap."
PRIMARY: Final = "The first picture that is ready became the primary one."
RECOUNTED: Final = "All that is stored was counted again."
TALLIED: Final = "Its pictures were counted again."
QUEUED: Final = "A job was queued that renders it."


def _gallery_of(finding: FindingView) -> EntityRef:
    """Raises NotFound for a key that names no gallery."""
    type, _, id = (finding.key or "").partition("/")
    return parse_ref(type, id)


async def repair_order(finding: FindingView, room: Room) -> Outcome:
    async with database.transaction():
        try:
            gallery = await places.lock_gallery(_gallery_of(finding))
        except NotFound:
            return gone("order")
        rows = await database.fetch(
            """SELECT id, sort_order FROM image WHERE entity = $1 AND trashed_at IS NULL
               ORDER BY sort_order NULLS LAST, id""",
            gallery.pk,
        )
        before = [row["sort_order"] for row in rows]
        if before == list(range(len(rows))):
            return gone("order")
        if room.dry_run:
            return Outcome("planned", "order", ORDER)
        await places.put_in_order(gallery, [row["id"] for row in rows])
        subject = ("entity", str(gallery.ref))
        return await settle(finding, "order", ORDER, room, subject, before={"places": before})


async def repair_primary(finding: FindingView, room: Room) -> Outcome:
    async with database.transaction():
        try:
            gallery = await places.lock_gallery(_gallery_of(finding))
        except NotFound:
            return gone("primary")
        row = await database.fetch_row(
            """SELECT count(*) FILTER (WHERE status = 'ready' AND trashed_at IS NULL) AS ready,
                      count(*) FILTER (WHERE is_primary) AS primaries FROM image WHERE entity = $1""",
            gallery.pk,
        )
        if row is None or row["ready"] == 0 or row["primaries"]:
            return gone("primary")
        if room.dry_run:
            return Outcome("planned", "primary", PRIMARY)
        await places.ensure_primary(gallery)
        chosen = await database.fetch_value("SELECT id FROM image WHERE entity = $1 AND is_primary", gallery.pk)
        subject = ("entity", str(gallery.ref))
        return await settle(finding, "primary", PRIMARY, room, subject, after={"primary": str(chosen)})


async def repair_queue(finding: FindingView, room: Room) -> Outcome:
    image_id = UUID(finding.image_id or "")
    async with database.transaction():
        try:
            await places.lock_gallery_of(image_id)
        except NotFound:
            return gone("queue")
        forgotten = await forgotten_images(image_id)
        if image_id not in forgotten or (image_id, forgotten[image_id]) in room.foresight.lost:
            return gone("queue")
        if room.dry_run:
            return Outcome("planned", "queue", QUEUED)
        payload = {"image": str(image_id), "version": forgotten[image_id]}
        await enqueue(RENDER, payload, dedupe=f"render {image_id}")
        return await settle(finding, "queue", QUEUED, room, ("image", str(image_id)))


async def repair_tally(finding: FindingView, room: Room) -> Outcome:
    async with database.transaction():
        try:
            gallery = await places.lock_gallery(_gallery_of(finding))
        except NotFound:
            return gone("recount")
        if not await tally_mismatches(gallery):
            return gone("recount")
        if room.dry_run:
            return Outcome("planned", "recount", TALLIED)
        await retally(gallery)
        return await settle(finding, "recount", TALLIED, room, ("entity", str(gallery.ref)), before=finding.evidence)


async def repair_counter(finding: FindingView, room: Room) -> Outcome:
    """One count puts all of them right; the others of this run are told of it. Raises Running."""
    seen = room.foresight
    if seen.counters is None:
        wrong = await (counter_mismatches() if room.dry_run else recount())
        seen.counters = frozenset(each.name for each in wrong)
    if finding.key not in seen.counters:
        return gone("recount")
    if room.dry_run:
        return Outcome("planned", "recount", RECOUNTED)
    async with database.transaction():
        return await settle(finding, "recount", RECOUNTED, room, ("portal", finding.key or ""), before=finding.evidence)
