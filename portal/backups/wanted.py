"""Bytes that are wanted of a store, and what that could not give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

MISSING: Final = "The bytes of this picture are missing from the store."
CHANGED: Final = "The bytes are no longer what they were."
UNREADABLE: Final = "The disk cannot read these bytes any more."


class Wanted(NamedTuple):
    """By SHA-256, and where they lie: in the portal's store for a backup, in the backup for a restore."""

    entity_type: str
    sha256: str
    bytes: int
    key: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes that the store does not have, or no longer as they were."""

    wanted: Wanted
    reason: str
