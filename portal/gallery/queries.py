"""Reads of galleries: rows in, views out. One query at a time, only the columns that are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from portal import database
from portal.entities.kinds import EntityRef
from portal.errors import NoSuchEntity, NotFound
from portal.gallery.views import EntityView, ImageView, LineView, decoded, image_view
from portal.money import amount_of
from portal.paging import EXACT_UP_TO, Page, decode_cursor, encode_cursor
from portal.storage.links import Links
from portal.tables import Entity, Image, InvoiceLine

IMAGE_COLUMNS = [column for column in Image.all_columns() if column._meta.name != "entity"]
OWNER_COLUMNS = [Image.entity.type.as_alias("entity_type"), Image.entity.id.as_alias("entity_id")]


def parse_image_id(text: str) -> UUID:
    """Raises NotFound for what cannot be an image's id."""
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("There is no picture with this id.") from error


async def gallery_of(
    ref: EntityRef, *, links: Links, public: bool = False, cursor: str | None = None, limit: int = 200
) -> Page[ImageView]:
    """A gallery in its order; for visitors (`public`) only what is ready. Raises NoSuchEntity, FormError."""
    after = decode_cursor(cursor, [int])
    entity = await Entity.select(Entity.pk).where((Entity.type == ref.type) & (Entity.id == ref.id)).first()
    if entity is None:
        raise NoSuchEntity(f"There is no {ref}.")
    mine = (Image.entity == entity["pk"]) & Image.trashed_at.is_null()
    if public:
        mine &= Image.status == "ready"
    wanted = mine & (Image.sort_order > after[0]) if after else mine
    rows = await Image.select(*IMAGE_COLUMNS).where(wanted).order_by(Image.sort_order).limit(limit + 1)
    total = len(rows) if after is None and len(rows) <= limit else await _count(mine)
    images = [image_view(row, ref, links) for row in rows[:limit]]
    following = encode_cursor([images[-1].sort_order]) if len(rows) > limit else None
    return Page(images, total, following)


async def _count(where: Any) -> int:
    """Exact up to 1000, then 1001."""
    return len(await Image.select(Image.id).where(where).limit(EXACT_UP_TO + 1))


async def find_image(image_id: UUID, links: Links) -> ImageView | None:
    row = await Image.select(*IMAGE_COLUMNS, *OWNER_COLUMNS).where(Image.id == image_id).first()
    return None if row is None else image_view(row, EntityRef(row["entity_type"], row["entity_id"]), links)


async def are_settled(image_ids: Sequence[UUID]) -> bool:
    """Is each of these images as it is wanted, failed or gone? One that is ready may wait for new renditions."""
    return not await database.fetch_value(
        """SELECT EXISTS (SELECT 1 FROM image WHERE id = ANY($1::uuid[]) AND (status IN ('pending', 'processing')
             OR status = 'ready' AND error IS NULL AND renditions ->> 'of' <> version || '.' || rendering))""",
        list(image_ids),
    )


async def edits_shown(image_id: UUID) -> dict[str, Any] | None:
    """Those that the renditions shown now were made with; None where they are of the bytes before."""
    value = await database.fetch_value(
        """SELECT coalesce(renditions -> 'made_of' -> 'edits', '{}') FROM image
           WHERE id = $1 AND split_part(renditions ->> 'of', '.', 1) = version::text""",
        image_id,
    )
    return None if value is None else decoded(value)


async def get_image(image_id: UUID, links: Links) -> ImageView:
    """Raises NotFound."""
    image = await find_image(image_id, links)
    if image is None:
        raise NotFound("There is no picture with this id.")
    return image


async def list_images(
    *,
    links: Links,
    status: str | None,
    tag: str | None,
    type: str | None,
    sha256: str | None = None,
    cursor: str | None,
    limit: int,
) -> Page[ImageView]:
    """Images of all galleries, newest first, without the trash. Raises FormError for a foreign cursor."""
    after = decode_cursor(cursor, [str])
    where = Image.trashed_at.is_null()
    if status:
        where &= Image.status == status
    if tag:
        where &= Image.tags.any(tag)
    if type:
        where &= Image.entity.type == type
    if sha256:
        where &= Image.sha256 == sha256
    wanted = where & (Image.id < parse_image_id(after[0])) if after else where
    rows = (
        await Image.select(*IMAGE_COLUMNS, *OWNER_COLUMNS)
        .where(wanted)
        .order_by(Image.id, ascending=False)
        .limit(limit + 1)
    )
    images = [image_view(row, EntityRef(row["entity_type"], row["entity_id"]), links) for row in rows[:limit]]
    total = len(rows) if after is None and len(rows) <= limit else await _count(where)
    return Page(images, total, encode_cursor([images[-1].id]) if len(rows) > limit else None)


