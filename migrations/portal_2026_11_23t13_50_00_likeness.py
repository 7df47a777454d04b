"""Likenesses by parts: of two fingerprints that differ in at most seven bits, one of the four quarters differs in one at most."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T13:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "likeness: function, index"

UP = [
    """CREATE FUNCTION image_likeness(fingerprint bigint) RETURNS int[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
        SELECT ARRAY[(fingerprint & 65535)::int, ((fingerprint >> 16) & 65535)::int | 65536,
                     ((fingerprint >> 32) & 65535)::int | 131072, ((fingerprint >> 48) & 65535)::int | 196608] $$""",
    # a few thousand candidates of a million, where an index over whole fingerprints has to be read from end to end
    "DROP INDEX ix_image_fingerprint",
    """CREATE INDEX ix_image_likeness ON image USING gin (image_likeness(fingerprint))
        WHERE trashed_at IS NULL AND fingerprint IS NOT NULL""",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
