"""The one switch of a restore: what `decisions` decided becomes rows, in the open transaction, with the tables locked.

Inserts first what others name. Galleries keep what they promise: one primary picture, dense places; counters follow by triggers.
"""

# ruff: noqa: S608 - every piece of SQL is a constant of this file
from __future__ import annotations

import json
from typing import Final

from portal import database
from portal.audit.actors import Actor
from portal.backups import layout, rows
from portal.entities.kinds import EntityRef
from portal.gallery import places
from portal.gallery.disposal import KEPT, drop_old_versions, keys_of_set, purge_after_commit, release_pin
from portal.gallery.holds import is_kept
from portal.gallery.service import RENDER
from portal.jobs.queue import BULK, enqueue_many

# Readers go on; writers, and who locks rows to write soon, wait. In the order in which verbs take them, mostly.
LOCK: Final = """LOCK TABLE entity, invoice_line, image, image_version, invoice_pin, pinned_picture, embed_key, preset_change,
    object_purge IN EXCLUSIVE MODE"""
_AT_ONCE: Final = 1000
_COLUMNS: Final = {kind.manifest: kind.columns for kind in rows.OF_TYPE}
_ENTITY_FACTS: Final = "name, reference, parent_type, parent_id, attributes, number, date, currency, total"
_BYTES: Final = "filename, media_type, extension, bytes, width, height, frames, sha256, placeholder, exif, fingerprint"
_LINES: Final = "position, item, description, quantity, unit_price"
_KEY_FACTS: Final = "key_hash, scope_type, scope_id, presets, parents, captions, expires_at"


def _of(alias: str, columns: str) -> str:
    return ", ".join(f"{alias}.{name.strip()}" for name in columns.split(","))


def _with(manifest: str, changes: dict[str, str], alias: str = "s") -> tuple[str, str]:
    """Columns of a table, and the values that a staged row gives them."""
    columns = _COLUMNS[manifest]
    return ", ".join(columns), ", ".join(changes.get(name, f"{alias}.{name}") for name in columns)


_entity_columns, _entity_values = _with(layout.ENTITIES, {})
_image_columns, _image_values = _with(
    layout.IMAGES,
    {
        "status": "CASE s.status WHEN 'processing' THEN 'pending' ELSE s.status END",
        "is_primary": "s.is_primary AND NOT EXISTS (SELECT FROM image AS x WHERE x.entity = e.pk AND x.is_primary)",
    },
)
_version_columns, _version_values = _with(layout.VERSIONS, {})
_pinned_columns, _pinned_values = _with(layout.PINNED, {})
_key_columns, _key_values = _with(layout.EMBED_KEYS, {})

_ENTITIES: Final = (
    f"""INSERT INTO entity ({_entity_columns}) SELECT {_entity_values}
        FROM staged_entity AS s JOIN plan_entity AS p USING (type, id) WHERE p.action = 'create' ORDER BY s.type, s.id""",
    f"""UPDATE entity SET ({_ENTITY_FACTS}, updated_at)
            = ({_of("s", _ENTITY_FACTS)}, greatest(clock_timestamp(), entity.updated_at + interval '1 microsecond'))
        FROM staged_entity AS s JOIN plan_entity AS p USING (type, id) WHERE entity.pk = p.pk AND p.action = 'replace'""",
    """DELETE FROM invoice_line USING plan_entity AS p WHERE invoice = p.pk AND p.action = 'replace'""",
    f"""INSERT INTO invoice_line (invoice, {_LINES}) SELECT e.pk, {_of("s", _LINES)}
        FROM staged_line AS s JOIN plan_entity AS p ON p.type = s.of_type AND p.id = s.invoice
        JOIN entity AS e ON e.type = p.type AND e.id = p.id
        WHERE p.action IN ('create', 'replace') ORDER BY e.pk, s.position""",
)
# Of a picture that has other bytes now: what it has becomes an old version, as in gallery.versions.
_KEEP_PRESENT: Final = f"""
    INSERT INTO image_version (image, version, {_BYTES}, edits, focal_x, focal_y, rendering, uploaded_by, renditions, created_at,
        replaced_at)
    SELECT i.id, i.version, {_of("i", _BYTES)}, i.edits, i.focal_x, i.focal_y, i.rendering, i.uploaded_by,
           CASE WHEN split_part(i.renditions ->> 'of', '.', 1) = i.version::text THEN i.renditions ELSE '{{}}' END,
           coalesce((SELECT max(replaced_at) FROM image_version AS v WHERE v.image = i.id), i.created_at), clock_timestamp()
    FROM image AS i JOIN plan_image AS p ON p.id = i.id WHERE p.action = 'replace' AND p.has_new_bytes
"""
_IN_TOUCHED: Final = """entity IN (SELECT i.entity FROM image AS i JOIN plan_image AS p ON p.id = i.id
    WHERE p.action IN ('create', 'replace'))"""
