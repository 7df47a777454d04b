"""Whose bytes an object without a row once were is asked by its SHA-256, of old versions too."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T02:41:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "checks: old versions by SHA-256"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        await DB.run_ddl("CREATE INDEX ix_image_version_sha256 ON image_version (sha256)")

    manager.add_raw(run)
    return manager
