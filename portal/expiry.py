"""When a key or a token ends: as people say it, as they write it. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal

from portal.errors import FormError

SOON: Final = timedelta(days=14)
MOST_DAYS: Final = 36_500
State = Literal["in use", "expires soon", "expired"]
_DAYS: Final = re.compile(r"([1-9][0-9]{0,4})d", re.ASCII)
_SAY: Final = "Write a day to come (2027-01-31), a number of days (30d), or a time with its zone."


def read_expiry(text: str, zone: tzinfo, now: datetime) -> datetime | None:
    """`30d`, a day (to its end in `zone`), a time with its zone; None for nothing. Raises FormError, also for what is past."""
    text = text.strip()
    if not text:
        return None
    try:
        moment = _moment_of(text, zone, now)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None or moment <= now:
        raise FormError({"expires": _SAY})
    return moment


def _moment_of(text: str, zone: tzinfo, now: datetime) -> datetime | None:
    if days := _DAYS.fullmatch(text):
        return now + timedelta(days=int(days[1])) if int(days[1]) <= MOST_DAYS else None
    if len(text) <= len("2027-01-31"):
        return datetime.combine(date.fromisoformat(text) + timedelta(days=1), time(), zone)
    return datetime.fromisoformat(text)


def state_of(expires_at: datetime | None, now: datetime) -> State:
    if expires_at is None or expires_at > now + SOON:
        return "in use"
    return "expires soon" if expires_at > now else "expired"


def expiry_in_words(expires_at: datetime | None, now: datetime) -> str:
    """ "never expires", "expires in 3 days", "expired an hour ago"."""
    if expires_at is None:
        return "never expires"
    span = _span(abs(expires_at - now))
    return f"expires in {span}" if expires_at > now else f"expired {span} ago"


def _span(length: timedelta) -> str:
    """Rounded down; in the largest unit that is not too rough."""
    hours = int(length.total_seconds()) // 3600
    days = hours // 24
    for count, unit, least in ((days // 365, "year", 2), (days // 30, "month", 4), (days, "day", 2)):
        if count >= least:
            return f"{count} {unit}s"
    if hours > 1:
        return f"{hours} hours"
    return "an hour" if hours else "less than an hour"


def utc_now() -> datetime:
    return datetime.now(UTC)
