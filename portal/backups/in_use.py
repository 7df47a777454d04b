"""Who works on backups and who removes them keep out of each other's way; a killed one frees its place with its connection.

Making, verifying, restoring, drilling, taking out and bringing in share one lock: many at once. Removing has it alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from portal.jobs.alone import BACKUP, BACKUPS_USED, DRILL, PRUNE, RESTORE, Hold, alone, refuse_while_running, together


@contextlib.asynccontextmanager
async def backups_in_use() -> AsyncIterator[Hold]:
    """For who reads backups, or writes objects into them. Raises Running while backups are being removed."""
    await refuse_while_running(PRUNE)  # who has a better name than the lock itself
    async with together(BACKUPS_USED) as hold:
        yield hold


@contextlib.asynccontextmanager
async def backups_for_removal() -> AsyncIterator[Hold]:
    """Raises Running while anybody works on backups. To be checked before each removal."""
    for turn in (BACKUP, RESTORE, DRILL):
        await refuse_while_running(turn)
    async with alone(PRUNE), alone(BACKUPS_USED) as hold:
        yield hold
