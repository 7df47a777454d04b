"""What the counts of use say: what is shown how often, what never, what weighs more than it need, which size nobody asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.entities.kinds import EntityRef
from portal.gallery.queries import IMAGE_COLUMNS
from portal.gallery.views import ImageView, image_view
from portal.imaging.presets import PRESETS, READY
from portal.maintenance.statistics import (
    DAYS,
    Day,
    Delivery,
    Stored,
    delivery,
    first_day,
    grouped,
    served_since,
    today,
)
from portal.media.usage import Usage
from portal.paging import EXACT_UP_TO
from portal.storage.links import Links

QUIET_DAYS: Final = 90  # what was shown to nobody for so long may be needed by nobody
MOST_LISTED: Final = 20
LEAST_SERVED: Final = 100  # in 30 days: from here on a picture's weight matters
LEAST_SAVED: Final = 1_000_000
# What would often do instead: originals are 10 times the large rendition; that is made for whole screens.
INSTEAD: Final = {"original": "optimized", "optimized": "gallery"}

_COLUMNS: Final = ", ".join(f"i.{column._meta.db_column_name}" for column in IMAGE_COLUMNS)
_IMAGES: Final = (
    f"SELECT {_COLUMNS}, e.type AS entity_type, e.id AS entity_id FROM image i JOIN entity e ON e.pk = i.entity"  # noqa: S608 - constant columns
)
# Icons do not count: rows of lists show them, this list's own among them, to find what to look at.
_QUIET: Final = """
    SELECT i.id FROM image i
    WHERE i.status = 'ready' AND i.trashed_at IS NULL AND i.created_at < $1::date
      AND NOT EXISTS (SELECT FROM image_usage u WHERE u.image = i.id AND u.preset <> 'icon' AND u.day >= $1::date)
    ORDER BY i.id LIMIT $2
