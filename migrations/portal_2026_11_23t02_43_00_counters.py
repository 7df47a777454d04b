"""Counters of what is stored, kept by triggers, and an index by which the best and the worst compression are found.

A statement that changes images or versions adds rows with the differences it made: rows that nobody else changes, so that
no writer waits for another one's counter. Who sums them reads the figure (`portal.gallery.counters`).
"""

# ruff: noqa: S608 - every piece of SQL is a constant of this file
from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T02:43:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "maintenance: counters"

_MONTH = "date_trunc('month', {} AT TIME ZONE 'UTC')::date"
# are its renditions still those of an older version, which owns them too?
_SHARED = "coalesce(split_part({0}renditions ->> 'of', '.', 1) <> {0}version::text, false)"
_IMAGE = f"""entity, {_MONTH.format("created_at")} AS month, status, trashed_at IS NOT NULL AS is_trashed, bytes, renditions,
    {_SHARED.format("")} AS is_shared"""
_VERSION = f"image, {_MONTH.format('created_at')} AS month, bytes, renditions"
_INTO = "INSERT INTO stored_count (entity_type, month, status, is_trashed, part, pieces, bytes)"

# A connection keeps the plan that it made for its first statement, of one row or of a million. So nothing here has a plan
# that suits but one of them: rows that only changed otherwise cancel themselves, grouped by what counts, without a join of old
# with new; and whose they are is looked up one by one, never by a pass over all entities (OFFSET 0 keeps it apart).
_IMAGES_CHANGED = f"""
    {_INTO}
    SELECT e.type, c.month, c.status, c.is_trashed, p.part, sum(c.more), sum(c.more * p.bytes)
    FROM (SELECT entity, month, status, is_trashed, bytes, renditions, is_shared, sum(sign) AS more
          FROM ({{changed}}) AS sides GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(sign) <> 0) AS c
    CROSS JOIN LATERAL (SELECT type FROM entity WHERE pk = c.entity OFFSET 0) AS e
    CROSS JOIN LATERAL image_parts(c.bytes, c.renditions, c.is_shared) AS p
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(c.more) <> 0 OR sum(c.more * p.bytes) <> 0;
"""
_VERSIONS_CHANGED = f"""
    {_INTO}
    SELECT e.type, c.month, 'old', false, p.part, sum(c.more), sum(c.more * p.bytes)
    FROM (SELECT image, month, bytes, renditions, sum(sign) AS more
          FROM ({{changed}}) AS sides GROUP BY 1, 2, 3, 4 HAVING sum(sign) <> 0) AS c
    CROSS JOIN LATERAL (SELECT entity FROM image WHERE id = c.image OFFSET 0) AS i
    CROSS JOIN LATERAL (SELECT type FROM entity WHERE pk = i.entity OFFSET 0) AS e
    CROSS JOIN LATERAL version_parts(c.bytes, c.renditions) AS p
    GROUP BY 1, 2, 5 HAVING sum(c.more) <> 0 OR sum(c.more * p.bytes) <> 0;
"""
_SIDES = {
    "INSERT": [("new_rows", 1)],
    "UPDATE": [("new_rows", 1), ("old_rows", -1)],
    "DELETE": [("old_rows", -1)],
}


def _triggers(table: str, columns: str, noted: str) -> list[str]:
    made: list[str] = []
    for event, sides in _SIDES.items():
        changed = " UNION ALL ".join(f"SELECT {columns}, {sign} AS sign FROM {rows}" for rows, sign in sides)
        name = f"count_{table}_{event.lower()}"
        referencing = " ".join(f"{rows[:3].upper()} TABLE AS {rows}" for rows, _ in sides)
        body = f"BEGIN {noted.format(changed=changed)} RETURN NULL; END"
        made += [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
            f"""CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {referencing}
                FOR EACH STATEMENT EXECUTE FUNCTION {name}()""",
        ]
    return made


