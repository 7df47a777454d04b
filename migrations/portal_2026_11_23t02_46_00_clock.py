"""Stages and schedules, as metrics ask for them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T02:46:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of stages and of jobs by schedule"

UP = [
    "CREATE INDEX ix_request_minute_stage ON request_minute (route) WHERE route LIKE 'stage %' OR route LIKE 'store %'",
    "CREATE INDEX ix_job_schedule ON job (schedule, finished_at) WHERE schedule IS NOT NULL AND state = 'succeeded'",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
