"""Places in a gallery and its one primary image: kept dense and single, under the gallery's lock.

Every verb that changes a gallery first locks the entity's row, so changes of one gallery queue up and never deadlock;
different galleries do not meet. Only an invoice's pin and a picture that moves need several: those are locked in the order
of their rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, NoSuchEntity, NotFound

_OWNER: Final = "SELECT e.pk, e.type, e.id FROM entity e JOIN image i ON i.entity = e.pk WHERE i.id = $1"
_SHOWN_BY: Final = """
    SELECT $1::bigint AS pk
    UNION SELECT item.pk FROM invoice_line JOIN entity AS item ON item.type = 'inventory_items' AND item.id = invoice_line.item
        WHERE invoice = $1
    UNION SELECT image.entity FROM invoice_pin JOIN pinned_picture ON pin = invoice_pin.pk
        JOIN image ON image.id = pinned_picture.image WHERE invoice = $1
"""


@dataclass(frozen=True, slots=True)
class LockedGallery:
    """The entity whose row this transaction holds."""

    pk: int
    ref: EntityRef


async def lock_gallery(ref: EntityRef) -> LockedGallery:
    """Raises NoSuchEntity."""
    pk = await database.fetch_value(
        "SELECT pk FROM entity WHERE type = $1 AND id = $2 FOR NO KEY UPDATE", ref.type, ref.id
    )
    if pk is None:
        raise NoSuchEntity(f"There is no {ref}.")
    return LockedGallery(pk, ref)


async def lock_invoice(ref: EntityRef) -> LockedGallery:
    """An invoice's gallery, those of its items and of the pictures that it is pinned to.

    Raises NoSuchEntity, or Conflict when its lines change at this very moment.
    """
    pk = await database.fetch_value("SELECT pk FROM entity WHERE type = $1 AND id = $2", ref.type, ref.id)
    rows = await database.fetch(
        f"SELECT pk FROM entity WHERE pk IN ({_SHOWN_BY}) ORDER BY pk FOR NO KEY UPDATE",  # noqa: S608 - a constant
        pk,
    )
    locked = [row["pk"] for row in rows]
    if pk not in locked:
        raise NoSuchEntity(f"There is no {ref}.")
    # asked again under the lock: whoever held it before may have given it other lines
    if await database.fetch(f"{_SHOWN_BY} EXCEPT SELECT unnest($2::bigint[])", pk, locked):
        raise Conflict("This invoice has changed at the same moment. Try again.")
    return LockedGallery(pk, ref)


async def lock_gallery_of(image_id: UUID) -> LockedGallery:
    """The gallery that this image is in (trash included). Raises NotFound; Conflict when it is being moved just now."""
    owner = await database.fetch_row(f"{_OWNER} FOR NO KEY UPDATE OF e", image_id)
    # asked again under the lock: whoever held it before may have deleted the picture, or moved it
    while (is_in := await database.fetch_value("SELECT entity FROM image WHERE id = $1", image_id)) is not None:
        if owner is not None and owner["pk"] == is_in:
            return _locked(owner)
        # never waited for: the gallery that it has left is ours still, and somebody may wait for that
        owner = await database.fetch_row(f"{_OWNER} FOR NO KEY UPDATE OF e SKIP LOCKED", image_id)
        if owner is None:
            raise Conflict("This picture is being moved to another gallery at this very moment. Try again.")
    raise NotFound("There is no picture with this id.")


async def lock_galleries(pks: Iterable[int]) -> dict[int, LockedGallery]:
    """Several by their rows, in whose order they are locked; those that are gone are not among them."""
    rows = await database.fetch(
        "SELECT pk, type, id FROM entity WHERE pk = ANY($1::bigint[]) ORDER BY pk FOR NO KEY UPDATE", list(set(pks))
    )
    return {row["pk"]: _locked(row) for row in rows}


def _locked(row: Mapping[str, Any]) -> LockedGallery:
    return LockedGallery(row["pk"], EntityRef(row["type"], row["id"]))


async def next_place(gallery: LockedGallery) -> int:
    return await database.fetch_value(
        "SELECT coalesce(max(sort_order) + 1, 0) FROM image WHERE entity = $1", gallery.pk
    )


async def close_gap(gallery: LockedGallery, place: int) -> None:
    """After the image at `place` left: those behind move up."""
    await database.execute(
        "UPDATE image SET sort_order = sort_order - 1 WHERE entity = $1 AND sort_order > $2", gallery.pk, place
    )


async def open_gap(gallery: LockedGallery, place: int) -> None:
    await database.execute(
        "UPDATE image SET sort_order = sort_order + 1 WHERE entity = $1 AND sort_order >= $2", gallery.pk, place
    )


async def put_in_order(gallery: LockedGallery, ids: list[UUID]) -> None:
    """`ids` are all of the gallery's images; only those that move are written."""
    await database.execute(
        """UPDATE image SET sort_order = wanted.place - 1, updated_at = now()
           FROM unnest($2::uuid[]) WITH ORDINALITY AS wanted (id, place)
           WHERE image.id = wanted.id AND image.entity = $1 AND image.sort_order <> wanted.place - 1""",
        gallery.pk,
        ids,
    )


async def ids_in_order(gallery: LockedGallery) -> list[UUID]:
    rows = await database.fetch(
        "SELECT id FROM image WHERE entity = $1 AND trashed_at IS NULL ORDER BY sort_order", gallery.pk
    )
    return [row["id"] for row in rows]


async def set_primary(gallery: LockedGallery, image_id: UUID, *, revisions: int = 1) -> None:
    """The old primary steps down first: the index allows only one. `revisions`: 0 where no person chose it."""
    await database.execute(
        """UPDATE image SET is_primary = false, revision = revision + $3::int, updated_at = now()
           WHERE entity = $1 AND is_primary AND id <> $2""",
        gallery.pk,
        image_id,
        revisions,
    )
    await database.execute(
        """UPDATE image SET is_primary = true, revision = revision + $2::int, updated_at = now()
           WHERE id = $1 AND NOT is_primary""",
        image_id,
        revisions,
    )


async def ensure_primary(gallery: LockedGallery) -> None:
    """Where no image is primary, or only a failed one is, the first ready one (else the first sound one) becomes it.

    Nobody's doing: what a person types meanwhile about one of them is not overtaken by it.
    """
    row = await database.fetch_row("SELECT id, status FROM image WHERE entity = $1 AND is_primary", gallery.pk)
    if row is not None and row["status"] != "failed":
        return
    heir = await database.fetch_row(
        """SELECT id, status FROM image WHERE entity = $1 AND trashed_at IS NULL
           ORDER BY status = 'failed', status <> 'ready', sort_order LIMIT 1""",
        gallery.pk,
    )
    if heir is not None and (row is None or heir["status"] != "failed"):
        await set_primary(gallery, heir["id"], revisions=0)
