"""Every table, no behaviour. Partial indexes, triggers and full text, which Piccolo cannot say, are in migrations/."""

from __future__ import annotations

from piccolo.table import Table

from portal.tables.people import (
    Account,
    ApiToken,
    Audit,
    AuditChange,
    AuditLeaf,
    AuditSeal,
    Idempotency,
    PasswordLink,
    SavedView,
    Session,
    Throttle,
)
from portal.tables.pictures import (
    EdgePurge,
    EmbedKey,
    Entity,
    EntityTally,
    Image,
    ImageUsage,
    ImageVersion,
    InvoiceLine,
    InvoicePin,
    ObjectPurge,
    PinnedPicture,
    ServedDay,
    Tag,
)
from portal.tables.upkeep import (
    Finding,
    Job,
    JobPause,
    PortalState,
    PresetChange,
    Quarantined,
    RequestMinute,
    Schedule,
    StoredCount,
    StoredDay,
    WorkerSeen,
)

TABLES: list[type[Table]] = [
    Entity,
    EntityTally,
    InvoiceLine,
    Tag,
    Image,
    ImageVersion,
    ObjectPurge,
    Job,
    JobPause,
    Schedule,
    WorkerSeen,
    Audit,
    AuditChange,
    AuditSeal,
    AuditLeaf,
    Account,
    Session,
    SavedView,
    ApiToken,
    PasswordLink,
    Throttle,
    EmbedKey,
    InvoicePin,
    PinnedPicture,
    ImageUsage,
    ServedDay,
    EdgePurge,
    Finding,
    Quarantined,
    StoredCount,
    StoredDay,
    PresetChange,
    RequestMinute,
    Idempotency,
    PortalState,
]

__all__ = ["TABLES", "Audit", "Entity", "Image", "InvoiceLine"]
