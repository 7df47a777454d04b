"""The portal's figures, those that take long to find kept for a while. One for each process."""

from __future__ import annotations

import asyncio

from portal.maintenance.growth import Disk, disk_of
from portal.maintenance.history import Amount, note_today
from portal.maintenance.kept import Kept
from portal.maintenance.queries import UsageReport, usage_report, usage_rows
from portal.maintenance.statistics import (
    Statistics,
    Stored,
    folder_figures,
    quarantine_figures,
    statistics,
    stored_figures,
)
from portal.media.usage import Usage
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.links import Links


class Figures:
    """`usage` is what this process has served and not yet written down."""

    def __init__(self, usage: Usage, cache: Cache, settings: Settings) -> None:
        self._usage, self._settings = usage, settings
        self._folder = Kept(lambda: asyncio.to_thread(folder_figures, cache))
        self._rows = Kept(usage_rows)

    async def statistics(self) -> Statistics:
        return await statistics(await stored_figures(), await self._folder.get(), self._usage, await self.disk())

    async def parts(self) -> dict[str, Amount]:
        return await parts_now(await stored_figures(), await self._folder.get(), await self.disk())

    async def disk(self) -> Disk:
        return await asyncio.to_thread(disk_of, self._settings.storage_dir, self._settings.free_space_bytes)

    async def usage_report(self, links: Links) -> UsageReport:
        return await usage_report(await self._rows.get(), await stored_figures(), self._usage, links)

    def forget(self) -> None:
        """All that is kept."""
        for each in (self._folder, self._rows):
            each.forget()


async def parts_now(stored: Stored, folder: Amount, disk: Disk) -> dict[str, Amount]:
    """What a day's note says, by the names of `history.PARTS`."""
    return {
        "originals": stored.images,
        "renditions": stored.renditions,
        "versions": stored.in_versions,
        "trash": stored.in_trash,
        "cache": folder,
        "quarantine": await quarantine_figures(),
        "disk_free": Amount(0, disk.free),
        "disk_total": Amount(0, disk.total),
    }


async def note_the_day(settings: Settings, cache: Cache) -> None:
    """What is stored now, for today's line of the history."""
    disk = await asyncio.to_thread(disk_of, settings.storage_dir, settings.free_space_bytes)
    folder = await asyncio.to_thread(folder_figures, cache)
    await note_today(await parts_now(await stored_figures(), folder, disk))
