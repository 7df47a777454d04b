"""Which keys show a gallery is asked before one of its pictures goes."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T14:05:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "uses: index"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        await DB.run_ddl("CREATE INDEX ix_embed_key_scope ON embed_key (scope_type, scope_id) WHERE revoked_at IS NULL")

    manager.add_raw(run)
    return manager
