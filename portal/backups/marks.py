"""What verifications, restores and drills found, kept in `portal_state`: nothing is written into a backup after its root.

Objects whose bytes are wrong are distrusted: the next backup copies them anew, and so heals all that need them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from portal import database

STATE: Final = "backups_verified"
DISTRUSTED: Final = "backup_objects_wrong"
_ADD: Final = """
    INSERT INTO portal_state AS kept (name, value) VALUES ($1, $2::jsonb)
    ON CONFLICT (name) DO UPDATE SET value = kept.value::jsonb || excluded.value::jsonb
"""
_FORGET: Final = "UPDATE portal_state SET value = value::jsonb - $2::text[] WHERE name = $1"


@dataclass(frozen=True, slots=True)
class Mark:
    """The last verification of a backup: how many members were wrong, and the names of the first ones."""

    at: datetime
    quick: bool
    wrong: int
    first: tuple[str, ...] = ()


async def marks() -> dict[str, Mark]:
    """By the backup's id."""
    value = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", STATE)
    return {backup_id: _mark(said) for backup_id, said in (json.loads(value) if value else {}).items()}


def _mark(said: Mapping[str, object]) -> Mark:
    first = said.get("first")
    return Mark(
        datetime.fromisoformat(str(said["at"])),
        bool(said["quick"]),
        int(str(said["wrong"])),
        tuple(first) if isinstance(first, list) else (),
    )


async def keep_mark(backup_id: str, mark: Mark) -> None:
    await database.execute(_ADD, STATE, json.dumps({backup_id: asdict(mark)}, default=datetime.isoformat))


async def forget_marks(backup_ids: Collection[str]) -> None:
    """Of backups that were removed."""
    await database.execute(_FORGET, STATE, list(backup_ids))


async def distrusted() -> frozenset[str]:
    """Objects, by key, that were found wrong since they were written."""
    value = await database.fetch_value("SELECT value FROM portal_state WHERE name = $1", DISTRUSTED)
    return frozenset(json.loads(value) if value else ())


async def distrust(keys: Collection[str]) -> None:
    if keys:
        await database.execute(_ADD, DISTRUSTED, json.dumps(dict.fromkeys(keys, True)))


async def trust(keys: Collection[str]) -> None:
    """Again: they were read and are sound, or were written anew."""
    if keys:
        await database.execute(_FORGET, DISTRUSTED, list(keys))
