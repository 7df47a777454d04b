"""Advice: originals that weigh more than they need, pictures too small for print, pictures without alt text.

Each list is read by an index of its own, so that it is there at once among a million pictures. Totals are exact up to 1000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.entities.kinds import EntityRef
from portal.errors import FormError
from portal.gallery.presets import print_box
from portal.gallery.prints import mm
from portal.gallery.queries import IMAGE_COLUMNS
from portal.gallery.views import ImageView, image_view
from portal.imaging.presets import OPTIMIZED_MOST
from portal.paging import EXACT_UP_TO, Page, decode_cursor, encode_cursor
from portal.storage.links import Links

LEAST_SAVED: Final = 500_000  # bytes: less is not worth anybody's minute
ENOUGH: Final = OPTIMIZED_MOST  # pixels on the long side: no size shows more
_COLUMNS: Final = ", ".join(f"image.{column._meta.db_column_name}" for column in IMAGE_COLUMNS)
_OWNER: Final = "entity.type AS entity_type, entity.id AS entity_id, entity.name AS entity_name"
_READY: Final = "status = 'ready' AND trashed_at IS NULL"
_SAVED: Final = "image_bytes_to_save(bytes, width, height, renditions)"
_HEAVY: Final = f"{_READY} AND frames = 1 AND {_SAVED} >= 500000"
_WIDTH, _HEIGHT = "image_shown_width(width, height, edits)", "image_shown_height(width, height, edits)"
_SIDE: Final = f"greatest({_WIDTH}, {_HEIGHT})"
_SMALL: Final = f"{_READY} AND {_SIDE} < greatest($1::int, $2::int) AND {_WIDTH} < $1 AND {_HEIGHT} < $2"
_SILENT: Final = "alt_text IS NULL AND NOT decorative AND trashed_at IS NULL"


@dataclass(frozen=True, slots=True)
class Advice:
    """How much there is of a list: `total` exact up to 1000, then 1001; `bytes` to win by the first 1000 of them."""

    total: int
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HeavyOriginal:
    """At 2400 pixels on its long side, and as dense as its large rendition, it would weigh `bytes_enough`."""

    image: ImageView
    entity_name: str
    bytes: int
    bytes_enough: int
    saved: int
    why: str


@dataclass(frozen=True, slots=True)
class SmallPrint:
    """What is shown of it in pixels, and how large that prints sharply (300 dpi). The print's box is not filled."""

    image: ImageView
    entity_name: str
    width: int
    height: int
    width_mm: float
    height_mm: float


@dataclass(frozen=True, slots=True)
class SilentGallery:
    """A gallery with pictures that nobody has described, and are not decorative. `missing` exact up to 1000."""

    entity: EntityRef
    name: str
    missing: int


async def count_heavy() -> Advice:
    row = await database.fetch_row(
        f"""SELECT count(*) AS total, coalesce(sum(saved), 0)::bigint AS bytes FROM (
            SELECT {_SAVED} AS saved FROM image WHERE {_HEAVY} ORDER BY {_SAVED} DESC LIMIT {EXACT_UP_TO + 1}) AS found"""  # noqa: S608 - constant conditions
    )
    return Advice(row["total"], row["bytes"]) if row else Advice(0, 0)


async def heavy_originals(
    links: Links, *, cursor: str | None = None, limit: int = 50, is_counted: bool = True
) -> Page[HeavyOriginal]:
    """The most to win first. Raises FormError for a foreign cursor."""
    saved, after = _after(cursor) or (2**62, UUID(int=0))
    rows = await database.fetch(
        f"""SELECT {_COLUMNS}, {_OWNER}, saved FROM (
              SELECT *, {_SAVED} AS saved FROM image
              WHERE {_HEAVY} AND {_SAVED} <= $1 AND ({_SAVED} < $1 OR id > $2) ORDER BY {_SAVED} DESC, id LIMIT $3) AS image
            JOIN entity ON entity.pk = image.entity ORDER BY saved DESC, image.id""",  # noqa: S608 - constant conditions
        saved,
        after,
        limit + 1,
    )
    items = [_heavy(row, links) for row in rows[:limit]]
    total = (await count_heavy()).total if is_counted else 0
    return Page(items, total, _next(rows, limit, "saved"))


def _heavy(row: Mapping[str, Any], links: Links) -> HeavyOriginal:
    image = _view(row, links)
    return HeavyOriginal(image, row["entity_name"], image.bytes, image.bytes - row["saved"], row["saved"], _why(image))


def _why(image: ImageView) -> str:
    """What a person could do about it."""
    kind = {"image/png": "PNG", "image/gif": "GIF"}.get(image.media_type)
    is_large = max(image.width, image.height) > ENOUGH
    if kind and is_large:
        return f"smaller, and as JPEG or WebP instead of {kind}"
    if kind:
        return f"as JPEG or WebP instead of {kind}"
    return f"{ENOUGH:,} pixels are enough" if is_large else "saved less finely"


