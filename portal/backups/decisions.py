"""What a restore does with each staged row, decided by comparing it with what is live: tables `plan_…` of the same connection.

`action` is create, replace, same (as in the backup already), skip (it is there and differs, and stays) or conflict (it is
there and differs so that even a replace leaves it alone); `differs` says in what. Statements without parameters: constants,
and the two words of `Choice`.
"""

# ruff: noqa: S608 - every piece of SQL is a constant of this file
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from portal import database
from portal.gallery.disposal import KEPT

PLANS: Final = ("plan_entity", "plan_image", "plan_version", "plan_pin", "plan_pinned", "plan_key", "wanted_object")


@dataclass(frozen=True, slots=True)
class Choice:
    """`is_of_one_image`: its entity is brought along where it is missing, and else left as it is."""

    is_replacing: bool = False
    is_of_one_image: bool = False


def _differences(columns: str, *, left: str = "live", right: str = "s") -> str:
    """An array of the names in which two rows differ."""
    each = (f"CASE WHEN {left}.{name} IS DISTINCT FROM {right}.{name} THEN '{name}' END" for name in columns.split())
    return f"ARRAY[{', '.join(each)}]::text[]"


_ENTITY_FACTS: Final = "name reference parent_type parent_id attributes number date currency total"
_TEXTS: Final = "filename alt_text decorative caption tags attributes"
_PLACE: Final = "sort_order is_primary"
_KEY_FACTS: Final = "key_hash scope_type scope_id presets parents captions expires_at"
_LINE: Final = "jsonb_agg(jsonb_build_array(position, item, description, quantity, unit_price) ORDER BY position)"

