"""Reading the audit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal import database


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`before` and `after` are None where nothing was changed or where an erasure blanked them."""

    at: datetime
    actor: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


async def history_of(subject_type: str, subject_id: str, limit: int = 50) -> list[AuditEntry]:
    """What was done to one thing, newest first."""
    rows = await database.fetch(
        """SELECT audit.at, audit.actor, audit.action, change.before, change.after
           FROM audit LEFT JOIN audit_change AS change ON change.audit = audit.pk
           WHERE audit.subject_type = $1 AND audit.subject_id = $2
           ORDER BY audit.pk DESC LIMIT $3""",
        subject_type,
        subject_id,
        limit,
    )
    return [
        AuditEntry(row["at"], row["actor"], row["action"], _read(row["before"]), _read(row["after"])) for row in rows
    ]


def _read(value: str | None) -> dict[str, Any] | None:
    return None if value is None else json.loads(value)
