"""What a check says, and what checks are made with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from portal.settings import Settings
from portal.storage.store import Store
from portal.storage.threads import Threads

Severity = Literal["ok", "warning", "critical", "unknown"]
RANK: Final[Mapping[Severity, int]] = {"ok": 0, "unknown": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do, in words. `button` leads to the page of `route`, or posts `fields` to it (then for `role` and above)."""

    words: str
    button: str = ""
    route: str | None = None
    method: Literal["get", "post"] = "get"
    fields: Mapping[str, str] = field(default_factory=dict)
    role: Literal["viewer", "editor", "admin"] = "viewer"


@dataclass(frozen=True, slots=True)
class Found:
    """`unknown`: it cannot be said, or not yet. `value` is in `unit`: ms, s, days, %, bytes or what is counted."""

    severity: Severity
    detail: str
    value: float | None = None
    unit: str = ""
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check's finding. `since`: when it came into this state."""

    name: str
    title: str
    severity: Severity
    value: float | None
    unit: str
    detail: str
    since: datetime
    recommendation: Remedy | None = None


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Here:
    """What checks look at. `now` is this process's clock; `has_database`: it has answered this look already; `has_tables`:
    and they are ours."""

    settings: Settings
    store: Store
    threads: Threads = field(default_factory=Threads)
    now: Callable[[], datetime] = utc_now
    has_database: bool = True
    has_tables: bool = True


Look = Callable[[Here], Awaitable[Found | None]]
"""One check. None: there is nothing to check in this portal."""


def worst(severities: Iterable[Severity]) -> Severity:
    """What cannot be said makes nothing worse."""
    found = set(severities)
    return "critical" if "critical" in found else "warning" if "warning" in found else "ok"