async def neighbours_of(image: ImageView) -> tuple[str | None, str | None]:
    """The ids before and after this one in its gallery."""
    rows = await database.fetch(
        """SELECT i.id, i.sort_order FROM image i JOIN entity e ON e.pk = i.entity
           WHERE e.type = $1 AND e.id = $2 AND i.sort_order IN ($3::int - 1, $3::int + 1)""",
        image.entity.type,
        image.entity.id,
        image.sort_order,
    )
    around = {row["sort_order"] - image.sort_order: str(row["id"]) for row in rows}
    return around.get(-1), around.get(1)


async def primaries_of(entities: Iterable[int], links: Links) -> dict[int, ImageView]:
    """The primary image of each entity (by its pk) that has one."""
    pks = list(entities)
    if not pks:
        return {}
    rows = await Image.select(*IMAGE_COLUMNS, Image.entity.as_alias("owner"), *OWNER_COLUMNS).where(
        Image.entity.is_in(pks) & (Image.is_primary == True)  # noqa: E712 - Piccolo builds SQL from ==
    )
    return {row["owner"]: image_view(row, EntityRef(row["entity_type"], row["entity_id"]), links) for row in rows}


async def _image_counts(entities: Sequence[int]) -> dict[int, int]:
    rows = await database.fetch(
        "SELECT entity, count(*) AS n FROM image WHERE entity = ANY($1::bigint[]) AND trashed_at IS NULL GROUP BY entity",
        list(entities),
    )
    return {row["entity"]: row["n"] for row in rows}


async def entity_views(rows: Sequence[Mapping[str, Any]], links: Links) -> list[EntityView]:
    """Views of entity rows (all columns, `pk` included) in their order, with counts, primaries and parents' names."""
    pks = [row["pk"] for row in rows]
    counts = await _image_counts(pks)
    primaries = await primaries_of(pks, links)
    parents = await _names_of({(row["parent_type"], row["parent_id"]) for row in rows if row["parent_type"]})
    lines = await _lines_of({row["pk"]: row["currency"] for row in rows if row["type"] == "invoices"}, links)
    return [
        EntityView(
            type=row["type"],
            id=row["id"],
            name=row["name"],
            reference=row["reference"],
            parent=EntityRef(row["parent_type"], row["parent_id"]) if row["parent_type"] else None,
            parent_name=parents.get((row["parent_type"], row["parent_id"])),
            attributes=decoded(row["attributes"]) or {},
            image_count=counts.get(row["pk"], 0),
            primary=primaries.get(row["pk"]),
            number=row["number"],
            date=row["date"],
            currency=row["currency"],
            total=row["total"],
            lines=lines.get(row["pk"], []),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            is_private=row["type"] in links.private_types,
        )
        for row in rows
    ]


async def get_entity(ref: EntityRef, links: Links) -> EntityView:
    """Raises NoSuchEntity."""
    row = await Entity.select().where((Entity.type == ref.type) & (Entity.id == ref.id)).first()
    if row is None:
        raise NoSuchEntity(f"There is no {ref}.")
    return (await entity_views([row], links))[0]


async def _names_of(refs: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    if not refs:
        return {}
    types, ids = zip(*refs, strict=True)
    rows = await database.fetch(
        """SELECT e.type, e.id, e.name FROM entity e
           JOIN unnest($1::text[], $2::text[]) AS wanted (type, id) ON e.type = wanted.type AND e.id = wanted.id""",
        list(types),
        list(ids),
    )
    return {(row["type"], row["id"]): row["name"] for row in rows}


async def _lines_of(invoices: Mapping[int, str | None], links: Links) -> dict[int, list[LineView]]:
    """The lines in order of each of these invoices, given with their currencies; an item that does not exist (yet) has
    neither name nor picture."""
    if not invoices:
        return {}
    lines = await InvoiceLine.select().where(InvoiceLine.invoice.is_in(list(invoices))).order_by(InvoiceLine.position)
    wanted = [line["item"] for line in lines if line["item"]]
    items: dict[str, Mapping[str, Any]] = {}
    if wanted:
        of_type = (Entity.type == "inventory_items") & Entity.id.is_in(wanted)
        items = {row["id"]: row for row in await Entity.select(Entity.pk, Entity.id, Entity.name).where(of_type)}
    pictures = await primaries_of((row["pk"] for row in items.values()), links)
    found: dict[int, list[LineView]] = defaultdict(list)
    for line in lines:
        item = items.get(line["item"] or "")
        picture = pictures.get(item["pk"]) if item else None
        found[line["invoice"]].append(_line_view(line, item, picture, invoices[line["invoice"]]))
    return found


def _line_view(
    line: Mapping[str, Any], item: Mapping[str, Any] | None, picture: ImageView | None, currency: str | None
) -> LineView:
    price: Decimal | None = line["unit_price"]
    return LineView(
        position=line["position"],
        item=line["item"],
        item_name=item["name"] if item else None,
        description=line["description"],
        quantity=line["quantity"],
        unit_price=price,
        amount=None if price is None else amount_of(price, line["quantity"], currency),
        picture=picture,
    )
