"""Bytes are looked for by their SHA-256: in the quarantine and among findings."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T02:42:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "repair: indexes"

UP = [
    "CREATE INDEX ix_quarantined_sha256 ON quarantined (sha256) WHERE restored_at IS NULL AND removed_at IS NULL",
    "CREATE INDEX ix_finding_open_kind ON finding (kind, found_at, id) WHERE state = 'open'",
    "CREATE INDEX ix_finding_open_image ON finding (image) WHERE state = 'open'",
    """CREATE INDEX ix_finding_found_sha256 ON finding ((evidence -> 'found' ->> 'sha256'))
        WHERE state = 'open' AND kind IN ('orphaned_object', 'stray_temp_file')""",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
