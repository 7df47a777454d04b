"""The audit: indexes for its page, and seals that can only grow as its lines do."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T02:48:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "audit: indexes for reading, seals are append-only"

UP = [
    "CREATE INDEX ix_audit_actor ON audit (actor, pk)",
    "CREATE INDEX ix_audit_request ON audit (request_id, pk) WHERE request_id IS NOT NULL",
    "CREATE INDEX ix_audit_seal_pruned ON audit_seal (pk) WHERE pruned_at IS NULL",
    "CREATE INDEX ix_audit_seal_sealed_at ON audit_seal (sealed_at)",
    # erasure and retention say so explicitly, in their own transaction, as for the lines
    "CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE ON audit_seal FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()",
    "CREATE TRIGGER audit_leaf_append_only BEFORE UPDATE OR DELETE ON audit_leaf FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
