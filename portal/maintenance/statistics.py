"""Counts and bytes of all that is stored, and of what was served of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from portal import database
from portal.entities.kinds import KINDS
from portal.gallery.counters import Count, stored_counts
from portal.imaging.presets import PRESETS, READY
from portal.jobs.queue import QueueCounts, queue_counts
from portal.maintenance.growth import Disk, Growth, growth
from portal.maintenance.history import Amount
from portal.media.usage import Served, Usage
from portal.storage.cache import Cache

DAYS: Final = 30
STATUSES: Final = ("pending", "processing", "ready", "failed")

_SIZES: Final = [name for name in PRESETS if name in READY]

# In millionths; by the index ix_image_compression.
_WEIGHT: Final = "((renditions #>> '{items,optimized,bytes}')::bigint * 1000000 / greatest(bytes, 1))"
_WEIGHED: Final = "trashed_at IS NULL AND renditions #>> '{items,optimized,bytes}' IS NOT NULL"
_EXTREME: Final = f"SELECT id, {_WEIGHT} AS weight FROM image WHERE {_WEIGHED} ORDER BY {_WEIGHT}"  # noqa: S608 - constants
_BEST: Final = f"{_EXTREME}, id LIMIT $1"
_WORST: Final = f"{_EXTREME} DESC, id DESC LIMIT $1"


@dataclass(frozen=True, slots=True)
class Extreme:
    """How much smaller this picture's large rendition is than its original; below 0 it is larger."""

    image_id: str
    saved_percent: float


@dataclass(frozen=True, slots=True)
class Compression:
    """Originals against their large renditions (`optimized`), where there are both; None before there is one."""

    original_bytes: int
    optimized_bytes: int
    saved_percent: float | None
    best: Extreme | None
    worst: Extreme | None


@dataclass(frozen=True, slots=True)
class Stored:
    """In galleries, by entity type, status, rendition and the month in which they were added (`2026-11`, UTC); and apart from
    it what waits in the trash.

    `kept_renditions`: those of old versions that no picture shows; `trash_renditions`: those of pictures in the trash.
    """

    images: Amount
    by_entity_type: dict[str, Amount]
    by_status: dict[str, Amount]
    by_rendition: dict[str, Amount]
    by_month: dict[str, Amount]
    trash: Amount
    trash_renditions: Amount
    old_versions: Amount
    kept_renditions: Amount
    compression: Compression

    @property
    def renditions(self) -> Amount:
        return sum_of(self.by_rendition.values())

    @property
    def in_trash(self) -> Amount:
        return Amount(self.trash.count, self.trash.bytes + self.trash_renditions.bytes)

    @property
    def in_versions(self) -> Amount:
        return Amount(self.old_versions.count, self.old_versions.bytes + self.kept_renditions.bytes)


@dataclass(frozen=True, slots=True)
class Delivery:
    """`hits` came out of memory or the cache, or were 304s; `ratio` is their share, None when nothing was served."""

    served: int
    hits: int
    misses: int
    ratio: float | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Day:
    """In UTC."""

    day: date
    served: int
    hits: int
    misses: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """The last 30 days in all, today, and by size; `folder` is what lies in the cache's folder of this machine."""

    days: int
    hits: int
    misses: int
    ratio: float | None
    bytes: int
    today: Delivery
    by_size: dict[str, Delivery]
    by_format: dict[str, Delivery]
    folder: Amount


@dataclass(frozen=True, slots=True)
class Statistics:
    images: Amount
    by_entity_type: dict[str, Amount]
    by_status: dict[str, Amount]
    by_rendition: dict[str, Amount]
    by_month: dict[str, Amount]
    trash: Amount
    trash_renditions: Amount
    old_versions: Amount
    kept_renditions: Amount
    quarantine: Amount
    compression: Compression
    cache: CacheFigures
    queue: QueueCounts
    disk: Disk
    growth: Growth


async def statistics(stored: Stored, folder: Amount, usage: Usage, disk: Disk) -> Statistics:
    served = await served_since(first_day(DAYS), usage)
    everything = delivery(served)
    return Statistics(
        images=stored.images,
        by_entity_type=stored.by_entity_type,
        by_status=stored.by_status,
        by_rendition=stored.by_rendition,
        by_month=stored.by_month,
        trash=stored.trash,
        trash_renditions=stored.trash_renditions,
        old_versions=stored.old_versions,
        kept_renditions=stored.kept_renditions,
        quarantine=await quarantine_figures(),
        compression=stored.compression,
        cache=CacheFigures(
            days=DAYS,
            hits=everything.hits,
            misses=everything.misses,
            ratio=everything.ratio,
            bytes=everything.bytes,
            today=delivery(each for each in served if each.day == today()),
            by_size=grouped(served, lambda each: each.size),
            by_format=grouped(served, lambda each: each.format),
            folder=folder,
        ),
        queue=await queue_counts(),
        disk=disk,
        growth=await growth(disk),
    )


