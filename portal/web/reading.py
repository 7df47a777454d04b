"""How who reads a page wants times told: set for each request, read by the templates' filters."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones


@dataclass(frozen=True, slots=True)
class Reading:
    """`zone` None: the portal's. `is_iso`: 2026-11-23 09:41 in place of "Today 09:41"."""

    zone: tzinfo | None = None
    is_iso: bool = False


AS_THE_PORTAL: Final = Reading()
reading: Final[ContextVar[Reading]] = ContextVar("reading", default=AS_THE_PORTAL)


@cache
def zone_of(name: str) -> tzinfo | None:
    """None for a name that is none (any more)."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@cache
def zone_names() -> tuple[str, ...]:
    """Those of places, and UTC."""
    kept = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "US/", "SystemV/")))
    return ("UTC", *sorted(kept))


def iso(when: datetime | date | None, zone: tzinfo) -> str:
    """ "2026-11-23 09:41"; a bare date has no time."""
    if when is None:
        return "—"
    if not isinstance(when, datetime):
        return when.isoformat()
    return f"{(when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(zone):%Y-%m-%d %H:%M}"
