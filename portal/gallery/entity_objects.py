"""Entities as the API gives them: values only, amounts as decimal text, an invoice's fields on invoices alone."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from portal.entities.forms import money_text
from portal.entities.kinds import EntityRef
from portal.gallery.prints import ImageForPrint
from portal.gallery.views import EntityView, ImageView, LineView


@dataclass(frozen=True)
class LineObject:
    """One line of an invoice. `picture` is its item's primary one; `amount` is quantity × unit_price, to the cent."""

    position: int
    item: str | None
    item_name: str | None
    description: str
    quantity: str
    unit_price: str | None
    amount: str | None
    picture: ImageView | ImageForPrint | None


@dataclass(frozen=True)
class EntityObject:
    """What owns pictures. `primary` is the picture shown where one fits."""

    type: str
    id: str
    name: str
    reference: str | None
    parent: EntityRef | None
    attributes: dict[str, Any]
    image_count: int
    primary: ImageView | None
    created_at: datetime.datetime
    updated_at: datetime.datetime


@dataclass(frozen=True)
class InvoiceObject(EntityObject):
    """An entity of the type invoices; amounts are decimal text."""

    number: str | None
    date: datetime.date | None
    currency: str | None
    total: str | None
    lines: list[LineObject]


@dataclass(frozen=True)
class InvoiceForPrint(InvoiceObject):
    """With the pictures that it was issued with: those of `pinned_at`, which is null where it is not pinned."""

    pinned_at: datetime.datetime | None


@dataclass(frozen=True)
class EntityList:
    """`total` is exact up to 1000, 1001 means more; `next` is the cursor of the following page."""

    entities: list[EntityObject | InvoiceObject]
    total: int
    next: str | None


def entity_object(view: EntityView) -> EntityObject | InvoiceObject:
    common: dict[str, Any] = {name: getattr(view, name) for name in EntityObject.__dataclass_fields__}
    if view.type != "invoices":
        return EntityObject(**common)
    return InvoiceObject(
        **common,
        number=view.number,
        date=view.date,
        currency=view.currency,
        total=money_text(view.total),
        lines=[_line_object(line) for line in view.lines],
    )


def object_for_print(view: EntityView, pinned_at: datetime.datetime | None) -> EntityObject | InvoiceForPrint:
    shown = entity_object(view)
    return InvoiceForPrint(**vars(shown), pinned_at=pinned_at) if isinstance(shown, InvoiceObject) else shown


def _line_object(line: LineView) -> LineObject:
    return LineObject(
        position=line.position,
        item=line.item,
        item_name=line.item_name,
        description=line.description,
        quantity=f"{line.quantity:f}",
        unit_price=money_text(line.unit_price),
        amount=money_text(line.amount),
        picture=line.picture,
    )
