"""The portal's figures, those that take long to sum kept for a while. One for each process."""

from __future__ import annotations

import asyncio

from portal.maintenance.kept import Kept
from portal.maintenance.queries import UsageReport, usage_report, usage_rows
from portal.maintenance.statistics import Statistics, folder_figures, statistics, stored_figures
from portal.media.usage import Usage
from portal.storage.cache import Cache
from portal.storage.links import Links


class Figures:
    """`usage` is what this process has served and not yet written down."""

    def __init__(self, usage: Usage, cache: Cache) -> None:
        self._usage = usage
        self.stored = Kept(stored_figures)
        self._folder = Kept(lambda: asyncio.to_thread(folder_figures, cache))
        self._rows = Kept(usage_rows)

    async def statistics(self) -> Statistics:
        return await statistics(await self.stored.get(), await self._folder.get(), self._usage)

    async def usage_report(self, links: Links) -> UsageReport:
        return await usage_report(await self._rows.get(), await self.stored.get(), self._usage, links)

    def forget(self) -> None:
        """All that is kept."""
        for each in (self.stored, self._folder, self._rows):
            each.forget()
