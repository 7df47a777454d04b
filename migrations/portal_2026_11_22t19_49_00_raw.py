"""One row for each version of an image that was replaced."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-22T19:49:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "versions: indexes and checks"

UP = [
    "CREATE UNIQUE INDEX uq_image_version_image_version ON image_version (image, version)",
    """ALTER TABLE image_version ADD CONSTRAINT ck_image_version_size
        CHECK (bytes > 0 AND width > 0 AND height > 0 AND frames > 0 AND version > 0)""",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
