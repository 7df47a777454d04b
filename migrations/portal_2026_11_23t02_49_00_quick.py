"""What lists and counts are read by, among a million pictures."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T02:49:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "quick: indexes"

UP = [
    # how many of a type there are, and who of them lacks a picture, without a look at the table
    "CREATE INDEX ix_entity_type_pk ON entity (type, pk)",
    # those in the trash are nobody's work any more: without them the menu's number is counted in the index alone
    "DROP INDEX ix_image_failed",
    """CREATE INDEX ix_image_failed ON image (updated_at, id)
        WHERE (status = 'failed' OR error IS NOT NULL) AND trashed_at IS NULL""",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
