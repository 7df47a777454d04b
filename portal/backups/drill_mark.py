"""The dated mark that the last good drill left, and beside it what a later one failed by: row `drill` of `portal_state`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from portal import database

STATE: Final = "drill"
_KEEP: Final = """
    INSERT INTO portal_state AS kept (name, value) VALUES ('drill', $1::jsonb)
    ON CONFLICT (name) DO UPDATE SET value = CASE WHEN $2 THEN '{}' ELSE kept.value::jsonb END || excluded.value::jsonb
"""


@dataclass(frozen=True, slots=True)
class DrillMark:
    """`good_at`: when a backup was last proven by a restore, `backup` which one. `failed_at`, `failed_backup`, `message`: of the
    last drill that was not good, as long as none was good since; not `was_tried`: there was no room for it."""

    good_at: datetime | None = None
    backup: str | None = None
    pictures: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failed_at: datetime | None = None
    failed_backup: str | None = None
    message: str = ""
    was_tried: bool = True

    @property
    def has_failed(self) -> bool:
        """Is the last word of drills that one has failed?"""
        return self.failed_at is not None and (self.good_at is None or self.failed_at > self.good_at)


async def drill_mark() -> DrillMark:
    stored = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", STATE)
    said: dict[str, Any] = json.loads(stored) if stored else {}
    return DrillMark(
        _time(said.get("good_at")),
        said.get("backup"),
        int(said.get("pictures") or 0),
        int(said.get("bytes") or 0),
        float(said.get("seconds") or 0),
        _time(said.get("failed_at")),
        said.get("failed_backup"),
        str(said.get("message") or ""),
        bool(said.get("was_tried", True)),
    )


async def mark_good(backup_id: str, *, pictures: int, size: int, seconds: float) -> None:
    """Joins an open transaction."""
    value = {"good_at": _now(), "backup": backup_id, "pictures": pictures, "bytes": size, "seconds": round(seconds, 1)}
    await database.execute(_KEEP, json.dumps(value), True)


async def mark_failed(backup_id: str | None, message: str, *, was_tried: bool = True) -> None:
    """What was proven before stays proven. Joins an open transaction."""
    value = {"failed_at": _now(), "failed_backup": backup_id, "message": message, "was_tried": was_tried}
    await database.execute(_KEEP, json.dumps(value), False)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _time(said: str | None) -> datetime | None:
    if not said:
        return None
    when = datetime.fromisoformat(said)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