_ENTITIES: Final = f"""
    CREATE TEMP TABLE plan_entity AS
    SELECT s.type, s.id, s.name, live.pk, d.differs,
           CASE WHEN live.pk IS NULL THEN 'create' WHEN d.differs = '{{}}' OR {{is_of_one_image}} THEN 'same'
                WHEN {{is_replacing}} THEN 'replace' ELSE 'skip' END AS action
    FROM staged_entity AS s LEFT JOIN entity AS live ON live.type = s.type AND live.id = s.id
    CROSS JOIN LATERAL (SELECT array_remove({_differences(_ENTITY_FACTS)} || CASE WHEN s.type = 'invoices'
        AND (SELECT {_LINE} FROM invoice_line WHERE invoice = live.pk)
            IS DISTINCT FROM (SELECT {_LINE} FROM staged_line WHERE invoice = s.id) THEN 'lines' END, NULL) AS differs) AS d
"""
# `owner`: whose gallery it is in now. Its next version is beyond all that anybody has, has had or brings along.
_IMAGES: Final = f"""
    CREATE TEMP TABLE plan_image AS
    SELECT s.id, s.of_type, s.entity, owner.type || '/' || owner.id AS live_in, live.version AS live_version, d.differs,
           live.sha256 <> s.sha256 AS has_new_bytes,
           live.sha256 = s.sha256 AND 'recipe' = ANY(d.differs) AS has_new_recipe,
           s.renditions ->> 'of' IS NOT DISTINCT FROM s.version || '.' || s.rendering AS has_whole_set,
           CASE WHEN live.sha256 <> s.sha256 THEN 1 + greatest(live.version, s.version,
                    (SELECT max(version) FROM image_version WHERE image = s.id),
                    (SELECT max(version) FROM staged_version WHERE image = s.id),
                    (SELECT max(version) FROM taken_version WHERE image = s.id))
                ELSE coalesce(live.version, s.version) END AS version,
           CASE WHEN live.id IS NULL THEN 'create'
                WHEN (owner.type, owner.id) <> (s.of_type, s.entity) THEN 'conflict'
                WHEN d.differs = '{{}}' THEN 'same' WHEN {{is_replacing}} THEN 'replace' ELSE 'skip' END AS action
    FROM staged_image AS s LEFT JOIN image AS live ON live.id = s.id LEFT JOIN entity AS owner ON owner.pk = live.entity
    CROSS JOIN LATERAL (SELECT array_remove(ARRAY[
        CASE WHEN live.sha256 <> s.sha256 THEN 'bytes' END,
        CASE WHEN (live.edits, live.focal_x, live.focal_y) IS DISTINCT FROM (s.edits, s.focal_x, s.focal_y) THEN 'recipe' END,
        CASE WHEN (live.trashed_at IS NULL) <> (s.trashed_at IS NULL) THEN 'trash' END]
        || {_differences(_TEXTS)} || CASE WHEN live.trashed_at IS NULL AND s.trashed_at IS NULL
            THEN {_differences(_PLACE)} ELSE '{{}}' END, NULL) AS differs) AS d
"""
_VERSIONS: Final = """
    CREATE TEMP TABLE plan_version AS
    SELECT s.image, s.version, NULL::text AS differs,
           CASE WHEN p.action = 'create' THEN 'create'
                WHEN p.action IN ('skip', 'conflict') THEN 'skip'
                WHEN live.sha256 = s.sha256 THEN 'same'
                WHEN live.sha256 IS NOT NULL THEN 'conflict'
                WHEN s.version > p.live_version AND (NOT p.has_new_bytes OR EXISTS (
                    SELECT FROM taken_version AS t WHERE t.image = s.image AND t.version = s.version)) THEN 'conflict'
                ELSE 'create' END AS action
    FROM staged_version AS s JOIN plan_image AS p ON p.id = s.image
    LEFT JOIN LATERAL (
        SELECT sha256 FROM image_version WHERE image = s.image AND version = s.version
        UNION ALL SELECT sha256 FROM image WHERE id = s.image AND version = s.version
    ) AS live ON true
"""
# Of a live picture no more than it may keep: the newest.
_TOO_MANY: Final = f"""
    UPDATE plan_version AS v SET action = 'skip' FROM (
        SELECT image, version, rank() OVER (PARTITION BY image ORDER BY version DESC) AS place FROM (
            SELECT v.image, v.version FROM plan_version AS v WHERE v.action = 'create'
            UNION ALL SELECT v.image, v.version FROM image_version AS v JOIN plan_image AS p ON p.id = v.image
            UNION ALL SELECT p.id, p.live_version FROM plan_image AS p WHERE p.action = 'replace' AND p.has_new_bytes
        ) AS kept WHERE image IN (SELECT id FROM plan_image WHERE action <> 'create')
    ) AS ranked WHERE ranked.image = v.image AND ranked.version = v.version AND v.action = 'create' AND ranked.place > {KEPT}
"""
# What a pinned picture shows is there (`is_live`), comes with its picture (`comes`), or can be put beside what is there,
# because nothing else will ever have its name: the version is kept, and was rendered anew since.
_PINNED: Final = """
    CREATE TEMP TABLE plan_pinned AS
    SELECT s.invoice, s.position, s.image, s.version, s.renditions, i.of_type, live.id IS NOT NULL AS has_live,
           coalesce(owned.is_live, false) AS is_live,
           coalesce(p.action = 'create' AND (s.version = i.version OR EXISTS (
               SELECT FROM staged_version AS v WHERE v.image = s.image AND v.version = s.version)), false) AS comes,
           coalesce(p.action <> 'create' AND owned.is_live IS NULL AND (
               EXISTS (SELECT FROM plan_version AS v WHERE v.image = s.image AND v.version = s.version AND v.action = 'create')
               OR split_part(s.renditions ->> 'of', '.', 2)::int < there.rendering AND there.sha256 = brought.sha256),
               false) AS fits
    FROM staged_pinned AS s
    LEFT JOIN staged_image AS i ON i.id = s.image LEFT JOIN plan_image AS p ON p.id = s.image
    LEFT JOIN image AS live ON live.id = s.image
    LEFT JOIN LATERAL (
        SELECT bool_and(held.renditions -> 'items' = s.renditions -> 'items') AS is_live FROM (
            SELECT renditions FROM image WHERE id = s.image UNION ALL SELECT renditions FROM image_version WHERE image = s.image
            UNION ALL SELECT renditions FROM pinned_picture WHERE image = s.image
        ) AS held WHERE held.renditions ->> 'of' = s.renditions ->> 'of'
    ) AS owned ON true
    LEFT JOIN LATERAL (
        SELECT rendering, sha256 FROM image WHERE id = s.image AND version = s.version
        UNION ALL SELECT rendering, sha256 FROM image_version WHERE image = s.image AND version = s.version
    ) AS there ON true
    LEFT JOIN LATERAL (
        SELECT sha256 FROM staged_image WHERE id = s.image AND version = s.version
        UNION ALL SELECT sha256 FROM staged_version WHERE image = s.image AND version = s.version
    ) AS brought ON true
"""
_PIN_SHOWS: Final = "jsonb_agg(jsonb_build_array(position, image, item, renditions ->> 'of') ORDER BY position)"
_PINS: Final = f"""
    CREATE TEMP TABLE plan_pin AS
    SELECT s.invoice, live.pk, d.differs,
           CASE WHEN live.pk IS NOT NULL AND d.differs = '{{}}' THEN 'same'
                WHEN EXISTS (SELECT FROM plan_pinned AS p WHERE p.invoice = s.invoice AND NOT (is_live OR comes OR fits))
                    OR EXISTS (SELECT FROM pin_lost AS p WHERE p.invoice = s.invoice) THEN 'conflict'
                WHEN live.pk IS NULL THEN 'create' WHEN {{is_replacing}} THEN 'replace' ELSE 'skip' END AS action
    FROM staged_pin AS s LEFT JOIN (
        SELECT invoice_pin.*, entity.id AS of_invoice FROM invoice_pin JOIN entity ON entity.pk = invoice
    ) AS live ON live.of_invoice = s.invoice
    CROSS JOIN LATERAL (SELECT array_remove(ARRAY[
        CASE WHEN (SELECT {_PIN_SHOWS} FROM pinned_picture WHERE pin = live.pk)
            IS DISTINCT FROM (SELECT {_PIN_SHOWS} FROM staged_pinned WHERE invoice = s.invoice) THEN 'pictures' END,
        CASE WHEN (SELECT array_agg(i ORDER BY i) FROM unnest(live.items) AS i)
            IS DISTINCT FROM (SELECT array_agg(i ORDER BY i) FROM unnest(s.items) AS i) THEN 'items' END], NULL) AS differs) AS d
"""
# Withdrawn by a person it stays withdrawn; with the entity that was deleted, and comes back now, it works again.
_KEYS: Final = f"""
    CREATE TEMP TABLE plan_key AS
    SELECT s.id, s.scope_type || coalesce('/' || s.scope_id, '') AS scope, d.differs, d.returns,
           CASE WHEN live.id IS NULL AND other.id IS NOT NULL THEN 'conflict' WHEN live.id IS NULL THEN 'create'
                WHEN d.differs = '{{}}' THEN 'same'
                WHEN {{is_replacing}} AND other.id IS NULL AND (d.differs <> ARRAY['revoked_at'] OR d.returns) THEN 'replace'
                WHEN {{is_replacing}} THEN 'conflict' ELSE 'skip' END AS action
    FROM staged_key AS s LEFT JOIN embed_key AS live ON live.id = s.id
    LEFT JOIN embed_key AS other ON other.key_hash = s.key_hash AND other.id <> s.id
    CROSS JOIN LATERAL (SELECT array_remove({_differences(_KEY_FACTS)} || CASE WHEN
        (live.revoked_at IS NULL) <> (s.revoked_at IS NULL) THEN 'revoked_at' END, NULL) AS differs,
        s.revoked_at IS NULL AND EXISTS (SELECT FROM plan_entity AS e WHERE e.type = s.scope_type AND e.id = s.scope_id
            AND e.action = 'create') AS returns) AS d
"""
_NAME: Final = "right(image::text, 2) || '/' || image || '-v' || version"
# As storage.keys names them. `is_new`: an original of a picture that is there, under a number that it has not come to:
# somebody else may want its name, too. `is_there`: a row owns it already, with these bytes. In the order of their folders, since
# what is brought together has each of its folders synced.
_OBJECTS: Final = f"""
    CREATE TEMP TABLE wanted_object AS
    SELECT row_number() OVER (ORDER BY key COLLATE "C") AS n, o.* FROM (
        SELECT DISTINCT of_type, image, version, is_new, is_there, sha256, bytes, of_type || CASE
            WHEN name IS NULL THEN '/' || {_NAME} || '.' || extension
            WHEN name = 'optimized' THEN '/optimized/' || {_NAME} || '.' || rendering || '.jpg'
            ELSE '/thumbnails/' || {_NAME} || '.' || rendering || '-' || name || '.jpg'
        END AS key
        FROM (
            SELECT p.of_type, p.id AS image, p.version, p.action = 'replace' AS is_new, false AS is_there, s.sha256, s.bytes,
                   s.extension, NULL::int AS rendering, NULL::text AS name
            FROM plan_image AS p JOIN staged_image AS s ON s.id = p.id
            WHERE p.action = 'create' OR p.action = 'replace' AND p.has_new_bytes
            UNION ALL
            SELECT s.of_type, s.image, s.version, coalesce(s.version > i.live_version, false), false, s.sha256, s.bytes,
                   s.extension, NULL, NULL
            FROM plan_version AS p JOIN staged_version AS s USING (image, version) JOIN plan_image AS i ON i.id = s.image
            WHERE p.action = 'create'
            UNION ALL
            SELECT sets.of_type, sets.image, split_part(sets.of, '.', 1)::int, false, sets.is_there, item.value ->> 'sha256',
                   (item.value ->> 'bytes')::bigint, NULL, split_part(sets.of, '.', 2)::int, item.key
            FROM (
                SELECT p.of_type, p.id AS image, false AS is_there, s.renditions,
                       CASE p.action WHEN 'create' THEN s.renditions ->> 'of' ELSE p.version || '.1' END AS of
                FROM plan_image AS p JOIN staged_image AS s ON s.id = p.id
                WHERE p.action = 'create' OR p.action = 'replace' AND p.has_new_bytes AND p.has_whole_set
                UNION ALL
                SELECT s.of_type, s.image, false, s.renditions, s.renditions ->> 'of'
                FROM plan_version AS p JOIN staged_version AS s USING (image, version) WHERE p.action = 'create'
                UNION ALL
                SELECT coalesce(e.type, p.of_type), p.image, p.is_live, p.renditions, p.renditions ->> 'of'
                FROM plan_pinned AS p JOIN plan_pin USING (invoice)
                LEFT JOIN image AS live ON live.id = p.image LEFT JOIN entity AS e ON e.pk = live.entity
                WHERE plan_pin.action IN ('create', 'replace')
            ) AS sets CROSS JOIN LATERAL jsonb_each(sets.renditions -> 'items') AS item
        ) AS named
    ) AS o
"""


async def decide(choice: Choice) -> None:
    """In the open transaction: compare all that is staged with what is live at this moment."""
    values = {
        "is_replacing": str(choice.is_replacing).lower(),
        "is_of_one_image": str(choice.is_of_one_image).lower(),
    }
    await database.execute(f"DROP TABLE IF EXISTS {', '.join(PLANS)}")
    await database.execute("CREATE TEMP TABLE IF NOT EXISTS taken_version (image uuid, version int)")
    for statement, table, key in (
        (_ENTITIES, "plan_entity", "type, id"),
        (_IMAGES, "plan_image", "id"),
        (_VERSIONS, "plan_version", "image, version"),
        (_TOO_MANY, None, None),
        (_PINNED, "plan_pinned", "invoice"),
        (_PINS, "plan_pin", "invoice"),
        (_KEYS, "plan_key", "id"),
        (_OBJECTS, "wanted_object", "n"),
    ):
        for name, value in values.items():
            statement = statement.replace(f"{{{name}}}", value)
        await database.execute(statement)
        if table is not None:
            await database.execute(f"CREATE INDEX ON {table} ({key})")
            await database.execute(f"ANALYZE {table}")
    await database.execute("CREATE INDEX ON wanted_object (key)")
