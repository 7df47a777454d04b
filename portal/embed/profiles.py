"""An item or a customer as its card shows it, and the label of anything that has a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portal.embed.facts import (
    ADDRESS_NAMES,
    PRICE,
    STOCK,
    Fact,
    address_in,
    currency_in,
    decimal_in,
    facts_of,
)
from portal.embed.invoices import InvoiceCard
from portal.gallery.views import EntityView, ImageView
from portal.web.writing import Writing


@dataclass(frozen=True, slots=True)
class Profile:
    """`face` is the picture shown when one fits, `others` the rest of the gallery."""

    heading: str
    above: str | None
    code: Fact
    price: str | None
    stock: Fact | None
    address: tuple[str, ...]
    facts: list[Fact]
    face: ImageView | None
    others: list[ImageView]


@dataclass(frozen=True, slots=True)
class Label:
    """What fits on a sticker: a name, a few lines, a number to compare letter by letter."""

    name: str
    lines: tuple[str, ...]
    code: str
    price: str | None
    picture: ImageView | None


def profile_of(entity: EntityView, images: list[ImageView], writing: Writing, words: Mapping[str, str]) -> Profile:
    """`images`: those that may be shown."""
    shown = [image for image in images if image.renditions]
    face = next((image for image in shown if image.is_primary), shown[0] if shown else None)
    said = entity.attributes
    is_item = entity.type == "inventory_items"
    price, stock = decimal_in(said, *PRICE), decimal_in(said, *STOCK)
    # said in a place of its own; a price that cannot be read as a number stays among the facts
    numbers = frozenset(name for name in (*PRICE, *STOCK) if decimal_in(said, name) is not None)
    reference = [Fact(words["reference"], entity.reference)] if entity.reference else []
    return Profile(
        heading=entity.name,
        above=entity.parent_name,
        code=Fact(words["sku" if is_item else "number"], entity.id),
        price=writing.money(price, currency_in(said)) if is_item and price is not None else None,
        stock=Fact(words["stock"], writing.number(stock)) if is_item and stock is not None else None,
        address=() if is_item else address_in(said),
        facts=[*reference, *facts_of(said, writing, words, without=numbers if is_item else ADDRESS_NAMES)],
        face=face,
        others=[image for image in shown if image is not face],
    )


def label_of_profile(profile: Profile) -> Label:
    return Label(profile.heading, profile.address, profile.code.value, profile.price, profile.face)


def label_of_invoice(invoice: EntityView, card: InvoiceCard) -> Label:
    """For the parcel: whom it goes to, and which invoice it belongs to."""
    customer = card.customer
    picture = next((line.picture for line in card.lines if line.picture and line.picture.renditions), None)
    name, lines = (customer.name, customer.address) if customer else (card.heading, ())
    return Label(name, lines, invoice.number or invoice.reference or invoice.id, None, picture)
