"""An invoice is pinned to the pictures that it was issued with: it shows these very renditions, whatever becomes of them since.

Texts about a picture stay live. What a pin holds on to, `holds` knows; taking it off is `disposal`'s, since bytes may go.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.audit.service import record
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, NotFound
from portal.gallery import places
from portal.gallery.disposal import release_pin
from portal.gallery.prints import printed
from portal.gallery.views import EntityView, ImageView, decoded, image_view
from portal.storage.links import Links

# Its own gallery in its order, then the primary picture of each item, in the order of the lines.
_SHOWN: Final = """
    SELECT image.id AS image, NULL::text AS item, sort_order AS place, status, error, renditions, version, rendering
    FROM image WHERE entity = $1 AND trashed_at IS NULL
    UNION ALL
    SELECT image.id, entity.id, line.place, status, error, renditions, version, rendering
    FROM (SELECT item, min(position) AS place FROM invoice_line WHERE invoice = $1 GROUP BY item) AS line
    JOIN entity ON entity.type = 'inventory_items' AND entity.id = line.item
    JOIN image ON image.entity = entity.pk AND is_primary
"""
_COUNTS: Final = f"""
    SELECT count(*) FILTER (WHERE status = 'ready') AS ready, count(*) FILTER (WHERE status IN ('pending', 'processing')
               OR status = 'ready' AND error IS NULL AND renditions ->> 'of' <> version || '.' || rendering) AS waiting
    FROM ({_SHOWN}) AS shown
"""  # noqa: S608 - joined from constants
_INSERT_PICTURES: Final = f"""
    INSERT INTO pinned_picture (pin, image, item, position, version, renditions)
    SELECT $2, image, item, row_number() OVER (ORDER BY item IS NOT NULL, place, image) - 1,
           split_part(renditions ->> 'of', '.', 1)::int, renditions
    FROM ({_SHOWN}) AS shown WHERE status = 'ready'
    RETURNING image, item, renditions ->> 'of' AS of
"""  # noqa: S608 - joined from constants
_PICTURES: Final = """
    SELECT image.*, entity.type AS entity_type, entity.id AS entity_id, p.item, p.position, p.renditions AS pinned,
           CASE WHEN v.pk IS NOT NULL THEN to_jsonb(v) END AS old
    FROM pinned_picture AS p JOIN image ON image.id = p.image JOIN entity ON entity.pk = image.entity
    LEFT JOIN image_version AS v ON v.image = p.image AND v.version = p.version
    WHERE p.pin = $1 ORDER BY p.position
"""
_OF_BYTES: Final = "filename media_type extension bytes width height frames sha256 exif uploaded_by".split()


@dataclass(frozen=True, slots=True)
class PinnedView:
    """One picture as the invoice shows it: of its own gallery (`item` null), or of one of its lines' items."""

    item: str | None
    position: int
    image: ImageView


@dataclass(frozen=True, slots=True)
class PinView:
    """`items` are those of the lines when it was pinned; what is added later shows live. `pinned_by` as in the audit."""

    invoice: EntityRef
    pinned_at: dt.datetime
    pinned_by: str
    items: list[str]
    pictures: list[PinnedView]

    @property
    def own(self) -> list[ImageView]:
        """Those of the invoice's own gallery, in its order."""
        return [each.image for each in self.pictures if each.item is None]


@dataclass(frozen=True, slots=True)
class PinLine:
    """What a page says of a pin. `by` is an actor's name; `is_automatic`: made when the invoice was first opened."""

    at: dt.datetime
    by: str
    is_automatic: bool
    pictures: int


async def pin_invoice(ref: EntityRef, *, actor: Actor) -> bool:
    """Pin it to what it shows now; False, and harmless, when it is pinned already.

    Raises NoSuchEntity, NotFound for what is no invoice; Conflict while one of the pictures is being rendered, or where none is.
    """
    _refuse_others(ref)
    async with database.transaction():
        invoice = await places.lock_invoice(ref)
        pk = await database.fetch_value(
            """INSERT INTO invoice_pin (invoice, items, pinned_by, pinned_at)
               SELECT $1, coalesce(array_agg(DISTINCT item) FILTER (WHERE item IS NOT NULL), '{}'), $2, now()
               FROM invoice_line WHERE invoice = $1 ON CONFLICT (invoice) DO NOTHING RETURNING pk""",
            invoice.pk,
            actor.name[:200],
        )
        if pk is None:
            return False
        _refuse_unfit(await _counts(invoice.pk))
        rows = await database.fetch(_INSERT_PICTURES, invoice.pk, pk)
        await record(actor, "invoice.pin", "entity", str(ref), after={"pictures": [dict(row) for row in rows]})
    return True