"""
# How many bytes less it had been in the smaller size, by what the two weigh now.
_HEAVY: Final = """
    SELECT image, preset, served, bytes, (bytes * (1 - lighter / weight))::bigint AS saved
    FROM (SELECT u.image, u.preset, u.served, u.bytes,
                 CASE u.preset WHEN 'original' THEN i.bytes ELSE made.optimized END::float AS weight,
                 CASE u.preset WHEN 'original' THEN made.optimized ELSE made.gallery END AS lighter
          FROM (SELECT image, preset, sum(served)::bigint AS served, sum(bytes)::bigint AS bytes FROM image_usage
                WHERE day >= $1 AND preset IN ('original', 'optimized')
                GROUP BY image, preset HAVING sum(served) >= $2) AS u
          JOIN image i ON i.id = u.image AND i.trashed_at IS NULL,
          LATERAL (SELECT (i.renditions #>> '{items,optimized,bytes}')::bigint AS optimized,
                          (i.renditions #>> '{items,gallery,bytes}')::bigint AS gallery) AS made) AS weighed
    WHERE weight > 0 AND bytes * (1 - lighter / weight) >= $3
    ORDER BY saved DESC, image, preset LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class SizeUse:
    served: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ImageUsage:
    """One picture's last 30 days, staff's own looks included; `last` is the last day at all, in UTC."""

    days: int
    served: int
    bytes: int
    last: date | None
    by_size: dict[str, SizeUse]

    @property
    def mostly(self) -> str | None:
        return next(iter(self.by_size), None)


@dataclass(frozen=True, slots=True)
class NeverShown:
    """Ready pictures older than 90 days that were not served since, but as icons; `total` is exact up to 1000, then 1001."""

    total: int
    images: list[ImageView]


@dataclass(frozen=True, slots=True)
class HeavyPicture:
    """Served in `size` so often in 30 days; `saved` bytes fewer in the size `instead`."""

    image: ImageView
    size: str
    served: int
    bytes: int
    instead: str
    saved: int


@dataclass(frozen=True, slots=True)
class Heavy:
    total: int
    pictures: list[HeavyPicture]


@dataclass(frozen=True, slots=True)
class UnaskedSize:
    """A size that nobody asked for in 90 days, and what its renditions weigh."""

    size: str
    bytes: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """`counted_since`: the first day of which there are counts. What needs 90 days of them is empty before `known_from`."""

    counted_since: date | None
    known_from: date | None
    total: Delivery
    days: list[Day]
    by_size: dict[str, Delivery]
    never_shown: NeverShown
    heavy: Heavy
    unasked: list[UnaskedSize]


@dataclass(frozen=True, slots=True)
class UsageRows:
    """The lists as they are kept: without URLs, which are signed for an hour."""

    counted_since: date | None
    quiet_total: int
    quiet: list[dict[str, Any]]
    heavy_total: int
    heavy: list[tuple[dict[str, Any], dict[str, Any]]]  # what was found, and the picture
    asked: frozenset[str]

    @property
    def known_from(self) -> date | None:
        """None before the first count, and once it is known."""
        first = self.counted_since or today()
        return first + timedelta(days=QUIET_DAYS) if first > today() - timedelta(days=QUIET_DAYS) else None


async def usage_report(rows: UsageRows, stored: Stored, usage: Usage, links: Links) -> UsageReport:
    first = first_day(DAYS)
    served = await served_since(first, usage)
    by_day = grouped(served, lambda each: each.day.isoformat())
    return UsageReport(
        counted_since=rows.counted_since,
        known_from=rows.known_from,
        total=delivery(served),
        days=[_day(first + timedelta(days=each), by_day) for each in range(DAYS)],
        by_size=grouped(served, lambda each: each.size),
        never_shown=NeverShown(rows.quiet_total, [_view(row, links) for row in rows.quiet]),
        heavy=Heavy(rows.heavy_total, [_heavy(found, image, links) for found, image in rows.heavy]),
        unasked=[
            UnaskedSize(name, stored.by_rendition[name].bytes if name in READY else 0)
            for name in PRESETS
            if rows.known_from is None and name not in rows.asked
        ],
    )


async def usage_rows() -> UsageRows:
    """What takes long to find among very many pictures."""
    since = today() - timedelta(days=QUIET_DAYS)
    counted_since: date | None = await database.fetch_value("SELECT min(day) FROM served_day")
    is_known = counted_since is not None and counted_since <= since
    quiet = await _quiet_images(since) if is_known else []
    heavy = await database.fetch(_HEAVY, first_day(DAYS), LEAST_SERVED, LEAST_SAVED, EXACT_UP_TO + 1)
    listed = [*quiet[:MOST_LISTED], *(row["image"] for row in heavy[:MOST_LISTED])]
    images = {row["id"]: dict(row) for row in await database.fetch(f"{_IMAGES} WHERE i.id = ANY($1::uuid[])", listed)}
    asked = await database.fetch("SELECT DISTINCT preset FROM served_day WHERE day >= $1", since)
    return UsageRows(
        counted_since=counted_since,
        quiet_total=len(quiet),
        quiet=[images[each] for each in quiet[:MOST_LISTED] if each in images],
        heavy_total=len(heavy),
        heavy=[(dict(row), images[row["image"]]) for row in heavy[:MOST_LISTED] if row["image"] in images],
        asked=frozenset(row["preset"] for row in asked),
    )


async def _quiet_images(since: date) -> list[UUID]:
    rows = await database.fetch(_QUIET, since, EXACT_UP_TO + 1)
    return [row["id"] for row in rows]


async def usage_of_image(image_id: UUID) -> ImageUsage:
    """What all processes have written down: at most ten seconds old."""
    rows = await database.fetch(
        """SELECT preset, coalesce(sum(served) FILTER (WHERE day >= $2), 0)::bigint AS served,
                  coalesce(sum(bytes) FILTER (WHERE day >= $2), 0)::bigint AS bytes, max(day) AS last
           FROM image_usage WHERE image = $1 GROUP BY preset ORDER BY 2 DESC, 1""",
        image_id,
        first_day(DAYS),
    )
    return ImageUsage(
        days=DAYS,
        served=sum(row["served"] for row in rows),
        bytes=sum(row["bytes"] for row in rows),
        last=max((row["last"] for row in rows), default=None),
        by_size={row["preset"]: SizeUse(row["served"], row["bytes"]) for row in rows if row["served"]},
    )


def _day(day: date, by_day: Mapping[str, Delivery]) -> Day:
    found = by_day.get(day.isoformat())
    return Day(day, found.served, found.hits, found.misses, found.bytes) if found else Day(day, 0, 0, 0, 0)


def _view(row: Mapping[str, Any], links: Links) -> ImageView:
    return image_view(row, EntityRef(row["entity_type"], row["entity_id"]), links)


def _heavy(found: Mapping[str, Any], image: Mapping[str, Any], links: Links) -> HeavyPicture:
    size = found["preset"]
    return HeavyPicture(_view(image, links), size, found["served"], found["bytes"], INSTEAD[size], found["saved"])
