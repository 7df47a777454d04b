"""How fast what is stored grows, and how long the disk lasts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Final

from portal.maintenance.history import NotedDay, noted_days

WINDOW_DAYS: Final = 90
LEAST_DAYS: Final = 14  # between the first and the last note; before that one import would be taken for a habit
LEAST_NOTES: Final = 7
FAR_DAYS: Final = 3650  # beyond this no forecast means anything


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk on which pictures lie. `reserve`: bytes that stay free, below which nothing is taken in."""

    total: int
    free: int
    reserve: int

    @property
    def used(self) -> int:
        return self.total - self.free


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes a day: of what is stored, and by which free space shrinks (others write to the disk too).

    All None before two weeks are noted (`known_from`: the day). `days_until_full`: until only the reserve is free, by
    whichever of the two is faster; None when nothing grows, or where it is more than ten years.
    """

    noted_days: int
    known_from: date | None
    stored_per_day: int | None
    disk_per_day: int | None
    days_until_full: int | None


def disk_of(folder: Path, reserve: int) -> Disk:
    """Blocks. Raises OSError."""
    found = os.statvfs(next(each for each in (folder, *folder.parents) if each.exists()))
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, reserve)


async def growth(disk: Disk) -> Growth:
    return growth_of(await noted_days(WINDOW_DAYS), disk)


def growth_of(days: Sequence[NotedDay], disk: Disk) -> Growth:
    """By the Theil-Sen estimator: the median of the slopes between all pairs of days. Up to three days of ten may be
    wrong altogether (an import, a clean-up, a clock that jumped) without moving it."""
    if len(days) < LEAST_NOTES or (days[-1].day - days[0].day).days < LEAST_DAYS:
        known_from = days[0].day + timedelta(days=LEAST_DAYS) if days else None
        return Growth(len(days), known_from, None, None, None)
    stored = _slope((each.day, each.bytes) for each in days)
    free = _slope((each.day, each.parts["disk_free"].bytes) for each in days if "disk_free" in each.parts)
    fastest = max(stored, -free)
    left = max(disk.free - disk.reserve, 0) / fastest if fastest >= 1 else FAR_DAYS + 1
    return Growth(len(days), None, round(stored), round(-free), round(left) if left <= FAR_DAYS else None)


def _slope(points: Iterable[tuple[date, int]]) -> float:
    slopes = [(later - earlier) / (last - first).days for (first, earlier), (last, later) in combinations(points, 2)]
    return median(slopes) if slopes else 0.0