async def pin_at_first_opening(ref: EntityRef) -> None:
    """Pin an invoice that somebody opens by its key, unless it is pinned, or not all it shows is there yet: then the next
    opening does. Waits for nobody's lock: a reader is there. Raises what the database raises.
    """
    row = await database.fetch_row(
        """SELECT pk FROM entity WHERE type = $1 AND id = $2
           AND NOT EXISTS (SELECT 1 FROM invoice_pin WHERE invoice = entity.pk)""",
        ref.type,
        ref.id,
    )
    if row is None:
        return
    with contextlib.suppress(Conflict, NotFound):
        _refuse_unfit(await _counts(row["pk"]))
        async with database.transaction():
            await database.execute("SET LOCAL lock_timeout = '300ms'")
            await pin_invoice(ref, actor=SYSTEM)


async def unpin_invoice(ref: EntityRef, *, actor: Actor, deletes_per_hour: int) -> None:
    """It shows what is current again. Old versions beyond the ten go, and count among an editor's deletes.

    Raises NoSuchEntity, RateLimited, NotFound when it is not pinned.
    """
    _refuse_others(ref)
    async with database.transaction():
        invoice = await places.lock_invoice(ref)
        if not await release_pin(invoice, actor=actor, deletes_per_hour=deletes_per_hour):
            raise not_pinned()


def not_pinned() -> NotFound:
    return NotFound("This invoice is not pinned.")


def _refuse_others(ref: EntityRef) -> None:
    if ref.type != "invoices":
        raise NotFound("Only invoices are pinned.")


async def _counts(invoice: int) -> Mapping[str, Any]:
    return await database.fetch_row(_COUNTS, invoice) or {}


def _refuse_unfit(counts: Mapping[str, Any]) -> None:
    if counts["waiting"]:
        some = "1 picture is" if counts["waiting"] == 1 else f"{counts['waiting']} pictures are"
        raise Conflict(f"{some} still being rendered. Pin the invoice when all are there.")
    if not counts["ready"]:
        raise Conflict("This invoice shows no picture that it could be pinned to.")


async def find_pin_line(ref: EntityRef) -> PinLine | None:
    row = await database.fetch_row(
        """SELECT pinned_at, pinned_by, (SELECT count(*) FROM pinned_picture WHERE pin = invoice_pin.pk) AS pictures
           FROM invoice_pin JOIN entity ON entity.pk = invoice WHERE entity.type = $1 AND entity.id = $2""",
        ref.type,
        ref.id,
    )
    if row is None:
        return None
    return PinLine(row["pinned_at"], row["pinned_by"], row["pinned_by"] == SYSTEM.name, row["pictures"])


async def find_pin(ref: EntityRef, links: Links, *, is_for_print: bool = False) -> PinView | None:
    """With URLs that serve these very renditions as long as the pin stands; None for what is no invoice, too.

    `is_for_print`: each picture says what is printed of it.
    """
    if ref.type != "invoices":
        return None
    row = await database.fetch_row(
        """SELECT invoice_pin.pk, items, pinned_by, pinned_at FROM invoice_pin JOIN entity ON entity.pk = invoice
           WHERE entity.type = $1 AND entity.id = $2""",
        ref.type,
        ref.id,
    )
    if row is None:
        return None
    ours, now = dataclasses.replace(links, kind="pinned"), time.time()
    rows = await database.fetch(_PICTURES, row["pk"])
    pictures = [_pinned_view(each, ours, now, is_for_print=is_for_print) for each in rows]
    return PinView(ref, row["pinned_at"], row["pinned_by"], sorted(row["items"]), pictures)


def as_pinned(entity: EntityView, pin: PinView) -> EntityView:
    """The invoice with its pin's pictures: its own, and those of the lines that it had then."""
    of_items = {each.item: each.image for each in pin.pictures}
    lines = [
        dataclasses.replace(line, picture=of_items.get(line.item)) if line.item in pin.items else line
        for line in entity.lines
    ]
    primary = pin.own[0] if pin.own else None
    return dataclasses.replace(entity, primary=primary, image_count=len(pin.own), lines=lines)


def _pinned_view(row: Mapping[str, Any], links: Links, now: float, *, is_for_print: bool) -> PinnedView:
    """The picture as it was: its facts are those of the pinned version, its words those of today."""
    stored, old = json.loads(row["pinned"]), decoded(row["old"]) or {}
    made_of = stored.get("made_of") or {}
    focal_point = made_of.get("focal_point") or (None, None)
    was = {
        **{name: old[name] for name in _OF_BYTES if name in old},
        "placeholder": _placeholder(stored["of"], row, old),
        "edits": made_of.get("edits", {}),
        "focal_x": focal_point[0],
        "focal_y": focal_point[1],
        "renditions": stored,
        "version": old.get("version", row["version"]),
        "status": "ready",
        "error": None,
        "trashed_at": None,
        "sort_order": row["position"],
    }
    image = image_view({**row, **was}, EntityRef(row["entity_type"], row["entity_id"]), links, now)
    if is_for_print:
        image = printed(image, stored, links, now)
    return PinnedView(row["item"], row["position"], image)


def _placeholder(of: str, row: Mapping[str, Any], old: Mapping[str, Any]) -> str | None:
    """Of this very set; None where only one of other edits or bytes is known, which would show what was not pinned."""
    if (decoded(row["renditions"]) or {}).get("of") == of:
        return row["placeholder"]
    return old["placeholder"] if old and old["renditions"].get("of") == of else None
