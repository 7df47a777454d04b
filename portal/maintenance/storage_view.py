"""What the page about storage shows of the history: twelve weeks, stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from portal.maintenance.chart_stack import StackedChart, stacked
from portal.maintenance.growth import Disk
from portal.maintenance.history import Amount, NotedDay, by_week, noted_days, week_ends
from portal.maintenance.statistics import today

WEEKS: Final = 12
# what stands together, from below; the words of the legend
TONES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Originals", ("originals",)),
    ("Renditions", ("renditions",)),
    ("Old versions and trash", ("versions", "trash")),
    ("Cache and quarantine", ("cache", "quarantine")),
)


@dataclass(frozen=True, slots=True)
class Week:
    """`bytes`: None where no day of it was noted."""

    ends: date
    bytes: list[int] | None

    @property
    def total(self) -> int:
        return sum(self.bytes or ())


@dataclass(frozen=True, slots=True)
class StorageView:
    """`weeks`: the oldest first, the last is now. `noted_from`: the first day of the twelve weeks that was noted."""

    tones: list[str]
    weeks: list[Week]
    chart: StackedChart
    disk: Disk
    noted_from: date | None

    @property
    def now(self) -> Week:
        return self.weeks[-1]

    @property
    def first(self) -> Week:
        """The oldest that is known."""
        return next((week for week in self.weeks if week.bytes is not None), self.now)


async def storage_view(parts: Mapping[str, Amount], disk: Disk) -> StorageView:
    """`parts`: as they are now."""
    days = await noted_days(7 * WEEKS)
    now = today()
    noted: Sequence[NotedDay | None] = [*by_week(days, now, WEEKS)[:-1], NotedDay(now, parts)]
    weeks = [Week(end, _bytes(day)) for end, day in zip(week_ends(now, WEEKS), noted, strict=True)]
    chart = stacked(
        [week.bytes or [0] * len(TONES) for week in weeks],
        [f"{week.ends.day} {week.ends:%b}" for week in weeks],
        is_bytes=True,
        label_every=3,
    )
    return StorageView([words for words, _ in TONES], weeks, chart, disk, days[0].day if days else None)


def _bytes(day: NotedDay | None) -> list[int] | None:
    if day is None:
        return None
    return [sum(day.parts[part].bytes for part in together if part in day.parts) for _, together in TONES]
