"""Which job tries which one again."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T02:44:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "jobs that try another one again"

UP = [
    "CREATE INDEX ix_job_retry_of ON job (retry_of) WHERE retry_of IS NOT NULL",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
