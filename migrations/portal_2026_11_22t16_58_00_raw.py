"""What Piccolo's columns cannot say: checks, partial and composite indexes, full text, append-only audit, notifications."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from portal.database import DB

ID = "2026-11-22T16:58:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "checks, indexes, search, append-only audit, notifications"

UP = [
    # entities: (type, id) is their name; lists are read by name or by change; prefix search
    "CREATE UNIQUE INDEX uq_entity_type_id ON entity (type, id)",
    "ALTER TABLE entity ADD CONSTRAINT ck_entity_type CHECK (type IN ('categories', 'inventory_items', 'invoices', 'customers', 'companies'))",
    "ALTER TABLE entity ADD CONSTRAINT ck_entity_id CHECK (id ~ '^[A-Za-z0-9._~:-]{1,64}$' AND id NOT IN ('.', '..'))",
    "ALTER TABLE entity ADD CONSTRAINT ck_entity_name CHECK (name <> '')",
    "CREATE INDEX ix_entity_type_name ON entity (type, name, pk)",
    "CREATE INDEX ix_entity_type_updated ON entity (type, updated_at, pk)",
    "CREATE INDEX ix_entity_parent ON entity (parent_type, parent_id)",
    """ALTER TABLE entity ADD COLUMN search tsvector GENERATED ALWAYS AS (
        to_tsvector('simple', name || ' ' || id || ' ' || coalesce(reference, '') || ' ' || coalesce(number, ''))
    ) STORED""",
    "CREATE INDEX ix_entity_search ON entity USING gin (search)",
    # invoice lines
    "CREATE UNIQUE INDEX uq_invoice_line_invoice_position ON invoice_line (invoice, position)",
    "CREATE INDEX ix_invoice_line_item ON invoice_line (item) WHERE item IS NOT NULL",
    # images: one primary a gallery, places unique at commit, the trash has no place
    "CREATE UNIQUE INDEX uq_image_primary ON image (entity) WHERE is_primary",
    "ALTER TABLE image ADD CONSTRAINT uq_image_entity_sort_order UNIQUE (entity, sort_order) DEFERRABLE INITIALLY DEFERRED",
    "ALTER TABLE image ADD CONSTRAINT ck_image_trash CHECK ((trashed_at IS NULL) = (sort_order IS NOT NULL))",
    "ALTER TABLE image ADD CONSTRAINT ck_image_primary CHECK (NOT (is_primary AND trashed_at IS NOT NULL))",
    "ALTER TABLE image ADD CONSTRAINT ck_image_status CHECK (status IN ('pending', 'processing', 'ready', 'failed'))",
    "ALTER TABLE image ADD CONSTRAINT ck_image_size CHECK (bytes > 0 AND width > 0 AND height > 0 AND frames > 0)",
    """ALTER TABLE image ADD CONSTRAINT ck_image_focal_point
        CHECK ((focal_x IS NULL) = (focal_y IS NULL) AND focal_x BETWEEN 0 AND 1 AND focal_y BETWEEN 0 AND 1)""",
    "CREATE INDEX ix_image_entity_sha256 ON image (entity, sha256)",
    "CREATE INDEX ix_image_sha256 ON image (sha256)",
    "CREATE INDEX ix_image_trashed ON image (trashed_at, id) WHERE trashed_at IS NOT NULL",
    "CREATE INDEX ix_image_unready ON image (status, id) WHERE status <> 'ready'",
    "CREATE INDEX ix_image_without_alt ON image (id) WHERE alt_text IS NULL AND NOT decorative AND trashed_at IS NULL",
    "CREATE INDEX ix_image_tags ON image USING gin (tags)",
    # array_to_string() is only STABLE, a generated column needs IMMUTABLE; true for text arrays
    """CREATE FUNCTION image_tags_text(tags varchar[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        AS $$ SELECT coalesce(array_to_string(tags, ' '), '') $$""",
    """ALTER TABLE image ADD COLUMN search tsvector GENERATED ALWAYS AS (
        to_tsvector('simple', coalesce(alt_text, '') || ' ' || coalesce(caption, '') || ' ' || filename || ' ' || image_tags_text(tags))
    ) STORED""",
    "CREATE INDEX ix_image_search ON image USING gin (search)",
    # every process keeps a small map of what may be served; a change tells all of them
    """CREATE FUNCTION tell_image_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_notify('portal_image', OLD.id::text); RETURN NULL; END $$""",
    "CREATE TRIGGER image_changed AFTER UPDATE OR DELETE ON image FOR EACH ROW EXECUTE FUNCTION tell_image_changed()",
    """CREATE FUNCTION tell_embed_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_notify('portal_embed', OLD.id::text); RETURN NULL; END $$""",
    "CREATE TRIGGER embed_changed AFTER UPDATE OR DELETE ON embed_key FOR EACH ROW EXECUTE FUNCTION tell_embed_changed()",
    # jobs, purges
    "CREATE INDEX ix_job_created ON job (created_at, id)",
    "CREATE UNIQUE INDEX uq_object_purge_key ON object_purge (key)",
    # accounts
    "CREATE UNIQUE INDEX uq_account_email ON account (lower(email))",
    "ALTER TABLE account ADD CONSTRAINT ck_account_role CHECK (role IN ('viewer', 'editor', 'admin'))",
    "CREATE UNIQUE INDEX uq_session_token_hash ON session (token_hash)",
    "CREATE UNIQUE INDEX uq_api_token_token_hash ON api_token (token_hash)",
    "ALTER TABLE api_token ADD CONSTRAINT ck_api_token_role CHECK (role IN ('viewer', 'editor', 'admin'))",
    "CREATE UNIQUE INDEX uq_embed_key_key_hash ON embed_key (key_hash)",
    "CREATE UNIQUE INDEX uq_idempotency_actor_route_key ON idempotency (actor, route, key)",
    "CREATE INDEX ix_idempotency_created ON idempotency (created_at)",
    # the audit can only grow; erasure and retention say so explicitly, in their own transaction
    """CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('portal.audit_maintenance', true) = 'on' THEN
                RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
            END IF;
            RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
        END $$""",
    "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()",
    "CREATE TRIGGER audit_change_append_only BEFORE UPDATE OR DELETE ON audit_change FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()",
    "CREATE INDEX ix_audit_subject ON audit (subject_type, subject_id, pk)",
    "CREATE INDEX ix_audit_actor_action ON audit (actor, action, at)",
]


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="portal", description=DESCRIPTION)

    async def run() -> None:
        for statement in UP:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