async def count_small() -> Advice:
    total = await database.fetch_value(
        f"SELECT count(*) FROM (SELECT 1 FROM image WHERE {_SMALL} ORDER BY {_SIDE} LIMIT {EXACT_UP_TO + 1}) AS found",  # noqa: S608 - constant conditions
        *await print_box(),
    )
    return Advice(total)


async def small_prints(
    links: Links, *, cursor: str | None = None, limit: int = 50, is_counted: bool = True
) -> Page[SmallPrint]:
    """The smallest first. Raises FormError for a foreign cursor."""
    side, after = _after(cursor) or (0, UUID(int=0))
    rows = await database.fetch(
        f"""SELECT {_COLUMNS}, {_OWNER}, side, shown_width, shown_height FROM (
              SELECT *, {_SIDE} AS side, {_WIDTH} AS shown_width, {_HEIGHT} AS shown_height FROM image
              WHERE {_SMALL} AND {_SIDE} >= $3 AND ({_SIDE} > $3 OR id > $4) ORDER BY {_SIDE}, id LIMIT $5) AS image
            JOIN entity ON entity.pk = image.entity ORDER BY side, image.id""",  # noqa: S608 - constant conditions
        *await print_box(),
        side,
        after,
        limit + 1,
    )
    total = (await count_small()).total if is_counted else 0
    return Page([_small(row, links) for row in rows[:limit]], total, _next(rows, limit, "side"))


def _small(row: Mapping[str, Any], links: Links) -> SmallPrint:
    width, height = row["shown_width"], row["shown_height"]
    return SmallPrint(_view(row, links), row["entity_name"], width, height, mm(width), mm(height))


async def count_silent() -> Advice:
    total = await database.fetch_value(
        f"SELECT count(*) FROM (SELECT 1 FROM image WHERE {_SILENT} LIMIT {EXACT_UP_TO + 1}) AS found"  # noqa: S608 - constant conditions
    )
    return Advice(total)


async def silent_galleries(*, cursor: str | None = None, limit: int = 50) -> Page[SilentGallery]:
    """The newest first; from one gallery to the next by the index. Raises FormError for a foreign cursor."""
    last = decode_cursor(cursor, [int])
    rows = await database.fetch(
        f"""WITH RECURSIVE found AS (
              (SELECT entity FROM image WHERE {_SILENT} AND entity < $1 ORDER BY entity DESC LIMIT 1) UNION ALL
              SELECT (SELECT entity FROM image WHERE {_SILENT} AND entity < found.entity ORDER BY entity DESC LIMIT 1)
              FROM found WHERE found.entity IS NOT NULL)
            SELECT entity.pk, type, id, name, (SELECT count(*) FROM (
                SELECT 1 FROM image WHERE {_SILENT} AND image.entity = entity.pk LIMIT {EXACT_UP_TO + 1}) AS counted) AS missing
            FROM (SELECT entity FROM found WHERE entity IS NOT NULL LIMIT $2) AS found
            JOIN entity ON entity.pk = found.entity ORDER BY entity.pk DESC""",  # noqa: S608 - constant conditions
        last[0] if last else 2**62,
        limit + 1,
    )
    items = [SilentGallery(EntityRef(row["type"], row["id"]), row["name"], row["missing"]) for row in rows[:limit]]
    following = encode_cursor([rows[limit - 1]["pk"]]) if len(rows) > limit else None
    return Page(items, (await count_silent()).total, following)


def _view(row: Mapping[str, Any], links: Links) -> ImageView:
    return image_view(row, EntityRef(row["entity_type"], row["entity_id"]), links)


def _after(cursor: str | None) -> tuple[int, UUID] | None:
    values = decode_cursor(cursor, [int, str])
    if values is None:
        return None
    try:
        return values[0], UUID(values[1])
    except ValueError as error:
        raise FormError({"cursor": "This cursor is not one of ours; start again from the first page."}) from error


def _next(rows: Sequence[Mapping[str, Any]], limit: int, by: str) -> str | None:
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return encode_cursor([last[by], str(last["id"])])


async def images_by_id(ids: Sequence[UUID], links: Links) -> dict[str, tuple[ImageView, str]]:
    """Each with its gallery's name; those that are gone are left out."""
    rows = await database.fetch(
        f"SELECT {_COLUMNS}, {_OWNER} FROM image JOIN entity ON entity.pk = image.entity WHERE image.id = ANY($1::uuid[])",  # noqa: S608 - constant columns
        list(ids),
    )
    return {str(row["id"]): (_view(row, links), row["entity_name"]) for row in rows}
