"""Who may do what, and what was done."""

from __future__ import annotations

from piccolo.columns import (
    JSONB,
    UUID,
    BigInt,
    BigSerial,
    Boolean,
    Bytea,
    ForeignKey,
    Integer,
    OnDelete,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from portal.database import DB


class Account(Table, db=DB):
    """A person who signs in. `password_hash` NULL: invited, has not set one yet. `preferences` holds what is not as usual."""

    id = UUID(primary_key=True)
    email = Varchar(length=254)
    name = Varchar(length=100, default="")
    role = Varchar(length=10)
    password_hash = Varchar(length=200, null=True, default=None)
    disabled = Boolean(default=False)
    preferences = JSONB(default="{}")
    created_at = Timestamptz(default=TimestamptzNow())
    signed_in_at = Timestamptz(null=True, default=None)


class Session(Table, db=DB):
    """A browser that is signed in. Only the SHA-256 of its cookie is kept."""

    id = UUID(primary_key=True)
    token_hash = Bytea()
    account = ForeignKey(Account, on_delete=OnDelete.cascade, null=False, index=True)
    address = Varchar(length=60)
    browser = Varchar(length=300)
    created_at = Timestamptz(default=TimestamptzNow())
    seen_at = Timestamptz(default=TimestamptzNow())
    confirmed_at = Timestamptz(default=TimestamptzNow())


class SavedView(Table, db=DB, tablename="saved_view"):
    """A list as somebody keeps it: `query` is what stands behind the `?` of its address. `shared`: everybody sees it."""

    id = UUID(primary_key=True)
    account = ForeignKey(Account, on_delete=OnDelete.cascade, null=False, index=False)
    entity_type = Varchar(length=32)
    name = Varchar(length=80)
    query = Varchar(length=1000)
    shared = Boolean(default=False)
    created_at = Timestamptz(default=TimestamptzNow())


class ApiToken(Table, db=DB, tablename="api_token"):
    """A script's key. Only the SHA-256 is kept; `prefix` lets people tell tokens apart."""

    id = UUID(primary_key=True)
    name = Varchar(length=100)
    prefix = Varchar(length=16)
    token_hash = Bytea()
    role = Varchar(length=10)
    created_by = Varchar(length=200)
    created_at = Timestamptz(default=TimestamptzNow())
    expires_at = Timestamptz(null=True, default=None)
    used_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)


class PasswordLink(Table, db=DB, tablename="password_link"):
    """A one-time link to set a password, given out on the command line."""

    token_hash = Bytea(primary_key=True)
    account = ForeignKey(Account, on_delete=OnDelete.cascade, null=False, index=True)
    expires_at = Timestamptz()
    used_at = Timestamptz(null=True, default=None)


class Throttle(Table, db=DB):
    """Counts of failures in a window; `key` says of whom (`account:…`, `address:…`)."""

    key = Varchar(length=200, primary_key=True)
    failures = Integer(default=0)
    since = Timestamptz(default=TimestamptzNow())


class Audit(Table, db=DB):
    """Who did what to what. Append-only: a trigger refuses UPDATE and DELETE outside audit maintenance."""

    pk = BigSerial(primary_key=True)
    at = Timestamptz(default=TimestamptzNow())
    actor = Varchar(length=200)
    action = Varchar(length=60)
    subject_type = Varchar(length=32)
    subject_id = Varchar(length=100)
    request_id = Varchar(length=40, null=True, default=None)


class AuditChange(Table, db=DB, tablename="audit_change"):
    """Before and after, enough to undo; in a row of its own so that personal values can be erased."""

    pk = BigSerial(primary_key=True)
    audit = ForeignKey(Audit, on_delete=OnDelete.cascade, null=False, index=True)
    before = JSONB(null=True, default=None)
    after = JSONB(null=True, default=None)


class AuditSeal(Table, db=DB, tablename="audit_seal"):
    """A batch of lines, chained to the one before. `pruned_at`: its lines are past their days; the seal stays."""

    pk = BigSerial(primary_key=True)
    lines = Integer()
    first = BigInt()
    last = BigInt()
    lines_hash = Bytea()
    hash = Bytea()
    sealed_at = Timestamptz(default=TimestamptzNow())
    pruned_at = Timestamptz(null=True, default=None)


class AuditLeaf(Table, db=DB, tablename="audit_leaf"):
    """What a line was when it was sealed, each part by its own hash; `salt` goes with the personal values of the line."""

    audit = BigInt(primary_key=True)
    seal = ForeignKey(AuditSeal, on_delete=OnDelete.cascade, null=False, index=True)
    line_hash = Bytea()
    actor_hash = Bytea()
    change_hash = Bytea(null=True, default=None)
    salt = Bytea(null=True, default=None)
    erased_at = Timestamptz(null=True, default=None)


class Idempotency(Table, db=DB):
    """A POST that may be repeated. `process` is the advisory lock of who runs it: free means it died."""

    pk = BigSerial(primary_key=True)
    actor = Varchar(length=200)
    route = Varchar(length=200)
    key = Varchar(length=200)
    body_hash = Varchar(length=64)
    process = BigInt()
    stored = JSONB(default="{}")
    status = Integer(null=True, default=None)
    media_type = Varchar(length=60, null=True, default=None)
    body = Text(null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
