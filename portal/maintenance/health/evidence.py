"""What others leave in `portal_state` for these checks to read, each under its name, as JSON:

`backup`        {"good_at": time, …}  the last backup that is whole
`drill`         what `backups.drill_mark` says: the last restore into scratch without a difference, and a later one that failed
`audit_verify`  {"at": time, "is_whole": bool, "breaches": number, "first": [{"detail": words}]}
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from portal import database


async def evidence_of(name: str) -> dict[str, Any]:
    """Empty where nobody has left any."""
    stored = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", name)
    found = json.loads(stored) if stored else {}
    return found if isinstance(found, dict) else {}


def time_of(evidence: dict[str, Any], key: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(str(evidence.get(key)))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


async def has_pictures() -> bool:
    return bool(await database.fetch_value("SELECT EXISTS (SELECT 1 FROM image)"))
