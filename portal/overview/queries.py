"""What needs a person today, what is stored, and one search over entities and images together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from portal import database
from portal.entities.kinds import KINDS, EntityRef
from portal.entities.lasting import Lasting
from portal.entities.queries import coverage, find_entities, prefix_query
from portal.gallery.counters import Count, stored_counts
from portal.gallery.queries import IMAGE_COLUMNS, entity_views
from portal.gallery.views import EntityView, ImageView, image_view
from portal.integrity.findings import open_by_kind
from portal.paging import EXACT_UP_TO
from portal.storage.links import Links

_RUNNING: Final = ("pending", "processing")
MOST_FOUND: Final = 24
MOST_FAILED: Final = 100
MOST_RECENT: Final = 12
_SAMPLE: Final = 2000  # pictures, the newest
_COMMON: Final = 0.03  # the share from which a walk finds 1000 sooner than the index

_COLUMNS: Final = ", ".join(f"i.{column._meta.db_column_name}" for column in IMAGE_COLUMNS)
_IMAGES: Final = (
    f"SELECT {_COLUMNS}, e.type AS entity_type, e.id AS entity_id FROM image i JOIN entity e ON e.pk = i.entity"  # noqa: S608 - constant columns and clauses
)


@dataclass(frozen=True, slots=True)
class Needs:
    """`failed` holds the newest 100; `findings` are open; `running` counts pictures that wait for their renditions."""

    failed: list[ImageView]
    missing_pictures: int
    missing_alt: int
    findings: int
    running: int


@dataclass(frozen=True, slots=True)
class KindShare:
    """One entity type's part of the overview."""

    type: str
    label: str
    icon: str
    total: int
    with_pictures: int
    percent: int


@dataclass(frozen=True, slots=True)
class StorageFigures:
    """In bytes, trash and old versions included: they lie on the disk too. `images` counts what stands in galleries."""

    originals_bytes: int
    renditions_bytes: int
    images: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The context of the overview page."""

    needs: Needs
    recent: list[ImageView]
    kinds: list[KindShare]
    storage: StorageFigures


@dataclass(frozen=True, slots=True)
class Found:
    """The best of what matches, at most 24 of each."""

    entities: list[EntityView]
    images: list[ImageView]


async def overview_of_today(links: Links) -> Overview:
    shares = [
        KindShare(
            each.type, KINDS[each.type].label, KINDS[each.type].icon, each.total, each.with_pictures, each.percent
        )
        for each in await coverage()
    ]
    counts = await stored_counts()
    return Overview(
        needs=await _needs(shares, counts, links),
        recent=await _images(f"{_IMAGES} WHERE i.trashed_at IS NULL ORDER BY i.id DESC LIMIT {MOST_RECENT}", links),
        kinds=shares,
        storage=storage_figures(counts),
    )


async def _needs(shares: list[KindShare], counts: list[Count], links: Links) -> Needs:
    failed = await _images(
        f"{_IMAGES} WHERE i.status = 'failed' AND i.trashed_at IS NULL ORDER BY i.id DESC LIMIT {MOST_FAILED}", links
    )
    return Needs(
        failed=failed,
        missing_pictures=sum(share.total - share.with_pictures for share in shares),
        missing_alt=await _missing_alt.get(),
        findings=sum((await open_by_kind()).values()),
        running=sum(each.pieces for each in counts if each.part == "original" and each.status in _RUNNING),
    )


async def _count_missing_alt() -> int:
    return await database.fetch_value(
        "SELECT count(*) FROM image WHERE alt_text IS NULL AND NOT decorative AND trashed_at IS NULL"
    )


_missing_alt: Final = Lasting(_count_missing_alt)


def storage_figures(counts: list[Count]) -> StorageFigures:
    sizes: dict[str, int] = {}
    for each in counts:
        sizes[each.part] = sizes.get(each.part, 0) + each.bytes
    originals = sizes.pop("original", 0) + sizes.pop("version", 0)
    sizes.pop("compressible", 0)
    twice = sizes.pop("shared", 0)
    images = sum(each.pieces for each in counts if each.part == "original" and not each.is_trashed)
    return StorageFigures(originals, sum(sizes.values()) - twice, images)


async def search_everything(q: str, links: Links, *, limit: int = MOST_FOUND) -> Found:
    """Entities by name, id, reference and number; images by alt text, caption, file name and tags."""
    words = prefix_query(q)
    if words is None:
        return Found([], [])
    entities = await entity_views(await find_entities(q, limit), links)
    images = await _images(
        f"{_IMAGES} WHERE i.id = ANY($2::uuid[]) ORDER BY ts_rank(i.search, lower($1::text)::tsquery) DESC, i.id DESC LIMIT $3",
        links,
        words,
        await _image_hits(words),
        limit,
    )
    return Found(entities, images)


async def _image_hits(words: str) -> list[Any]:
    """Ids of the newest 1000 that match, because ranking all of a common word takes a second."""
    matches = "search @@ lower($1::text)::tsquery"
    seen = await database.fetch_value(
        f"""SELECT count(*) FILTER (WHERE {matches}) FROM (
            SELECT search FROM image WHERE trashed_at IS NULL ORDER BY id DESC LIMIT {_SAMPLE}) AS newest""",  # noqa: S608 - constant clauses
        words,
    )
    # A common word is found by walking back from the newest, a rare one by the index: the planner cannot tell them apart.
    by_index = "" if seen > _SAMPLE * _COMMON else "OFFSET 0"
    rows = await database.fetch(
        f"""SELECT id FROM (SELECT id FROM image WHERE trashed_at IS NULL AND {matches} {by_index}) AS found
            ORDER BY id DESC LIMIT {EXACT_UP_TO}""",  # noqa: S608 - constant clauses
        words,
    )
    return [row["id"] for row in rows]


async def _images(sql: str, links: Links, *arguments: Any) -> list[ImageView]:
    rows = await database.fetch(sql, *arguments)
    return [image_view(dict(row), EntityRef(row["entity_type"], row["entity_id"]), links) for row in rows]
