"""What rows promise each other, each by one statement: it sees one moment, in which all of it has to be true."""

from __future__ import annotations

from portal import database
from portal.gallery.counters import counter_mismatches
from portal.gallery.tallies import tally_mismatches
from portal.gallery.tasks import forgotten_images
from portal.integrity.findings import Finding


async def galleries_without_primary() -> list[Finding]:
    rows = await database.fetch(
        """SELECT entity.type, entity.id FROM entity
           WHERE EXISTS (SELECT 1 FROM image WHERE image.entity = entity.pk AND status = 'ready' AND trashed_at IS NULL)
             AND NOT EXISTS (SELECT 1 FROM image WHERE image.entity = entity.pk AND is_primary)"""
    )
    return [
        Finding("no_primary", f"{row['type']}/{row['id']}", None, "the gallery has no primary image", row["type"])
        for row in rows
    ]


async def gaps_in_order() -> list[Finding]:
    rows = await database.fetch(
        """SELECT entity.type, entity.id, count(*) AS images, max(sort_order) AS last
           FROM image JOIN entity ON entity.pk = image.entity
           WHERE trashed_at IS NULL GROUP BY entity.type, entity.id
           HAVING min(sort_order) <> 0 OR max(sort_order) <> count(*) - 1"""
    )
    return [
        Finding(
            "order_not_dense",
            f"{row['type']}/{row['id']}",
            None,
            "the gallery has a gap in its order",
            row["type"],
            {"expected": {"last": row["images"] - 1}, "found": {"last": row["last"]}},
        )
        for row in rows
    ]


async def jobs_past_lease() -> list[Finding]:
    rows = await database.fetch(
        "SELECT id, entrypoint FROM pgqueuer WHERE status = 'picked' AND heartbeat < now() - interval '10 minutes'"
    )
    return [
        Finding("job_past_lease", f"jobs/{row['id']}", None, f"a job stands still ({row['entrypoint']})")
        for row in rows
    ]


async def images_without_job() -> list[Finding]:
    detail = "waits for renditions, and no job makes them"
    return [Finding("no_job", None, str(image_id), detail) for image_id in await forgotten_images()]


async def wrong_tallies() -> list[Finding]:
    return [
        Finding(
            "tally_mismatch",
            str(each.ref),
            None,
            each.detail,
            each.ref.type,
            {"expected": each.counted, "found": each.kept},
        )
        for each in await tally_mismatches()
    ]


async def wrong_counters() -> list[Finding]:
    return [
        Finding(
            "counter_mismatch",
            each.name,
            None,
            each.detail,
            each.entity_type,
            {
                "expected": {"pieces": each.counted, "bytes": each.counted_bytes},
                "found": {"pieces": each.kept, "bytes": each.kept_bytes},
            },
        )
        for each in await counter_mismatches()
    ]