_STEP_DOWN: Final = """
    UPDATE image SET is_primary = false, revision = revision + 1, updated_at = now() FROM entity AS e
    WHERE e.pk = image.entity AND image.is_primary AND {is_replacing} AND EXISTS (
        SELECT FROM staged_image AS s JOIN plan_image AS p ON p.id = s.id
        WHERE s.of_type = e.type AND s.entity = e.id AND s.is_primary AND s.id <> image.id AND p.action IN ('create', 'replace'))
"""
_IMAGES: Final = f"""
    INSERT INTO image (entity, {_image_columns}) SELECT e.pk, {_image_values}
    FROM staged_image AS s JOIN plan_image AS p ON p.id = s.id JOIN entity AS e ON e.type = s.of_type AND e.id = s.entity
    WHERE p.action = 'create' ORDER BY s.id
"""
_BYTES_NOW: Final = _of("s", _BYTES).replace(
    "s.placeholder", "CASE WHEN p.has_new_bytes THEN s.placeholder ELSE image.placeholder END"
)
_REPLACED: Final = f"""
    UPDATE image SET (alt_text, decorative, caption, tags, attributes, {_BYTES})
            = (s.alt_text, s.decorative, s.caption, s.tags, s.attributes, {_BYTES_NOW}),
        edits = s.edits, focal_x = s.focal_x, focal_y = s.focal_y, version = p.version,
        rendering = CASE WHEN p.has_new_bytes THEN 1 ELSE image.rendering + p.has_new_recipe::int END,
        uploaded_by = CASE WHEN p.has_new_bytes THEN s.uploaded_by ELSE image.uploaded_by END,
        renditions = CASE WHEN p.has_new_bytes AND p.has_whole_set
            THEN jsonb_set(s.renditions, '{{of}}', to_jsonb(p.version || '.1')) ELSE image.renditions END,
        status = CASE WHEN p.has_new_bytes AND p.has_whole_set THEN 'ready'
            WHEN p.has_new_bytes OR p.has_new_recipe THEN CASE image.status WHEN 'ready' THEN 'ready' ELSE 'pending' END
            ELSE image.status END,
        error = CASE WHEN p.has_new_bytes OR p.has_new_recipe THEN NULL ELSE image.error END,
        tries = CASE WHEN p.has_new_bytes OR p.has_new_recipe THEN 0 ELSE image.tries END,
        trashed_at = CASE WHEN s.trashed_at IS NULL THEN NULL ELSE coalesce(image.trashed_at, s.trashed_at) END,
        sort_order = s.sort_order, last_order = s.last_order, was_primary = s.was_primary,
        is_primary = s.is_primary, revision = image.revision + 1, updated_at = clock_timestamp()
    FROM staged_image AS s JOIN plan_image AS p ON p.id = s.id WHERE image.id = s.id AND p.action = 'replace'
"""
# Who comes from the backup takes its place there, the others close up around them: the j-th of the others stands behind all
# that came to places before it.
_ORDER: Final = f"""
    UPDATE image SET sort_order = o.place, updated_at = CASE WHEN o.is_made THEN image.updated_at ELSE now() END
    FROM (
        SELECT id, is_made, row_number() OVER (PARTITION BY entity ORDER BY free, NOT is_placed, sort_order, id) - 1 AS place
        FROM (
            SELECT i.id, i.entity, i.sort_order, w.is_placed, p.action = 'create' AS is_made,
                   CASE WHEN w.is_placed THEN i.sort_order ELSE 0 END
                   + CASE WHEN w.is_placed THEN -1 ELSE 1 END
                   * (row_number() OVER (PARTITION BY i.entity, w.is_placed ORDER BY i.sort_order, i.id) - 1) AS free
            FROM image AS i LEFT JOIN plan_image AS p ON p.id = i.id CROSS JOIN LATERAL (SELECT
                coalesce(p.action IN ('create', 'replace') OR p.action = 'same' AND {{is_replacing}}, false) AS is_placed) AS w
            WHERE i.trashed_at IS NULL AND i.{_IN_TOUCHED}
        ) AS ranked
    ) AS o WHERE o.id = image.id AND image.sort_order <> o.place
"""
_PRIMARY: Final = f"""
    UPDATE image SET is_primary = true WHERE id IN (
        SELECT DISTINCT ON (entity) id FROM image AS i WHERE trashed_at IS NULL AND {_IN_TOUCHED}
        AND NOT EXISTS (SELECT FROM image AS x WHERE x.entity = i.entity AND x.is_primary)
        ORDER BY entity, status = 'failed', status <> 'ready', sort_order)
"""
_VERSIONS: Final = f"""
    INSERT INTO image_version ({_version_columns}) SELECT {_version_values}
    FROM staged_version AS s JOIN plan_version AS p USING (image, version) WHERE p.action = 'create' ORDER BY s.image, s.version
"""
_PINS: Final = (
    """INSERT INTO invoice_pin (invoice, items, pinned_by, pinned_at) SELECT e.pk, s.items, s.pinned_by, s.pinned_at
       FROM staged_pin AS s JOIN plan_pin AS p USING (invoice) JOIN entity AS e ON e.type = 'invoices' AND e.id = s.invoice
       WHERE p.action IN ('create', 'replace') ORDER BY e.pk""",
    f"""INSERT INTO pinned_picture (pin, {_pinned_columns}) SELECT pin.pk, {_pinned_values}
        FROM staged_pinned AS s JOIN plan_pin AS p USING (invoice) JOIN entity AS e ON e.type = 'invoices' AND e.id = s.invoice
        JOIN invoice_pin AS pin ON pin.invoice = e.pk
        WHERE p.action IN ('create', 'replace') ORDER BY pin.pk, s.position""",
)
_KEYS: Final = (
    f"""INSERT INTO embed_key ({_key_columns}) SELECT {_key_values}
        FROM staged_key AS s JOIN plan_key AS p USING (id) WHERE p.action = 'create' ORDER BY s.id""",
    f"""UPDATE embed_key SET ({_KEY_FACTS}, revoked_at) = ({_of("s", _KEY_FACTS)},
            CASE WHEN p.returns THEN NULL ELSE coalesce(embed_key.revoked_at, s.revoked_at) END)
        FROM staged_key AS s JOIN plan_key AS p USING (id) WHERE embed_key.id = s.id AND p.action = 'replace'""",
)
# Caches in front may remember that a picture was not there.
_EDGE: Final = """
    INSERT INTO edge_purge (image, entity_type, noted_at) SELECT id, of_type, now() FROM plan_image
    WHERE action = 'create' AND EXISTS (SELECT FROM portal_state WHERE name = 'edge')
"""
_FORGET_PURGES: Final = "DELETE FROM object_purge USING wanted_object AS w WHERE object_purge.key = w.key"
_UNRENDERED: Final = """
    SELECT i.id, i.version FROM image AS i JOIN plan_image AS p ON p.id = i.id
    WHERE p.action IN ('create', 'replace') AND i.status <> 'failed' AND i.error IS NULL AND i.id > $1
      AND coalesce(i.renditions ->> 'of', '') <> i.version || '.' || i.rendering ORDER BY i.id LIMIT $2
"""
# Sets of a version before the present one, which only the picture itself had still shown.
_LEFT_SETS: Final = """
    SELECT i.id, p.of_type, i.renditions FROM image AS i JOIN plan_image AS p ON p.id = i.id
    WHERE p.action = 'replace' AND p.has_new_bytes AND p.has_whole_set
      AND split_part(i.renditions ->> 'of', '.', 1) <> i.version::text
"""
_CROWDED: Final = """
    SELECT v.image, p.of_type FROM image_version AS v JOIN plan_image AS p ON p.id = v.image
    WHERE p.action IN ('same', 'replace') GROUP BY 1, 2 HAVING count(*) > $1
"""
_REPLACED_PINS: Final = """
    SELECT e.pk, e.id FROM plan_pin AS p JOIN entity AS e ON e.type = 'invoices' AND e.id = p.invoice
    WHERE p.action = 'replace' ORDER BY e.pk
"""


