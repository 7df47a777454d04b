"""Is the clock to be trusted? A clock that jumps ahead makes everything look past its days.

Looked at every few minutes, by the database's clock. After a gap (the portal was off, or the clock jumped) it has to be
steady for some hours before anything is removed by schedule; a person may do it at once. The first look finds no gap.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from portal import database

GAP: Final = timedelta(hours=1)
STEADY: Final = timedelta(hours=3)
_BACK: Final = timedelta(minutes=1)  # transactions that began before one another may end the other way round
_WATCH: Final = """
    INSERT INTO portal_state AS kept (name, value)
    VALUES ('clock', jsonb_build_object('seen_at', clock_timestamp(), 'steady_since', clock_timestamp() - $3::interval, 'gap', 0))
    ON CONFLICT (name) DO UPDATE SET value = CASE
        WHEN clock_timestamp() - (kept.value ->> 'seen_at')::timestamptz BETWEEN -$2::interval AND $1::interval
        THEN kept.value || jsonb_build_object('seen_at', clock_timestamp())
        ELSE jsonb_build_object('seen_at', clock_timestamp(), 'steady_since', clock_timestamp(),
            'gap', extract(epoch FROM clock_timestamp() - (kept.value ->> 'seen_at')::timestamptz)::bigint) END
    RETURNING value, clock_timestamp() AS now
"""


async def watch_clock() -> None:
    await database.execute(_WATCH, GAP, _BACK, STEADY)


class Doubt(NamedTuple):
    """Why the clock is not trusted, in words for staff, and for how long it has to be steady still."""

    words: str
    left: timedelta


async def doubt() -> Doubt | None:
    """None when it is trusted. Looks at it, too."""
    row = await database.fetch_row(_WATCH, GAP, _BACK, STEADY)
    value: dict[str, Any] = json.loads(row["value"]) if row else {}
    since = datetime.fromisoformat(value["steady_since"])
    if row is None or row["now"] - since >= STEADY:
        return None
    hours = STEADY.total_seconds() / 3600
    words = f"{_reason(value['gap'])} It is trusted once it has been steady for {hours:g} hours."
    return Doubt(words, since + STEADY - row["now"])


def _reason(gap: int) -> str:
    if gap < 0:
        return f"The clock went back by {_span(-gap)}."
    return f"The clock went on by {_span(gap)} unseen: the portal was off, or the clock jumped."


def _span(seconds: int) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
