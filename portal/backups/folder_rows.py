"""What an export says of entities and pictures: the statements, and their rows as lines of its two files.

Types are $1, an id or NULL $2.
"""

from __future__ import annotations

import json
from typing import Any, Final

from portal.backups.folder_names import folder_of
from portal.entities.forms import money_text
from portal.gallery.file_names import file_name

ENTITIES: Final = """
    SELECT type, id, name, reference, parent_type, parent_id, attributes, number, date, currency, total,
           (SELECT jsonb_agg(jsonb_build_object('item', item, 'description', description, 'quantity', quantity::text,
                                                'unit_price', unit_price::text) ORDER BY position)
            FROM invoice_line WHERE invoice = entity.pk) AS lines
    FROM entity WHERE type = ANY($1::text[]) AND ($2::text IS NULL OR id = $2) ORDER BY pk
"""
PICTURES: Final = """
    WITH twins AS MATERIALIZED (SELECT type, lower(id) AS id FROM entity GROUP BY 1, 2 HAVING count(*) > 1)
    SELECT image.id, entity.type, entity.id AS entity_id, entity.name, image.extension, image.version, image.bytes,
           image.sha256, image.filename, image.alt_text, image.decorative, image.caption, image.tags, image.is_primary,
           image.sort_order, image.focal_x, image.focal_y, image.edits, image.attributes, image.created_at,
           (entity.type, lower(entity.id)) IN (SELECT type, id FROM twins) AS has_twin,
           (SELECT max(last.sort_order) FROM image AS last WHERE last.entity = image.entity) AS last
    FROM image JOIN entity ON entity.pk = image.entity
    WHERE entity.type = ANY($1::text[]) AND ($2::text IS NULL OR entity.id = $2) AND image.sort_order IS NOT NULL
    ORDER BY image.entity, image.sort_order
"""
SUM: Final = """
    SELECT count(*) AS pictures, coalesce(sum(bytes), 0)::bigint AS bytes FROM image JOIN entity ON entity.pk = image.entity
    WHERE entity.type = ANY($1::text[]) AND ($2::text IS NULL OR entity.id = $2) AND image.sort_order IS NOT NULL
"""


def entity_line(row: Any) -> dict[str, Any]:
    """A line as `portal entities import` takes it."""
    told: dict[str, Any] = {name: row[name] for name in ("type", "id", "name", "reference")}
    told["parent"] = {"type": row["parent_type"], "id": row["parent_id"]} if row["parent_type"] else None
    told["attributes"] = json.loads(row["attributes"])
    if row["type"] == "invoices":
        told |= {"number": row["number"], "date": row["date"].isoformat() if row["date"] else None}
        told |= {"currency": row["currency"], "total": money_text(row["total"])}
        told["lines"] = json.loads(row["lines"]) if row["lines"] else []
    return told


def picture_line(row: Any) -> dict[str, str]:
    """A line of pictures.csv."""
    folder = folder_of(row["entity_id"], has_twin=row["has_twin"])
    name = file_name(row["sort_order"], row["last"], row["filename"], row["extension"])
    said = {
        "path": f"{row['type']}/{folder}/{name}",
        "entity_type": row["type"],
        "entity_name": row["name"],
        "tags": _tags_as_cell(row["tags"]),
        "decorative": "true" if row["decorative"] else "",
        "is_primary": "true" if row["is_primary"] else "",
        "edits": "" if row["edits"] == "{}" else row["edits"],
        "attributes": "" if row["attributes"] == "{}" else row["attributes"],
        "created_at": row["created_at"].isoformat(),
    }
    plain = ("entity_id", "alt_text", "caption", "sort_order", "focal_x", "focal_y", "filename", "sha256")
    return said | {name: "" if row[name] is None else str(row[name]) for name in plain}


def _tags_as_cell(tags: list[str]) -> str:
    """`red, blue`; as JSON where a comma in one of them would part it."""
    plain = not any("," in tag for tag in tags) and not "".join(tags[:1]).startswith("[")
    return ", ".join(tags) if plain else json.dumps(tags, ensure_ascii=False)
