"""Counts and bytes of all that is stored, and of what was served of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.entities.kinds import KINDS
from portal.imaging.presets import PRESETS, READY
from portal.jobs.queue import QueueCounts, queue_counts
from portal.media.usage import Served, Usage
from portal.storage.cache import Cache

DAYS: Final = 30
STATUSES: Final = ("pending", "processing", "ready", "failed")

# One pass over all images, for whatever is asked. `extremes`: the most and the least that a rendition of an original
# weighs, in millionths, each with its image behind it, because PostgreSQL has no max() of rows.
_SIZES: Final = [name for name in PRESETS if name in READY]
_STORED: Final = f"""
    SELECT e.type, i.status, i.trashed_at IS NOT NULL AS is_trashed,
           count(*) AS images, sum(i.bytes)::bigint AS bytes,
           {", ".join(f"count(i.{name}) AS {name}_count, coalesce(sum(i.{name}), 0)::bigint AS {name}_bytes" for name in _SIZES)},
           coalesce(sum(i.bytes) FILTER (WHERE i.optimized IS NOT NULL), 0)::bigint AS optimized_from,
           max(i.weight) AS worst, min(i.weight) AS best
    FROM (SELECT entity, status, trashed_at, bytes, {", ".join(_SIZES)},
                 lpad((optimized * 1000000 / bytes)::text, 12, '0') || id AS weight
          FROM (SELECT id, entity, status, trashed_at, bytes,
                       {", ".join(f"(items -> '{name}' ->> 'bytes')::bigint AS {name}" for name in _SIZES)}
                FROM (SELECT id, entity, status, trashed_at, greatest(bytes, 1) AS bytes, renditions -> 'items' AS items
                      FROM image OFFSET 0) AS read) AS sized) AS i
    JOIN entity e ON e.pk = i.entity
    GROUP BY e.type, i.status, i.trashed_at IS NOT NULL
"""  # noqa: S608 - names of presets, from the code


@dataclass(frozen=True, slots=True)
class Amount:
    """`bytes` are those of originals, unless it is a rendition's amount."""

    count: int = 0
    bytes: int = 0


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
    """In galleries, by entity type, status and rendition; and apart from it what waits in the trash."""

    images: Amount
    by_entity_type: dict[str, Amount]
    by_status: dict[str, Amount]
    by_rendition: dict[str, Amount]
    trash: Amount
    old_versions: Amount
    compression: Compression


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
    trash: Amount
    old_versions: Amount
    compression: Compression
    cache: CacheFigures
    queue: QueueCounts


async def statistics(stored: Stored, folder: Amount, usage: Usage) -> Statistics:
    served = await served_since(first_day(DAYS), usage)
    everything = delivery(served)
    return Statistics(
        images=stored.images,
        by_entity_type=stored.by_entity_type,
        by_status=stored.by_status,
        by_rendition=stored.by_rendition,
        trash=stored.trash,
        old_versions=stored.old_versions,
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
    rows = await database.fetch(_STORED)
    old = await database.fetch_row(
        "SELECT count(*) AS count, coalesce(sum(bytes), 0)::bigint AS bytes FROM image_version"
    )
    shown = [row for row in rows if not row["is_trashed"]]
    return Stored(
        images=_amount(shown),
        by_entity_type={name: _amount(row for row in shown if row["type"] == name) for name in KINDS},
        by_status={name: _amount(row for row in shown if row["status"] == name) for name in STATUSES},
        by_rendition={name: _amount(shown, f"{name}_count", f"{name}_bytes") for name in _SIZES},
        trash=_amount(row for row in rows if row["is_trashed"]),
        old_versions=Amount(**dict(old or {})),
        compression=_compression(shown),
    )


def _amount(rows: Iterable[Mapping[str, Any]], count: str = "images", size: str = "bytes") -> Amount:
    found = [(row[count], row[size]) for row in rows]
    return Amount(sum(each for each, _ in found), sum(each for _, each in found))


def _compression(rows: list[Mapping[str, Any]]) -> Compression:
    original = sum(row["optimized_from"] for row in rows)
    optimized = sum(row["optimized_bytes"] for row in rows)
    return Compression(
        original_bytes=original,
        optimized_bytes=optimized,
        saved_percent=round(100 - 100 * optimized / original, 1) if original else None,
        best=_extreme(min((row["best"] for row in rows if row["best"]), default=None)),
        worst=_extreme(max((row["worst"] for row in rows if row["worst"]), default=None)),
    )


def _extreme(weight: str | None) -> Extreme | None:
    """`weight` as in _STORED: twelve digits, then the image's id."""
    return None if weight is None else Extreme(str(UUID(weight[12:])), round(100 - int(weight[:12]) / 10_000, 1))


def folder_figures(cache: Cache) -> Amount:
    """Of the cache on this machine; blocks."""
    count = size = 0
    for path in cache.expired(timedelta(0)):
        with contextlib.suppress(FileNotFoundError):  # swept meanwhile
            size += path.stat().st_size
            count += 1
    return Amount(count, size)