async def write(*, is_replacing: bool, actor: Actor) -> None:
    for statement in _ENTITIES:
        await database.execute(statement)
    await _write_images(is_replacing=is_replacing)
    await database.execute(_VERSIONS)
    await _write_pins(actor)
    for statement in (*_KEYS, _EDGE):
        await database.execute(statement)
    await _drop_crowded(actor)
    await database.execute(_FORGET_PURGES)  # last: what was let go of on the way may be what comes
    await _queue_renders()


async def _write_images(*, is_replacing: bool) -> None:
    said = str(is_replacing).lower()
    left = await database.fetch(_LEFT_SETS)
    await database.execute(_KEEP_PRESENT)
    await database.execute(_STEP_DOWN.replace("{is_replacing}", said))
    await database.execute(_REPLACED)
    await database.execute(_IMAGES)
    await database.execute(_ORDER.replace("{is_replacing}", said))
    await database.execute(_PRIMARY)
    for row in left:
        stored = json.loads(row["renditions"])
        if not await is_kept(row["id"], stored["of"]):
            await purge_after_commit(keys_of_set(row["of_type"], row["id"], stored))


async def _write_pins(actor: Actor) -> None:
    for row in await database.fetch(_REPLACED_PINS):
        gallery = places.LockedGallery(row["pk"], EntityRef("invoices", row["id"]))
        await release_pin(gallery, actor=actor, deletes_per_hour=0)
    for statement in _PINS:
        await database.execute(statement)


async def _drop_crowded(actor: Actor) -> None:
    for row in await database.fetch(_CROWDED, KEPT):
        await drop_old_versions(row["of_type"], row["image"], KEPT, actor=actor, deletes_per_hour=0)


async def _queue_renders() -> None:
    last = "00000000-0000-0000-0000-000000000000"
    while waiting := await database.fetch(_UNRENDERED, last, _AT_ONCE):
        payloads = [{"image": str(row["id"]), "version": row["version"]} for row in waiting]
        await enqueue_many(RENDER, payloads, priority=BULK)
        last = waiting[-1]["id"]
