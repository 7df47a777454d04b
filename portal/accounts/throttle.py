"""Counting attempts in PostgreSQL, so that neither a restart nor a second process forgets them.

An attempt is counted before it is made and forgiven when it succeeds: of many tries at the same moment no more get
through than of tries one after the other.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Final

from portal import database
from portal.errors import RateLimited

WINDOW_SECONDS: Final = 15 * 60


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts in a window of 15 minutes; `kind` begins the row's key."""

    kind: str
    attempts: int


ACCOUNT: Final = Limit("account", 10)
ADDRESS: Final = Limit("address", 50)  # an office behind one address signs in on a Monday morning
SETUP: Final = Limit("setup", 20)
LINK: Final = Limit("link", 30)


async def count_attempt(limit: Limit, of: str) -> None:
    """Raises RateLimited with the seconds left when the window's attempts are used up."""
    row = await database.fetch_row(
        """INSERT INTO throttle (key, failures, since) VALUES ($1, 1, now())
           ON CONFLICT (key) DO UPDATE SET
             failures = CASE WHEN throttle.since <= now() - $2 * interval '1 second' THEN 1
                             ELSE least(throttle.failures, 1000000) + 1 END,
             since = CASE WHEN throttle.since <= now() - $2 * interval '1 second' THEN now() ELSE throttle.since END
           RETURNING failures, ceil(extract(epoch FROM since - now()) + $2)::int AS seconds""",
        _key(limit, of),
        float(WINDOW_SECONDS),
    )
    if row is not None and row["failures"] > limit.attempts:
        minutes = -(-row["seconds"] // 60)
        raise RateLimited(
            f"Too many attempts. Try again in {minutes} minute{'s' if minutes != 1 else ''}.",
            retry_after=max(1, row["seconds"]),
        )


async def forgive_attempt(limit: Limit, of: str) -> None:
    """Take back one: it was no failure. Earlier failures still count."""
    await database.execute("UPDATE throttle SET failures = greatest(failures - 1, 0) WHERE key = $1", _key(limit, of))


async def clear(limit: Limit, of: str) -> None:
    await database.execute("DELETE FROM throttle WHERE key = $1", _key(limit, of))


async def forget_old_attempts() -> int:
    """For the daily sweep."""
    return await database.execute("DELETE FROM throttle WHERE since < now() - interval '1 day'")


def _key(limit: Limit, of: str) -> str:
    """A hash: what people type into the wrong field is not kept."""
    return f"{limit.kind}:{hashlib.sha256(subject(of).encode('utf-8', 'surrogatepass')).hexdigest()}"


def subject(of: str) -> str:
    """Who is counted. An IPv6 customer owns 2^64 addresses: they count as one."""
    try:
        address = ipaddress.ip_address(of)
    except ValueError:
        return of.casefold()
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
