"""Jobs, schedules, findings, counters: how the portal looks after itself."""

from __future__ import annotations

from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    BigSerial,
    Boolean,
    Date,
    DoublePrecision,
    Integer,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from portal.database import DB


class Job(Table, db=DB):
    """Long work that a person or script asked for and wants to follow."""

    id = UUID(primary_key=True)
    kind = Varchar(length=40)
    state = Varchar(length=12, default="queued")
    arguments = JSONB(default="{}")
    progress = JSONB(default="{}")
    result = JSONB(null=True, default=None)
    error = JSONB(null=True, default=None)
    actor = Varchar(length=200)
    attempts = Integer(default=0)
    schedule = Varchar(length=40, null=True, default=None)
    retry_of = UUID(null=True, default=None)
    request_id = Varchar(length=40, null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    started_at = Timestamptz(null=True, default=None)
    cancel_asked_at = Timestamptz(null=True, default=None)
    finished_at = Timestamptz(null=True, default=None)


class JobPause(Table, db=DB, tablename="job_pause"):
    """A kind of job that nobody takes until it goes on."""

    kind = Varchar(length=40, primary_key=True)
    paused_by = Varchar(length=200)
    paused_at = Timestamptz(default=TimestamptzNow())


class Schedule(Table, db=DB):
    """What runs by the clock. `due_at` is the last moment for which somebody has started it: each is started once."""

    name = Varchar(length=40, primary_key=True)
    due_at = Timestamptz()
    job = UUID(null=True, default=None)


class WorkerSeen(Table, db=DB, tablename="worker_seen"):
    """A worker process and when it last said that it lives."""

    id = UUID(primary_key=True)
    host = Varchar(length=200)
    pid = Integer()
    state = Varchar(length=12)
    started_at = Timestamptz(default=TimestamptzNow())
    seen_at = Timestamptz(default=TimestamptzNow())


class Finding(Table, db=DB):
    """Something that a check found and proved. `evidence` says what was expected and what is there; `repair` what we propose.

    `state`: open, repaired, or gone (found sound, or nothing to find any more). `outcome`: what a repair did.
    """

    id = UUID(primary_key=True)
    kind = Varchar(length=32)
    key = Varchar(length=300, null=True, default=None)
    image = UUID(null=True, default=None)
    entity_type = Varchar(length=32, null=True, default=None)
    detail = Text()
    evidence = JSONB(default="{}")
    repair = Varchar(length=20, null=True, default=None)
    state = Varchar(length=12, default="open")
    outcome = JSONB(null=True, default=None)
    found_at = Timestamptz(default=TimestamptzNow())
    checked_at = Timestamptz(default=TimestamptzNow())
    ended_at = Timestamptz(null=True, default=None)


class Quarantined(Table, db=DB):
    """An object that a repair took away. `before` is what its row said, so that all can be put back."""

    id = UUID(primary_key=True)
    key = Varchar(length=300)
    held_as = Varchar(length=300)
    bytes = BigInt()
    sha256 = Varchar(length=64)
    image = UUID(null=True, default=None)
    finding = UUID(null=True, default=None)
    reason = Text()
    before = JSONB(null=True, default=None)
    taken_by = Varchar(length=200)
    taken_at = Timestamptz(default=TimestamptzNow())
    restored_at = Timestamptz(null=True, default=None)
    removed_at = Timestamptz(null=True, default=None)


class StoredCount(Table, db=DB, tablename="stored_count"):
    """Counters of what is stored, kept by triggers: rows are differences, folded now and then; a figure is their sum.

    `part`: original, version, the name of a rendition, or `compressible` (originals that have their large rendition).
    `month` is the first day of that in which the image was added.
    """

    pk = BigSerial(primary_key=True)
    entity_type = Varchar(length=32)
    month = Date()
    status = Varchar(length=12)
    is_trashed = Boolean()
    part = Varchar(length=20)
    pieces = BigInt()
    bytes = BigInt()


class StoredDay(Table, db=DB, tablename="stored_day"):
    """What was stored at the end of a day (UTC), by part: originals, renditions, versions, trash, cache, disk_free, …"""

    pk = BigSerial(primary_key=True)
    day = Date()
    part = Varchar(length=30)
    pieces = BigInt(default=0)
    bytes = BigInt(default=0)


class PresetChange(Table, db=DB, tablename="preset_change"):
    """A size that shall be made otherwise than the code says. The last one of a name that was not cancelled is in force."""

    pk = BigSerial(primary_key=True)
    name = Varchar(length=20)
    width = Integer()
    height = Integer()
    quality = Integer()
    state = Varchar(length=12, default="rolling")
    job = UUID(null=True, default=None)
    decided_by = Varchar(length=200)
    decided_at = Timestamptz(default=TimestamptzNow())
    ended_at = Timestamptz(null=True, default=None)


class RequestMinute(Table, db=DB, tablename="request_minute"):
    """What one process answered in a minute, by route: `buckets` counts answers by how long they took."""

    pk = BigSerial(primary_key=True)
    minute = Timestamptz()
    process = UUID()
    route = Varchar(length=120)
    requests = Integer(default=0)
    errors = Integer(default=0)
    seconds = DoublePrecision(default=0.0)
    buckets = Array(base_column=Integer(), default=list)


class PortalState(Table, db=DB, tablename="portal_state"):
    """What the portal remembers about itself, as `set_up`."""

    name = Varchar(length=60, primary_key=True)
    value = JSONB(default="{}")
