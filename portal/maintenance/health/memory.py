"""The verdict that all processes share, in `portal_state`: `health` holds the last look and since when each check is in its
state, `alerts` the book of who was told what. The database's clock says whose turn it is to look.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from portal import database
from portal.maintenance.health import books
from portal.maintenance.health.books import Book
from portal.maintenance.health.check import Check, Remedy, Severity, worst

HEALTH: Final = "health"
ALERTS: Final = "alerts"

# A time far ahead was written by a clock that was wrong: it must not stop all looks until then.
_CLAIM: Final = """
    INSERT INTO portal_state AS kept (name, value)
    VALUES ('health', jsonb_build_object('due_at', now() + make_interval(secs => $1)))
    ON CONFLICT (name) DO UPDATE SET value = kept.value || excluded.value
    WHERE NOT coalesce((kept.value ->> 'due_at')::timestamptz BETWEEN now() AND now() + 2 * make_interval(secs => $1), false)
    RETURNING true
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look found, and when."""

    checks: tuple[Check, ...]
    looked_at: datetime

    @property
    def status(self) -> Severity:
        return worst(check.severity for check in self.checks)

    @property
    def critical(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.severity == "critical")


async def claim(seconds: float) -> bool:
    """Is it this process's turn to look? Then it is nobody else's for so long."""
    return bool(await database.fetch_value(_CLAIM, float(seconds)))


async def recall() -> Verdict | None:
    """The last look that somebody remembered."""
    stored = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", HEALTH)
    return _verdict(json.loads(stored)) if stored else None


async def remember(
    checks: Sequence[Check], at: datetime, note: Callable[[Book, Sequence[Check]], Book] | None, again: float
) -> Verdict:
    """Write the look down, with since when each check is so; and what is to be told of it, by `note`.

    While that is open, the next look is due in `again` seconds.
    """
    async with database.transaction():
        row = await database.fetch_row("SELECT value FROM portal_state WHERE name = $1 FOR UPDATE", HEALTH)
        stored = json.loads(row["value"]) if row else {}
        verdict = Verdict(with_since(checks, _verdict(stored)), at)
        stored |= _as_json(verdict)
        if note is not None:
            book = note(await _locked_book(), verdict.checks)
            await _save(ALERTS, book)
            if not books.is_settled(book):
                now = await database.fetch_value("SELECT now()")
                stored["due_at"] = (now + timedelta(seconds=again)).isoformat()
        await _save(HEALTH, stored)
    return verdict


def with_since(checks: Sequence[Check], before: Verdict | None) -> tuple[Check, ...]:
    """What was in the same state before is so since then."""
    known = {check.name: check for check in before.checks} if before else {}
    return tuple(
        replace(check, since=known[check.name].since)
        if check.name in known and known[check.name].severity == check.severity
        else check
        for check in checks
    )


async def change_book(change: Callable[[Book], Book]) -> Book:
    """The alerts' book after `change`, kept; one process at a time."""
    async with database.transaction():
        book = change(await _locked_book())
        await _save(ALERTS, book)
    return book


async def read_book() -> Book:
    stored = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", ALERTS)
    return json.loads(stored) if stored else {}


async def _locked_book() -> Book:
    await database.execute("INSERT INTO portal_state (name, value) VALUES ($1, '{}') ON CONFLICT DO NOTHING", ALERTS)
    return json.loads(await database.fetch_value("SELECT value FROM portal_state WHERE name = $1 FOR UPDATE", ALERTS))


async def _save(name: str, value: Mapping[str, Any]) -> None:
    await database.execute(
        """INSERT INTO portal_state (name, value) VALUES ($1, $2::jsonb)
           ON CONFLICT (name) DO UPDATE SET value = excluded.value""",
        name,
        json.dumps(value, default=_text),
    )


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {"looked_at": verdict.looked_at.isoformat(), "checks": [asdict(check) for check in verdict.checks]}


def _verdict(stored: Mapping[str, Any]) -> Verdict | None:
    """None where nobody has looked yet, or another version of the portal has written it."""
    try:
        checks = tuple(_check(each) for each in stored["checks"])
        return Verdict(checks, datetime.fromisoformat(stored["looked_at"]))
    except (KeyError, TypeError, ValueError):
        return None


def _check(stored: Mapping[str, Any]) -> Check:
    remedy = stored["recommendation"]
    return Check(
        **{
            **stored,
            "since": datetime.fromisoformat(stored["since"]),
            "recommendation": None if remedy is None else Remedy(**remedy),
        }
    )
