"""What a card says of an entity's free attributes: addresses, dates, prices. What is odd is left out, never an error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from portal.web.writing import Writing

MOST_FACTS: Final = 12
_LONGEST: Final = 300  # characters of a value
_DIGITS: Final = 30
_DECIMAL: Final = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
_DATE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})([T ]\d{2}:\d{2}.*)?", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)

# The names that hosts give such attributes.
_STREET: Final = ("street", "street2", "address_line_1", "address_line_2", "line1", "line2")
_TOWN: Final = (("postcode", "postal_code", "zip"), ("city", "town"), ("state", "region"))
_ADDRESS: Final = ("address", "postal_address", "billing_address")
ADDRESS_NAMES: Final = frozenset({*_STREET, *_ADDRESS, *(name for names in _TOWN for name in names), "country"})
PRICE: Final = ("price", "unit_price", "sales_price")
STOCK: Final = ("stock", "in_stock", "stock_quantity")
# What describes a thing, and how somebody is reached: told to whoever has a key. All else that a host says (what it paid, and
# to whom, notes, limits) is for staff.
_TOLD: Final = frozenset(
    """colour color material materials fabric finish pattern style shape model series brand maker manufacturer size
    dimensions width height depth length diameter thickness weight volume capacity scent flavour flavor ingredients
    allergens burning_time bulb battery power voltage care washing warranty edition year vintage origin
    country_of_origin made_in unit pack pack_size ean gtin upc isbn barcode mpn description
    email phone telephone mobile website vat_id vat_number""".split()
).union(PRICE, ADDRESS_NAMES, ("currency",))
_UNIT: Final = re.compile(r"_(mm|cm|m|in|ft|mg|g|kg|oz|lb|ml|cl|dl|l|w|v)$", re.ASCII)

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


def for_customers(attributes: Attributes) -> dict[str, Any]:
    """What may be told to somebody who has a key and no account."""
    return {name: value for name, value in attributes.items() if _UNIT.sub("", _plain(name)) in _TOLD}


def _plain(name: str) -> str:
    """ "Burning time" → "burning_time"."""
    return "_".join(re.split(r"[\s_-]+", name.strip().lower()))


def text_in(attributes: Attributes, *names: str) -> str | None:
    """The first of these that says something in one value."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:_LONGEST]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{Decimal(str(value)):f}"
    return None


def decimal_in(attributes: Attributes, *names: str) -> Decimal | None:
    """The first of these that is a number, or text of one: "664.00", "25 %"."""
    text = text_in(attributes, *names)
    digits = (text or "").removesuffix("%").strip()
    return Decimal(digits) if _DECIMAL.fullmatch(digits) else None


def day_in(attributes: Attributes, *names: str) -> date | str | None:
    """The first of these as a date; as text where it is none."""
    text = text_in(attributes, *names)
    return None if text is None else _day_of(text) or text


def _day_of(text: str) -> date | None:
    """Of an ISO date or time; a time by the day that is written in it."""
    match = _DATE.fullmatch(text)
    try:
        return datetime.fromisoformat(text).date() if match else None
    except ValueError:
        return None


def currency_in(attributes: Attributes) -> str | None:
    code = attributes.get("currency")
    return code if isinstance(code, str) and _CURRENCY.fullmatch(code) else None


def address_in(attributes: Attributes) -> tuple[str, ...]:
    """Line by line: from one text, or from parts, which may stand in an object of their own."""
    for name in _ADDRESS:
        value = attributes.get(name)
        if isinstance(value, Mapping):
            return _parts_of(value)
        if isinstance(value, str) and value.strip():
            parts = value.splitlines() if "\n" in value.strip() else value.split(", ")
            rest = _parts_of({key: each for key, each in attributes.items() if key not in _STREET})
            return (*_shortened(parts), *rest)
    return _parts_of(attributes)


def _parts_of(attributes: Attributes) -> tuple[str, ...]:
    streets = [text_in(attributes, name) for name in _STREET]
    town = " ".join(filter(None, (text_in(attributes, *names) for names in _TOWN)))
    return _shortened([*(each or "" for each in streets), town, text_in(attributes, "country") or ""])


def _shortened(lines: list[str]) -> tuple[str, ...]:
    kept = [" ".join(line.split())[:_LONGEST] for line in lines]
    return tuple(line for line in kept if line)[:8]


def facts_of(
    attributes: Attributes, writing: Writing, words: Mapping[str, str], *, without: frozenset[str]
) -> list[Fact]:
    """What can be said in a few words, in the host's order."""
    found = _facts_of(attributes, writing, words, without | {"currency"})
    return [fact for _, fact in zip(range(MOST_FACTS), found, strict=False)]


def _facts_of(
    attributes: Attributes, writing: Writing, words: Mapping[str, str], without: frozenset[str]
) -> Iterator[Fact]:
    currency = currency_in(attributes)
    for name, value in attributes.items():
        if name in without or not (label := label_of(name, words)):
            continue
        amount = decimal_in(attributes, name) if name in PRICE or name.endswith("_price") else None
        if amount is not None:
            yield Fact(label, writing.money(amount, currency))
        elif (said := _said(value, writing, words)) is not None:
            yield Fact(label, said)


def label_of(name: str, words: Mapping[str, str]) -> str:
    """ "burning_time" → "Burning time"."""
    if name in PRICE:
        return words["price"]
    if name in STOCK:
        return words["stock"]
    spoken = " ".join(name.replace("_", " ").split())[:60]
    return spoken[:1].upper() + spoken[1:]


def _said(value: Any, writing: Writing, words: Mapping[str, str]) -> str | None:
    if isinstance(value, bool):
        return words["yes" if value else "no"]
    if isinstance(value, int | float):
        return writing.plain(value)
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        return None
    text = " ".join(value.split())
    return writing.date(_day_of(text) or text)
