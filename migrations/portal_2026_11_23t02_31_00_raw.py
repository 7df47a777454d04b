"""Findings, quarantine, jobs, schedules, seals, days: indexes and checks."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T02:31:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "maintenance: indexes and checks"

UP = [
    # one open finding for each thing that is wrong
    """CREATE UNIQUE INDEX uq_finding_open ON finding
        (kind, coalesce(key, ''), coalesce(image, '00000000-0000-0000-0000-000000000000'::uuid)) WHERE state = 'open'""",
    "CREATE INDEX ix_finding_state ON finding (state, found_at, id)",
    "ALTER TABLE finding ADD CONSTRAINT ck_finding_state CHECK (state IN ('open', 'repaired', 'gone'))",
    "CREATE INDEX ix_quarantined_held ON quarantined (taken_at, id) WHERE restored_at IS NULL AND removed_at IS NULL",
    "CREATE INDEX ix_quarantined_finding ON quarantined (finding)",
    "CREATE INDEX ix_stored_count_part ON stored_count (part)",
    "CREATE UNIQUE INDEX uq_stored_day_day_part ON stored_day (day, part)",
    "CREATE INDEX ix_preset_change_name ON preset_change (name, pk)",
    "ALTER TABLE preset_change ADD CONSTRAINT ck_preset_change_state CHECK (state IN ('rolling', 'done', 'cancelled'))",
    "CREATE UNIQUE INDEX uq_request_minute ON request_minute (minute, process, route)",
    "CREATE INDEX ix_job_state ON job (state, id)",
    "CREATE INDEX ix_job_kind ON job (kind, id)",
    "CREATE INDEX ix_worker_seen_seen_at ON worker_seen (seen_at)",
    "CREATE INDEX ix_audit_at ON audit (at)",
    "CREATE INDEX ix_audit_action ON audit (action, pk)",
    "CREATE INDEX ix_image_failed ON image (updated_at, id) WHERE status = 'failed' OR error IS NOT NULL",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
