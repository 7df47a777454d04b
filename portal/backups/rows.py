"""What a backup says of rows: for each manifest one statement that gives its lines, as JSON, in the order of their ids.

A line holds the columns by their names. Keys that the database makes itself (`pk`) are not in it: a line names an entity by
its `id` (its type is that of the manifest), an image by its `id`. Times are ISO 8601, numerics and bytea text (`\\x…` in hex).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from portal.backups import layout

# What a table has and a line has not: keys of this database alone, and what PostgreSQL works out again.
LEFT_OUT: Final = {
    "entity": {"pk"},
    "invoice_line": {"pk"},
    "image": {"entity"},  # said as `entity`, by its id
    "image_version": {"pk"},
    "invoice_pin": {"pk", "invoice"},
    "pinned_picture": {"pk", "pin"},
    "embed_key": set[str](),
    "preset_change": {"pk", "job"},
}
_BYTES_FACTS: Final = (
    "filename, media_type, extension, bytes, width, height, frames, sha256, placeholder, exif, fingerprint"
)
_WANTED_FACTS: Final = "focal_x, focal_y, edits, rendering, renditions, uploaded_by"


@dataclass(frozen=True, slots=True)
class Rows:
    """`select` takes an entity type as $1 and gives one column, the line's text; `table`: where the rows stand."""

    manifest: str
    table: str
    columns: tuple[str, ...]
    select: str


def _rows(manifest: str, table: str, columns: str, source: str, *, more: str = "", order: str) -> Rows:
    names = tuple(name.strip() for name in columns.split(","))
    picked = ", ".join(f"{table}.{name}" + ("::text" if name in _AS_TEXT else "") for name in names) + more
    select = f"SELECT row_to_json(line)::text FROM (SELECT {picked} FROM {source} ORDER BY {order}) AS line"  # noqa: S608 - constants
    return Rows(manifest, table, names, select)


_AS_TEXT: Final = frozenset({"total", "quantity", "unit_price"})  # amounts: no float on their way

OF_TYPE: Final = (
    _rows(
        layout.ENTITIES,
        "entity",
        "type, id, name, reference, parent_type, parent_id, attributes, number, date, currency, total, created_at, updated_at",
        "entity WHERE entity.type = $1",
        order="entity.id",
    ),
    _rows(
        layout.LINES,
        "invoice_line",
        "position, item, description, quantity, unit_price",
        "invoice_line JOIN entity ON entity.pk = invoice_line.invoice WHERE entity.type = $1",
        more=", entity.id AS invoice",
        order="entity.id, invoice_line.position",
    ),
    _rows(
        layout.IMAGES,
        "image",
        f"id, {_BYTES_FACTS}, status, error, tries, alt_text, decorative, caption, tags, is_primary, sort_order, last_order,"
        f" was_primary, version, revision, attributes, trashed_at, created_at, updated_at, {_WANTED_FACTS}",
        "image JOIN entity ON entity.pk = image.entity WHERE entity.type = $1",
        more=", entity.id AS entity",
        order="image.id",
    ),
    _rows(
        layout.VERSIONS,
        "image_version",
        f"image, version, {_BYTES_FACTS}, {_WANTED_FACTS}, created_at, replaced_at",
        "image_version JOIN image ON image.id = image_version.image JOIN entity ON entity.pk = image.entity"
        " WHERE entity.type = $1",
        order="image_version.image, image_version.version",
    ),
    _rows(
        layout.PINS,
        "invoice_pin",
        "items, pinned_by, pinned_at",
        "invoice_pin JOIN entity ON entity.pk = invoice_pin.invoice WHERE entity.type = $1",
        more=", entity.id AS invoice",
        order="entity.id",
    ),
    _rows(
        layout.PINNED,
        "pinned_picture",
        "image, item, position, version, renditions",
        "pinned_picture JOIN invoice_pin ON invoice_pin.pk = pinned_picture.pin"
        " JOIN entity ON entity.pk = invoice_pin.invoice WHERE entity.type = $1",
        more=", entity.id AS invoice",
        order="entity.id, pinned_picture.position",
    ),
    _rows(
        layout.EMBED_KEYS,
        "embed_key",
        "id, key_hash, scope_type, scope_id, presets, parents, captions, created_by, created_at, expires_at, revoked_at",
        "embed_key WHERE embed_key.scope_type = $1",
        order="embed_key.id",
    ),
)

# Of the whole portal; no entity type is asked for.
SIZES: Final = (
    "SELECT row_to_json(line)::text FROM (SELECT name, width, height, quality, state, decided_by, decided_at, ended_at"
    " FROM preset_change ORDER BY pk) AS line"
)
AUDIT: Final = """
    SELECT row_to_json(line)::text FROM (
        SELECT audit.pk, audit.at, audit.actor, audit.action, audit.subject_type, audit.subject_id, audit.request_id,
               change.before, change.after
        FROM audit LEFT JOIN audit_change AS change ON change.audit = audit.pk ORDER BY audit.pk
    ) AS line
"""

_NAME: Final = "right(id::text, 2) || '/' || id || '-v' || version"
# Lines of every object that these rows need, once each, in the order of its SHA-256; `key`: one place in the store where it lies,
# as storage.keys names it. None of what is said needs to be escaped.
OBJECTS: Final = f"""
    WITH owned AS (
        SELECT image.id, image.version, image.extension, image.sha256, image.bytes, image.renditions
        FROM image JOIN entity ON entity.pk = image.entity WHERE entity.type = $1
    ), kept AS (
        SELECT v.image AS id, v.version, v.extension, v.sha256, v.bytes, v.renditions
        FROM image_version AS v JOIN image ON image.id = v.image JOIN entity ON entity.pk = image.entity WHERE entity.type = $1
    ), sets AS (
        SELECT id, renditions FROM owned UNION ALL SELECT id, renditions FROM kept
        UNION ALL SELECT p.image, p.renditions
        FROM pinned_picture AS p JOIN image ON image.id = p.image JOIN entity ON entity.pk = image.entity WHERE entity.type = $1
    ), objects AS (
        SELECT sha256, bytes, id, version, extension, NULL::int AS rendering, NULL::text AS name FROM owned
        UNION ALL SELECT sha256, bytes, id, version, extension, NULL, NULL FROM kept
        UNION ALL SELECT item.value ->> 'sha256', (item.value ->> 'bytes')::bigint, sets.id,
                         split_part(sets.renditions ->> 'of', '.', 1)::int, NULL,
                         split_part(sets.renditions ->> 'of', '.', 2)::int, item.key
        FROM sets CROSS JOIN LATERAL jsonb_each(sets.renditions -> 'items') AS item
    )
    SELECT '{{"sha256": "' || sha256 || '", "bytes": ' || bytes || ', "key": "' || $1 || CASE
        WHEN name IS NULL THEN '/' || {_NAME} || '.' || extension
        WHEN name = 'optimized' THEN '/optimized/' || {_NAME} || '.' || rendering || '.jpg'
        ELSE '/thumbnails/' || {_NAME} || '.' || rendering || '-' || name || '.jpg'
    END || '"}}' AS line
    FROM (SELECT DISTINCT ON (sha256 COLLATE "C") * FROM objects ORDER BY sha256 COLLATE "C", id) AS once
"""  # noqa: S608 - constants