UP = [
    """CREATE FUNCTION image_parts(bytes bigint, renditions jsonb, is_shared boolean) RETURNS TABLE (part text, bytes bigint)
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT 'original', $1
            UNION ALL SELECT key, (value ->> 'bytes')::bigint FROM jsonb_each($2 -> 'items')
            UNION ALL SELECT 'shared', (value ->> 'bytes')::bigint FROM jsonb_each($2 -> 'items') WHERE $3
            UNION ALL SELECT 'compressible', $1 WHERE $2 -> 'items' ? 'optimized' $$""",
    """CREATE FUNCTION version_parts(bytes bigint, renditions jsonb) RETURNS TABLE (part text, bytes bigint)
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT 'version', $1
            UNION ALL SELECT 'version_set', (value ->> 'bytes')::bigint FROM jsonb_each($2 -> 'items') $$""",
    *_triggers("image", _IMAGE, _IMAGES_CHANGED),
    *_triggers("image_version", _VERSION, _VERSIONS_CHANGED),
    # What goes with its owner is counted before that: afterwards nobody knows the type any more. Rows are locked first, so
    # that what is counted is what goes.
    f"""CREATE FUNCTION uncount_versions() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM FROM image_version WHERE image = OLD.id FOR UPDATE;
            IF FOUND THEN
                {_INTO}
                SELECT e.type, {_MONTH.format("v.created_at")}, 'old', false, p.part, -count(*), -sum(p.bytes)
                FROM image_version v JOIN entity e ON e.pk = OLD.entity CROSS JOIN LATERAL version_parts(v.bytes, v.renditions) AS p
                WHERE v.image = OLD.id GROUP BY 1, 2, 5;
            END IF;
            RETURN OLD; END $$""",
    """CREATE TRIGGER uncount_versions BEFORE DELETE ON image FOR EACH ROW EXECUTE FUNCTION uncount_versions()""",
    f"""CREATE FUNCTION uncount_entity() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM FROM image WHERE entity = OLD.pk ORDER BY id FOR UPDATE;
            IF FOUND THEN
                PERFORM FROM image_version WHERE image IN (SELECT id FROM image WHERE entity = OLD.pk) FOR UPDATE;
                {_INTO}
                SELECT OLD.type, {_MONTH.format("i.created_at")}, i.status, i.trashed_at IS NOT NULL, p.part, -count(*), -sum(p.bytes)
                FROM image i CROSS JOIN LATERAL image_parts(i.bytes, i.renditions, {_SHARED.format("i.")}) AS p
                WHERE i.entity = OLD.pk GROUP BY 2, 3, 4, 5
                UNION ALL
                SELECT OLD.type, {_MONTH.format("v.created_at")}, 'old', false, p.part, -count(*), -sum(p.bytes)
                FROM image i JOIN image_version v ON v.image = i.id CROSS JOIN LATERAL version_parts(v.bytes, v.renditions) AS p
                WHERE i.entity = OLD.pk GROUP BY 2, 5;
            END IF;
            RETURN OLD; END $$""",
    """CREATE TRIGGER uncount_entity BEFORE DELETE ON entity FOR EACH ROW EXECUTE FUNCTION uncount_entity()""",
    # what the counters must say
    f"""CREATE FUNCTION stored_counted()
        RETURNS TABLE (entity_type varchar, month date, status varchar, is_trashed boolean, part text, pieces bigint, bytes bigint)
        LANGUAGE sql STABLE AS $$
            SELECT e.type, {_MONTH.format("i.created_at")}, i.status, i.trashed_at IS NOT NULL, p.part, count(*), sum(p.bytes)::bigint
            FROM image i JOIN entity e ON e.pk = i.entity
            CROSS JOIN LATERAL image_parts(i.bytes, i.renditions, {_SHARED.format("i.")}) AS p
            GROUP BY 1, 2, 3, 4, 5
            UNION ALL
            SELECT e.type, {_MONTH.format("v.created_at")}, 'old', false, p.part, count(*), sum(p.bytes)::bigint
            FROM image_version v JOIN image i ON i.id = v.image JOIN entity e ON e.pk = i.entity
            CROSS JOIN LATERAL version_parts(v.bytes, v.renditions) AS p
            GROUP BY 1, 2, 5 $$""",
    f"{_INTO} SELECT * FROM stored_counted()",
    # how much smaller its large rendition is than an original: the least and the most in one look
    """CREATE INDEX ix_image_compression
        ON image (((renditions #>> '{items,optimized,bytes}')::bigint * 1000000 / greatest(bytes, 1)), id)
        WHERE trashed_at IS NULL AND renditions #>> '{items,optimized,bytes}' IS NOT NULL""",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
