"""A picture that goes to another entity takes its old versions along in the counters, and caches in front forget it."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T14:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "pictures that move: triggers"

UP = [
    # the counters' own triggers see the picture; its versions are rows that nobody touches
    """CREATE FUNCTION recount_moved_versions() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO stored_count (entity_type, month, status, is_trashed, part, pieces, bytes)
            SELECT e.type, date_trunc('month', v.created_at AT TIME ZONE 'UTC')::date, 'old', false, p.part,
                   sum(side.sign), sum(side.sign * p.bytes)
            FROM (VALUES (OLD.entity, -1), (NEW.entity, 1)) AS side (entity, sign) JOIN entity e ON e.pk = side.entity
            CROSS JOIN image_version v CROSS JOIN LATERAL version_parts(v.bytes, v.renditions) AS p
            WHERE v.image = NEW.id GROUP BY 1, 2, 5 HAVING sum(side.sign) <> 0;
            RETURN NULL; END $$""",
    """CREATE TRIGGER recount_moved_versions AFTER UPDATE OF entity ON image FOR EACH ROW
        WHEN (OLD.entity IS DISTINCT FROM NEW.entity) EXECUTE FUNCTION recount_moved_versions()""",
    """CREATE TRIGGER image_moved_at_edge AFTER UPDATE OF entity ON image FOR EACH ROW
        WHEN (OLD.entity IS DISTINCT FROM NEW.entity) EXECUTE FUNCTION note_edge_purge()""",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
