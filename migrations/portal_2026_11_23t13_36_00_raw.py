"""Tallies of galleries and known tags, kept by triggers; one saved view of a name; fingerprints read without their rows."""

# ruff: noqa: S608 - every piece of SQL is a constant of this file
from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-23T13:36:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "everyday work: triggers, indexes"

_COLUMNS = "entity, type, images, unsaid, primary_width, primary_height"
_UNSAID = "alt_text IS NULL AND NOT decorative"
# What of a picture its gallery's tally depends on: rows that only changed otherwise cancel themselves.
_TELLING = f"""entity, trashed_at IS NULL AS is_shown, {_UNSAID} AS is_unsaid, is_primary,
    CASE WHEN is_primary THEN image_shown_width(width, height, edits) END AS wide,
    CASE WHEN is_primary THEN image_shown_height(width, height, edits) END AS high"""
_SIDES = {
    "INSERT": [("new_rows", 1)],
    "UPDATE": [("new_rows", 1), ("old_rows", -1)],
    "DELETE": [("old_rows", -1)],
}
# Whoever changes a gallery holds its entity's lock, so nobody counts beside. Entity by entity (OFFSET 0): no plan that was made
# for one row meets a million. An entity that is just going is not found, and its tally goes with it.
_RETALLY = f"""
    INSERT INTO entity_tally ({_COLUMNS})
    SELECT t.* FROM (SELECT DISTINCT entity FROM (
            SELECT entity FROM ({{changed}}) AS sides
            GROUP BY entity, is_shown, is_unsaid, is_primary, wide, high HAVING sum(sign) <> 0) AS telling ORDER BY entity) AS c
    CROSS JOIN LATERAL (SELECT * FROM entity_tallied(c.entity) OFFSET 0) AS t
    ON CONFLICT (entity) DO UPDATE SET images = excluded.images, unsaid = excluded.unsaid,
        primary_width = excluded.primary_width, primary_height = excluded.primary_height;
"""


def _triggers() -> list[str]:
    made: list[str] = []
    for event, sides in _SIDES.items():
        changed = " UNION ALL ".join(f"SELECT {_TELLING}, {sign} AS sign FROM {rows}" for rows, sign in sides)
        name = f"tally_image_{event.lower()}"
        referencing = " ".join(f"{rows[:3].upper()} TABLE AS {rows}" for rows, _ in sides)
        made += [
            f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_RETALLY.format(changed=changed)}
                RETURN NULL; END $$""",
            f"""CREATE TRIGGER {name} AFTER {event} ON image REFERENCING {referencing}
                FOR EACH STATEMENT EXECUTE FUNCTION {name}()""",
        ]
    return made


UP = [
    # what the tallies must say: of one entity, or of all
    """CREATE FUNCTION entity_tallied(one bigint DEFAULT NULL) RETURNS TABLE
        (entity bigint, type varchar, images int, unsaid int, primary_width int, primary_height int)
        LANGUAGE plpgsql STABLE AS $$ BEGIN
            IF one IS NOT NULL THEN RETURN QUERY
                SELECT e.pk, e.type, count(i.id)::int, (count(i.id) FILTER (WHERE i.alt_text IS NULL AND NOT i.decorative))::int,
                       max(image_shown_width(i.width, i.height, i.edits)) FILTER (WHERE i.is_primary),
                       max(image_shown_height(i.width, i.height, i.edits)) FILTER (WHERE i.is_primary)
                FROM entity e LEFT JOIN image i ON i.entity = e.pk AND i.trashed_at IS NULL
                WHERE e.pk = one GROUP BY e.pk;
            ELSE RETURN QUERY
                SELECT e.pk, e.type, coalesce(c.images, 0), coalesce(c.unsaid, 0), c.wide, c.high
                FROM entity e LEFT JOIN (
                    SELECT i.entity AS of, count(*)::int AS images,
                           (count(*) FILTER (WHERE i.alt_text IS NULL AND NOT i.decorative))::int AS unsaid,
                           max(image_shown_width(i.width, i.height, i.edits)) FILTER (WHERE i.is_primary) AS wide,
                           max(image_shown_height(i.width, i.height, i.edits)) FILTER (WHERE i.is_primary) AS high
                    FROM image i WHERE i.trashed_at IS NULL GROUP BY i.entity) AS c ON c.of = e.pk;
            END IF; END $$""",
    """CREATE FUNCTION tally_entity() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO entity_tally (entity, type) SELECT pk, type FROM new_rows;
            RETURN NULL; END $$""",
    """CREATE TRIGGER tally_entity AFTER INSERT ON entity REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION tally_entity()""",
    *_triggers(),
    f"INSERT INTO entity_tally ({_COLUMNS}) SELECT * FROM entity_tallied()",
    # few of many: each filter of the lists has its own
    "CREATE INDEX ix_entity_tally_empty ON entity_tally (type, entity) WHERE images = 0",
    "CREATE INDEX ix_entity_tally_leaderless ON entity_tally (type, entity) WHERE primary_width IS NULL",
    "CREATE INDEX ix_entity_tally_unsaid ON entity_tally (type, entity) WHERE unsaid > 0",
    "CREATE INDEX ix_entity_tally_side ON entity_tally (type, greatest(primary_width, primary_height), entity)",
    "CREATE INDEX ix_entity_tally_images ON entity_tally (type, images, entity)",
    # tags that were used once, to complete one by its beginning
    """CREATE FUNCTION note_tags() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO tag (name) SELECT DISTINCT unnest(tags) AS name FROM new_rows WHERE tags <> '{}' ORDER BY name
            ON CONFLICT DO NOTHING;
            RETURN NULL; END $$""",
    """CREATE TRIGGER note_tags_insert AFTER INSERT ON image REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION note_tags()""",
    """CREATE TRIGGER note_tags_update AFTER UPDATE ON image REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION note_tags()""",
    "INSERT INTO tag (name) SELECT DISTINCT unnest(tags) FROM image",
    "CREATE INDEX ix_tag_beginning ON tag (lower(name) text_pattern_ops, name)",
    # one view of a name for each person and type; those that are shared are everybody's
    "CREATE UNIQUE INDEX ix_saved_view_name ON saved_view (account, entity_type, name)",
    "CREATE INDEX ix_saved_view_shared ON saved_view (entity_type) WHERE shared",
    # how alike pictures are is told by the index alone
    "CREATE INDEX ix_image_fingerprint ON image (fingerprint, id) WHERE trashed_at IS NULL AND fingerprint IS NOT NULL",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
