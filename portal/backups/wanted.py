"""What a backup needs of the portal's store, and what that could not give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

MISSING: Final = "The bytes of this picture are missing from the store."
CHANGED: Final = "The bytes are no longer what they were."
UNREADABLE: Final = "The disk cannot read these bytes any more."


class Wanted(NamedTuple):
    """Bytes that a backup needs: by SHA-256, and where in the portal's store they lie."""

    entity_type: str
    sha256: str
    bytes: int
    key: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes that the store does not have, or no longer as they were."""

    wanted: Wanted
    reason: str
