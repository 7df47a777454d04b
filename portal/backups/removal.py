"""One backup's folder, taken away: its root first, so that what a kill leaves is unfinished and never half a backup."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from portal.backups.destination import Destination, Folder
from portal.backups.layout import BEGUN, ROOT, folder_of


async def remove_folder(destination: Destination, backup_id: str) -> None:
    """Its objects stay for the sweep. Lasting when this returns. begun.json goes last: it says whose what is left is."""
    folder = folder_of(backup_id)
    begun = f"{folder}/{BEGUN}"
    await destination.delete([f"{folder}/{ROOT}"])
    async for entries in destination.listed(folder):
        await destination.delete([entry.key for entry in entries if entry.key != begun])
    await destination.delete([begun])
    if isinstance(destination, Folder):
        await asyncio.to_thread(_remove_empty, destination.store.path_of(folder))


def _remove_empty(folder: Path) -> None:
    """What is in use, or not ours, stays."""
    for below, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(below)
