"""Which portal is at work in a place for backups: several may share one, and a turn is known only to those of one database."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from portal import database
from portal.backups.destination import Destination
from portal.errors import Gone

_SERVER: Final = """
    SELECT system_identifier::text || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
    FROM pg_control_system()
"""
LOOK_EVERY: Final = 5.0  # seconds: so often who frees objects looks for others that have begun
_MOST: Final = 100_000  # bytes


async def portal_id() -> str:
    """The same for all processes on one database, and no other's: begun.json says it as `portal`."""
    return hashlib.sha256(str(await database.fetch_value(_SERVER)).encode()).hexdigest()[:16]


async def begun_by(destination: Destination, key: str) -> str | None:
    """The portal that a begun.json names; None where it names none."""
    entry = await destination.stat(key)
    if entry is None or entry.bytes > _MOST:
        return None
    try:
        said = json.loads(await destination.read(key))
    except (Gone, ValueError, RecursionError):
        return None
    found = said.get("portal") if isinstance(said, dict) else None
    return found if isinstance(found, str) else None
