"""What invoices' pins hold on to: sets of renditions, originals of versions, and pictures that must not be deleted.

The rows of a picture change only under its gallery's lock, whose pin ever they belong to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.entities.kinds import EntityRef
from portal.errors import Forbidden, Pinned
from portal.gallery.views import decoded

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class PinnedOn:
    """An invoice that is pinned to a picture, by the name that people know it by."""

    id: str
    name: str


async def is_kept(image_id: UUID, of: str) -> bool:
    """Does an old version or a pin own this set of renditions? Then it stays when the image shows another one."""
    return await database.fetch_value(
        """SELECT EXISTS (SELECT 1 FROM image_version WHERE image = $1 AND renditions ->> 'of' = $2)
               OR EXISTS (SELECT 1 FROM pinned_picture WHERE image = $1 AND renditions ->> 'of' = $2)""",
        image_id,
        of,
    )


async def pinned_sets_of(image_ids: Iterable[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """The stored sets that pins hold of each image, each once."""
    rows = await database.fetch(
        "SELECT DISTINCT image, renditions FROM pinned_picture WHERE image = ANY($1::uuid[])", list(image_ids)
    )
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["image"]].append(decoded(row["renditions"]))
    return found


async def invoices_pinned_to(image_ids: Iterable[UUID]) -> list[PinnedOn]:
    """Those that show one of these pictures as it was, in the order of their names."""
    by_image = await invoices_by_image(image_ids)
    found = {each for invoices in by_image.values() for each in invoices}
    return sorted(found, key=lambda each: (each.name, each.id))


async def invoices_by_image(image_ids: Iterable[UUID]) -> dict[UUID, list[PinnedOn]]:
    """Only of those pictures that are pinned."""
    rows = await database.fetch(
        """SELECT DISTINCT image, entity.id, coalesce(entity.number, entity.reference, entity.id) AS name
           FROM pinned_picture JOIN invoice_pin ON invoice_pin.pk = pin JOIN entity ON entity.pk = invoice
           WHERE image = ANY($1::uuid[]) ORDER BY name, entity.id""",
        list(image_ids),
    )
    found: dict[UUID, list[PinnedOn]] = defaultdict(list)
    for row in rows:
        found[row["image"]].append(PinnedOn(row["id"], row["name"]))
    return found


async def invoices_pinned_within(ref: EntityRef) -> list[PinnedOn]:
    """Those that are pinned to a picture of this entity."""
    rows = await database.fetch(
        """SELECT DISTINCT image.id FROM pinned_picture JOIN image ON image.id = pinned_picture.image
           JOIN entity ON entity.pk = image.entity WHERE entity.type = $1 AND entity.id = $2""",
        ref.type,
        ref.id,
    )
    return await invoices_pinned_to(row["id"] for row in rows)


async def versions_pinned_of(image_id: UUID) -> set[int]:
    rows = await database.fetch("SELECT DISTINCT version FROM pinned_picture WHERE image = $1", image_id)
    return {row["version"] for row in rows}


async def refuse_pinned(image_ids: list[UUID], actor: Actor, *, force: bool) -> None:
    """Under the gallery's lock, before these pictures are deleted. Raises Pinned; Forbidden for `force` by no admin."""
    if force and not actor.may("admin"):
        raise Forbidden("Only an admin may delete a picture that an invoice is pinned to.")
    invoices = [] if force else await invoices_pinned_to(image_ids)
    if invoices:
        which = "This picture is" if len(image_ids) == 1 else "A picture that would go is"
        them = "that invoice" if len(invoices) == 1 else "those invoices"
        message = f"{which} pinned on {named(invoices)}. Unpin {them} first."
        raise Pinned(message, invoices=[each.id for each in invoices])


def named(invoices: list[PinnedOn]) -> str:
    """`invoice 2026-0438`, `the invoices A, B, C and 4 more`."""
    names = [each.name for each in invoices]
    if len(names) == 1:
        return f"invoice {names[0]}"
    if len(names) > MOST_NAMED:
        return f"the invoices {', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return f"the invoices {', '.join(names[:-1])} and {names[-1]}"
