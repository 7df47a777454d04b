"""Pins, counts of what was served, and what caches in front of the portal shall forget."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-22T23:07:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "delivery: indexes, checks, a trigger"

UP = [
    "CREATE UNIQUE INDEX uq_invoice_pin_invoice ON invoice_pin (invoice)",
    "CREATE INDEX ix_pinned_picture_pin ON pinned_picture (pin, position)",
    "CREATE INDEX ix_pinned_picture_image_version ON pinned_picture (image, version)",
    "ALTER TABLE pinned_picture ADD CONSTRAINT ck_pinned_picture_version CHECK (version > 0 AND position >= 0)",
    "CREATE UNIQUE INDEX uq_image_usage_image_preset_day ON image_usage (image, preset, day)",
    "CREATE INDEX ix_image_usage_day ON image_usage (day, preset)",
    "CREATE UNIQUE INDEX uq_served_day_day_preset_format ON served_day (day, preset, format)",
    # only where a cache is told at all (a row `edge`); without a key on `image`, so that no change of an image ever waits here
    """CREATE FUNCTION note_edge_purge() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM portal_state WHERE name = 'edge') THEN
                INSERT INTO edge_purge (image, entity_type, noted_at)
                SELECT OLD.id, type, now() FROM entity WHERE pk = OLD.entity;
            END IF;
            RETURN NULL;
        END $$""",
    "CREATE TRIGGER image_deleted_at_edge AFTER DELETE ON image FOR EACH ROW EXECUTE FUNCTION note_edge_purge()",
    """CREATE TRIGGER image_changed_at_edge AFTER UPDATE OF renditions, trashed_at ON image FOR EACH ROW
        WHEN (OLD.renditions ->> 'of' IS DISTINCT FROM NEW.renditions ->> 'of' OR OLD.trashed_at IS DISTINCT FROM NEW.trashed_at)
        EXECUTE FUNCTION note_edge_purge()""",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
