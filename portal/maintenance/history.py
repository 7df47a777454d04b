"""What was stored at the end of each day, noted a few times a day.

A day is the database's, in UTC. A clock that was ahead for a while leaves a note of a day to come: that is not read until
then, and by then it is written anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from portal import database

# `trash` and `versions` with their renditions; the disk's are of the folder for pictures.
PARTS: Final = ("originals", "renditions", "versions", "trash", "cache", "quarantine", "disk_free", "disk_total")
STORED: Final = ("originals", "renditions", "versions", "trash", "cache", "quarantine")


@dataclass(frozen=True, slots=True)
class Amount:
    """`bytes` are those of originals, unless it is a rendition's amount."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class NotedDay:
    """What was stored at the end of a day; of what was not noted then there is nothing."""

    day: date
    parts: Mapping[str, Amount]

    @property
    def bytes(self) -> int:
        return sum(each.bytes for part, each in self.parts.items() if part in STORED)


async def note_today(parts: Mapping[str, Amount]) -> None:
    """What is stored now stands for today until it is noted again."""
    await database.execute(
        """INSERT INTO stored_day (day, part, pieces, bytes)
           SELECT (now() AT TIME ZONE 'UTC')::date, * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
           ON CONFLICT (day, part) DO UPDATE SET pieces = excluded.pieces, bytes = excluded.bytes""",
        list(parts),
        [each.count for each in parts.values()],
        [each.bytes for each in parts.values()],
    )


async def is_today_noted() -> bool:
    return await database.fetch_value(
        "SELECT EXISTS (SELECT 1 FROM stored_day WHERE day = (now() AT TIME ZONE 'UTC')::date)"
    )


async def noted_days(days: int) -> list[NotedDay]:
    """Of the last so many days, today among them, those that were noted; the oldest first."""
    rows = await database.fetch(
        """SELECT day, part, pieces, bytes FROM stored_day
           WHERE day <= (now() AT TIME ZONE 'UTC')::date AND day > (now() AT TIME ZONE 'UTC')::date - $1::int
           ORDER BY day""",
        days,
    )
    found: dict[date, dict[str, Amount]] = {}
    for row in rows:
        found.setdefault(row["day"], {})[row["part"]] = Amount(row["pieces"], row["bytes"])
    return [NotedDay(day, parts) for day, parts in found.items()]


def by_week(days: list[NotedDay], today: date, weeks: int) -> list[NotedDay | None]:
    """The last day noted in each of so many weeks that end with today; None where there is none."""
    last: dict[int, NotedDay] = {(today - each.day).days // 7: each for each in days if each.day <= today}
    return [last.get(each) for each in reversed(range(weeks))]


def week_ends(today: date, weeks: int) -> list[date]:
    return [today - timedelta(days=7 * each) for each in reversed(range(weeks))]