def today() -> date:
    return datetime.now(UTC).date()


def first_day(days: int) -> date:
    """Of so many days that end with today."""
    return today() - timedelta(days=days - 1)


async def served_since(day: date, usage: Usage) -> list[Served]:
    """What all processes have written down, and what this one has not yet."""
    async with usage.still():
        rows = await database.fetch(
            "SELECT day, preset, format, hits, misses, bytes FROM served_day WHERE day >= $1 ORDER BY day", day
        )
        unwritten = usage.unwritten()
    return [*(Served(*row.values()) for row in rows), *unwritten]


def delivery(served: Iterable[Served]) -> Delivery:
    hits = misses = sent = 0
    for each in served:
        hits, misses, sent = hits + each.hits, misses + each.misses, sent + each.bytes
    total = hits + misses
    return Delivery(total, hits, misses, round(hits / total, 4) if total else None, sent)


def grouped(served: Iterable[Served], key: Callable[[Served], str]) -> dict[str, Delivery]:
    """The most bytes first."""
    groups: dict[str, list[Served]] = {}
    for each in served:
        groups.setdefault(key(each), []).append(each)
    deliveries = {name: delivery(group) for name, group in groups.items()}
    return dict(sorted(deliveries.items(), key=lambda item: -item[1].bytes))


async def stored_figures() -> Stored:
    """Exact, from the counters."""
    counts = await stored_counts()
    old = [each for each in counts if each.status == "old"]
    trashed = [each for each in counts if each.is_trashed]
    shown = [each for each in counts if not each.is_trashed and each.status != "old"]
    originals = _of(shown, "original")
    kept, shared = sum_of(_of(old, "version_set")), sum_of(_of(counts, "shared"))
    months = sorted({each.month for each in originals})
    return Stored(
        images=sum_of(originals),
        by_entity_type={name: sum_of(each for each in originals if each.entity_type == name) for name in KINDS},
        by_status={name: sum_of(each for each in originals if each.status == name) for name in STATUSES},
        by_rendition={name: sum_of(_of(shown, name)) for name in _SIZES},
        by_month={f"{month:%Y-%m}": sum_of(each for each in originals if each.month == month) for month in months},
        trash=sum_of(_of(trashed, "original")),
        trash_renditions=sum_of(each for each in trashed if each.part in PRESETS),
        old_versions=sum_of(_of(old, "version")),
        kept_renditions=Amount(kept.count - shared.count, kept.bytes - shared.bytes),
        compression=await _compression(sum_of(_of(shown, "compressible")), sum_of(_of(shown, "optimized"))),
    )


def _of(counts: Iterable[Count], part: str) -> list[Count]:
    return [each for each in counts if each.part == part]


def sum_of(amounts: Iterable[Count | Amount]) -> Amount:
    count = size = 0
    for each in amounts:
        count += each.pieces if isinstance(each, Count) else each.count
        size += each.bytes
    return Amount(count, size)


async def _compression(originals: Amount, optimized: Amount) -> Compression:
    best, worst = await extremes(1)
    return Compression(
        original_bytes=originals.bytes,
        optimized_bytes=optimized.bytes,
        saved_percent=round(100 - 100 * optimized.bytes / originals.bytes, 1) if originals.bytes else None,
        best=next(iter(best), None),
        worst=next(iter(worst), None),
    )


async def extremes(most: int) -> tuple[list[Extreme], list[Extreme]]:
    """The pictures whose large rendition is the smallest and the largest, against their original."""
    best, worst = await database.fetch(_BEST, most), await database.fetch(_WORST, most)
    return [_extreme(row) for row in best], [_extreme(row) for row in worst]


def _extreme(row: Mapping[str, Any]) -> Extreme:
    return Extreme(str(row["id"]), round(100 - row["weight"] / 10_000, 1))


async def quarantine_figures() -> Amount:
    row = await database.fetch_row(
        """SELECT count(*) AS count, coalesce(sum(bytes), 0)::bigint AS bytes FROM quarantined
           WHERE restored_at IS NULL AND removed_at IS NULL"""
    )
    return Amount(**dict(row or {}))


def folder_figures(cache: Cache) -> Amount:
    """Of the cache on this machine; blocks."""
    count = size = 0
    for path in cache.expired(timedelta(0)):
        with contextlib.suppress(FileNotFoundError):  # swept meanwhile
            size += path.stat().st_size
            count += 1
    return Amount(count, size)
