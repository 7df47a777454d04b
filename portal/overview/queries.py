"""What needs a person today, what came lately, and what is stored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.entities.coverage import Coverage, coverage
from portal.entities.kinds import KINDS, EntityRef
from portal.gallery.counters import Count, stored_counts
from portal.gallery.presets import print_box
from portal.gallery.queries import IMAGE_COLUMNS
from portal.gallery.views import ImageView, image_view
from portal.integrity.findings import open_by_kind
from portal.paging import EXACT_UP_TO
from portal.storage.links import Links

_RUNNING: Final = ("pending", "processing")
MOST_FAILED: Final = 3
MOST_RECENT: Final = 12
DAY_MS: Final = 24 * 60 * 60 * 1000

_COLUMNS: Final = ", ".join(f"i.{column._meta.db_column_name}" for column in IMAGE_COLUMNS)
_IMAGES: Final = (
    f"SELECT {_COLUMNS}, e.type AS entity_type, e.id AS entity_id FROM image i JOIN entity e ON e.pk = i.entity"  # noqa: S608 - constant columns and clauses
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Of one type so many lack it: galleries a picture, or pictures their alt text."""

    type: str
    label: str
    singular: str
    count: int


@dataclass(frozen=True, slots=True)
class Needs:
    """`failed` are the newest of `failed_count`; `findings` are open; `running` counts pictures that wait for their renditions.
    Gaps: the largest first."""

    failed: list[ImageView]
    failed_count: int
    without_picture: list[Gap]
    without_alt: list[Gap]
    findings: int
    running: int

    @property
    def missing_pictures(self) -> int:
        return sum(gap.count for gap in self.without_picture)

    @property
    def missing_alt(self) -> int:
        return sum(gap.count for gap in self.without_alt)

    @property
    def wanted(self) -> int:
        """How many things need a person."""
        return sum(map(bool, (self.failed_count, self.findings, self.missing_pictures, self.missing_alt)))


@dataclass(frozen=True, slots=True)
class StorageFigures:
    """In bytes, trash and old versions included: they lie on the disk too. `images` counts what stands in galleries;
    `trash_bytes` is that part of both which lies in the trash."""

    originals_bytes: int
    renditions_bytes: int
    images: int
    trash_bytes: int = 0
    trashed: int = 0


@dataclass(frozen=True, slots=True)
class Overview:
    """The context of the overview page. `added_today`: in the last 24 hours, exact up to 1000."""

    needs: Needs
    recent: list[ImageView]
    added_today: int
    kinds: list[Coverage]
    storage: StorageFigures


async def overview_of_today(links: Links) -> Overview:
    found = await coverage(await print_box())
    counts = await stored_counts()
    return Overview(
        needs=await _needs(found, counts, links),
        recent=await _images(f"{_IMAGES} WHERE i.trashed_at IS NULL ORDER BY i.id DESC LIMIT {MOST_RECENT}", links),
        added_today=await _added_today(),
        kinds=found,
        storage=storage_figures(counts),
    )


async def _needs(found: Sequence[Coverage], counts: Sequence[Count], links: Links) -> Needs:
    failed = await _images(
        f"{_IMAGES} WHERE i.status = 'failed' AND i.trashed_at IS NULL ORDER BY i.id DESC LIMIT {MOST_FAILED}", links
    )
    shown = [each for each in counts if each.part == "original" and not each.is_trashed]
    return Needs(
        failed=failed,
        failed_count=sum(each.pieces for each in shown if each.status == "failed"),
        without_picture=_gaps({each.type: each.without_picture for each in found}),
        without_alt=_gaps({each.type: each.unsaid for each in found}),
        findings=sum((await open_by_kind()).values()),
        running=sum(each.pieces for each in counts if each.part == "original" and each.status in _RUNNING),
    )


def _gaps(lacking: dict[str, int]) -> list[Gap]:
    gaps = [Gap(kind.name, kind.label, kind.singular, lacking.get(kind.name, 0)) for kind in KINDS.values()]
    return sorted((gap for gap in gaps if gap.count), key=lambda gap: -gap.count)


async def _added_today() -> int:
    """By ids, which begin with their time."""
    first = UUID(int=(time.time_ns() // 1_000_000 - DAY_MS) << 80)
    return await database.fetch_value(
        f"SELECT count(*) FROM (SELECT FROM image WHERE id > $1 AND trashed_at IS NULL LIMIT {EXACT_UP_TO + 1}) AS added",  # noqa: S608 - a constant
        first,
    )


def storage_figures(counts: Sequence[Count]) -> StorageFigures:
    originals, renditions = _sizes(counts)
    trashed = [each for each in counts if each.is_trashed]
    pieces = [(each.pieces, each.is_trashed) for each in counts if each.part == "original"]
    return StorageFigures(
        originals,
        renditions,
        images=sum(count for count, is_trashed in pieces if not is_trashed),
        trash_bytes=sum(_sizes(trashed)),
        trashed=sum(count for count, is_trashed in pieces if is_trashed),
    )


def _sizes(counts: Sequence[Count]) -> tuple[int, int]:
    """Of originals, and of all else."""
    sizes: dict[str, int] = {}
    for each in counts:
        sizes[each.part] = sizes.get(each.part, 0) + each.bytes
    originals = sizes.pop("original", 0) + sizes.pop("version", 0)
    sizes.pop("compressible", 0)
    twice = sizes.pop("shared", 0)
    return originals, sum(sizes.values()) - twice


async def _images(sql: str, links: Links, *arguments: Any) -> list[ImageView]:
    rows = await database.fetch(sql, *arguments)
    return [image_view(dict(row), EntityRef(row["entity_type"], row["entity_id"]), links) for row in rows]
