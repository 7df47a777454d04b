"""What advice is read by, at once among a million pictures."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T02:47:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "advice: functions and indexes"

_SHOWN = "image_shown_width(width, height, edits), image_shown_height(width, height, edits)"
_SAVED = "image_bytes_to_save(bytes, width, height, renditions)"

UP = [
    # how many bytes fewer the original had at 2400 pixels, as dense as its own large rendition; NULL where there is none
    """CREATE FUNCTION image_bytes_to_save(bytes bigint, width int, height int, renditions jsonb) RETURNS bigint
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT bytes - ((renditions #>> '{items,optimized,bytes}')::float8 * power(least(greatest(width, height), 2400)
            / greatest((renditions #>> '{items,optimized,width}')::float8, (renditions #>> '{items,optimized,height}')::float8), 2)
        )::bigint $$""",
    # of what the edits leave of the original
    """CREATE FUNCTION image_shown_width(width int, height int, edits jsonb) RETURNS int
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE WHEN edits = '{}' THEN width
            WHEN edits ->> 'rotate' IN ('90', '270') THEN round(height * coalesce((edits #>> '{crop,height}')::float8, 1))::int
            ELSE round(width * coalesce((edits #>> '{crop,width}')::float8, 1))::int END $$""",
    """CREATE FUNCTION image_shown_height(width int, height int, edits jsonb) RETURNS int
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE WHEN edits = '{}' THEN height
            WHEN edits ->> 'rotate' IN ('90', '270') THEN round(width * coalesce((edits #>> '{crop,width}')::float8, 1))::int
            ELSE round(height * coalesce((edits #>> '{crop,height}')::float8, 1))::int END $$""",
    f"""CREATE INDEX ix_image_bytes_to_save ON image ({_SAVED} DESC, id)
        WHERE status = 'ready' AND trashed_at IS NULL AND frames = 1 AND {_SAVED} >= 500000""",
    f"CREATE INDEX ix_image_shown_side ON image (greatest({_SHOWN}), id) WHERE status = 'ready' AND trashed_at IS NULL",
    """CREATE INDEX ix_image_entity_without_alt ON image (entity)
        WHERE alt_text IS NULL AND NOT decorative AND trashed_at IS NULL""",
    # by which presets a set was made, to find those that are not in force any more
    """CREATE INDEX ix_image_made_by ON image ((coalesce(renditions #> '{made_of,presets}', '{}'::jsonb)), id)
        WHERE renditions <> '{}'""",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
