"""What somebody says about an entity → a frozen value that can be stored, or a FormError that names every bad field."""

from __future__ import annotations

import datetime
import itertools
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar

from portal.entities.kinds import KINDS, EntityRef, is_entity_id
from portal.errors import FormError

NAME_LENGTH: Final = 300
REFERENCE_LENGTH: Final = 200
NUMBER_LENGTH: Final = 100
DESCRIPTION_LENGTH: Final = 500
MOST_LINES: Final = 1000
MOST_ATTRIBUTE_BYTES: Final = 64 * 1024
MOST_ATTRIBUTE_DEPTH: Final = 10
MOST_DIGITS: Final = 15
MOST_ERRORS: Final = 50  # in one answer
SAFE_INTEGER: Final = 2**53  # beyond it browsers lose digits

FIELDS: Final = ("name", "reference", "parent", "attributes")
INVOICE_FIELDS: Final = ("number", "date", "currency", "total", "lines")
LINE_FIELDS: Final = ("item", "description", "quantity", "unit_price")
READ_ONLY: Final = frozenset("type id image_count primary created_at updated_at parent_name is_private".split())

# Embeddings, overrides, isolates and marks turn the rest of a line around: "exe.gpj" for "jpg.exe".
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSHOWN: Final = {"Cc", "Cs", "Zl", "Zp"}  # control, lone surrogates, line and paragraph separators
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LineInput:
    """One line of an invoice; `item` is an inventory item's id and may not exist yet."""

    description: str
    quantity: Decimal
    item: str | None = None
    unit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class EntityInput:
    """Everything that may be said about an entity; what follows `attributes` is an invoice's."""

    name: str
    reference: str | None = None
    parent: EntityRef | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    number: str | None = None
    date: datetime.date | None = None
    currency: str | None = None
    total: Decimal | None = None
    lines: tuple[LineInput, ...] = ()


def parse_entity(ref: EntityRef, data: Mapping[str, Any]) -> EntityInput:
    """Raises FormError with a sentence for each bad field (`lines[2].quantity`)."""
    errors = _unknown_fields(ref, data)

    def read(name: str, parse: Callable[[Any], T], default: T) -> T:
        value = data.get(name)
        if value is None or name in errors:
            return default
        try:
            return parse(value)
        except FormError as error:
            errors.update(error.errors)
        except ValueError as error:
            errors[name] = str(error)
        return default

    entity = EntityInput(
        name=read("name", lambda value: _text(value, NAME_LENGTH), ""),
        reference=read("reference", lambda value: _text(value, REFERENCE_LENGTH) or None, None),
        parent=read("parent", lambda value: _parent(ref, value), None),
        attributes=read("attributes", parse_attributes, {}),
        number=read("number", lambda value: _text(value, NUMBER_LENGTH) or None, None),
        date=read("date", _date, None),
        currency=read("currency", _currency, None),
        total=read("total", _decimal, None),
        lines=read("lines", _lines, ()),
    )
    if not any(unicodedata.category(sign)[0] in "LNPS" for sign in entity.name):
        errors.setdefault("name", "Give it a name.")
    if errors:
        raise FormError(dict(itertools.islice(errors.items(), MOST_ERRORS)))
    return entity


def _unknown_fields(ref: EntityRef, data: Mapping[str, Any]) -> dict[str, str]:
    known = {*FIELDS, *(INVOICE_FIELDS if ref.type == "invoices" else ())}
    return {_field_name(name): _why_refused(name) for name in data if name not in known}


def _why_refused(name: str) -> str:
    if name in INVOICE_FIELDS:
        return "Only invoices have this field."
    if name in READ_ONLY:
        return "This field cannot be set: the portal fills it in."
    return "There is no such field."


def _field_name(name: object) -> str:
    """A name out of a request, fit to stand in an answer."""
    return str(name).encode("utf-8", "replace").decode()[:100]


def _text(value: Any, most: int) -> str:
    """One line in NFC without spaces around it. Raises ValueError in words for people."""
    if not isinstance(value, str):
        raise ValueError("Use text.")
    # NFC of hostile text costs more than linear time; no text shrinks below a third of its length.
    text = unicodedata.normalize("NFC", value[: most * 4 + 1]).strip()
    for sign in text:
        if sign in _BIDI or unicodedata.category(sign) in _UNSHOWN:
            raise ValueError(f"Leave out the character U+{ord(sign):04X}: it cannot be shown.")
    if len(text) > most or len(value) > most * 4:
        raise ValueError(f"Use at most {most} characters.")
    return text


def _parent(ref: EntityRef, value: Any) -> EntityRef:
    if not isinstance(value, Mapping) or set(value) != {"type", "id"}:
        raise ValueError('Name the parent by {"type": …, "id": …}.')
    kind, id = value["type"], value["id"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"The parent's type is one of {', '.join(sorted(KINDS))}.")
    if not isinstance(id, str) or not is_entity_id(id):
        raise ValueError("The parent's id is 1 to 64 letters, digits or . _ - ~ :")
    if EntityRef(kind, id) == ref:
        raise ValueError("Nothing is its own parent.")
    return EntityRef(kind, id)


def parse_attributes(value: Any) -> dict[str, Any]:
    """Free values, of entities and of pictures alike. Raises ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError('Use a JSON object such as {"colour": "blue"}.')
    _check_json(value, MOST_ATTRIBUTE_DEPTH)
    if len(json.dumps(value, ensure_ascii=False).encode()) > MOST_ATTRIBUTE_BYTES:
        raise ValueError(f"Keep the attributes within {MOST_ATTRIBUTE_BYTES // 1024} KiB.")
    return dict(value)


def _check_json(value: Any, depth: int) -> None:
    """Raises ValueError for what PostgreSQL cannot hold or a browser cannot read. `depth`: levels still allowed."""
    if isinstance(value, str):
        _check_characters(value)
    elif isinstance(value, Mapping | list):
        if depth == 0:
            raise ValueError(f"Nest the attributes at most {MOST_ATTRIBUTE_DEPTH} levels deep.")
        if isinstance(value, Mapping):
            for name in value:
                _check_characters(name)
        for inner in value.values() if isinstance(value, Mapping) else value:
            _check_json(inner, depth - 1)
    elif isinstance(value, int | float):
        if not abs(value) <= SAFE_INTEGER:  # also NaN, which is neither more nor less
            raise ValueError("Write numbers of more than 15 digits as text.")
    elif value is not None:
        raise ValueError("Use only text, numbers, true, false, null, lists and objects.")


def _check_characters(text: Any) -> None:
    """Attributes may hold several lines, nothing else that cannot be shown."""
    if not isinstance(text, str):
        raise ValueError("Names of attributes are text.")
    for sign in text:
        if sign in _BIDI or (unicodedata.category(sign) in {"Cc", "Cs"} and sign not in "\t\n\r"):
            raise ValueError(f"Leave out the character U+{ord(sign):04X}: it cannot be shown.")


def _date(value: Any) -> datetime.date:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return datetime.date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("Write the date as 2026-11-30.")


def _currency(value: Any) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise ValueError("Use the three capital letters of the currency, as EUR.")
    return value


def _decimal(value: Any) -> Decimal:
    """A number or its text, finite, of at most 15 digits: `12`, `12.5`, `"-12.50"`. Raises ValueError."""
    if isinstance(value, str) and len(value) <= 2 * MOST_DIGITS + 2 and _DECIMAL.fullmatch(value):
        number = Decimal(value)
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**MOST_DIGITS:
        number = Decimal(repr(value))  # repr: 0.1 is meant as 0.1, not as its 55 binary digits
    else:
        raise ValueError("Use a number such as 12.50, with a point and without spaces or signs of thousands.")
    if len(f"{abs(number):f}".replace(".", "").lstrip("0")) > MOST_DIGITS or _places(number) > MOST_DIGITS:
        raise ValueError(f"Use at most {MOST_DIGITS} digits.")
    return abs(number) if number == 0 else number  # no "-0.00" on an invoice


def _places(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _lines(value: Any) -> tuple[LineInput, ...]:
    """Raises ValueError for the whole list, FormError for single lines."""
    if not isinstance(value, list):
        raise ValueError("Use a list of lines.")
    if len(value) > MOST_LINES:
        raise ValueError(f"Use at most {MOST_LINES} lines.")
    errors: dict[str, str] = {}
    lines = [_line(line, f"lines[{place}]", errors) for place, line in enumerate(value)]
    if errors:
        raise FormError(errors)
    return tuple(line for line in lines if line is not None)


def _line(value: Any, where: str, errors: dict[str, str]) -> LineInput | None:
    if not isinstance(value, Mapping):
        errors[where] = "Use an object with description and quantity."
        return None
    known = len(errors)
    for name in value:
        if name not in LINE_FIELDS:
            errors[f"{where}.{_field_name(name)}"] = "There is no such field."
    parsed: dict[str, Any] = {}
    for name, parse in (
        ("item", _item),
        ("description", lambda given: _text(given, DESCRIPTION_LENGTH)),
        ("quantity", _decimal),
        ("unit_price", _decimal),
    ):
        try:
            parsed[name] = None if value.get(name) is None else parse(value[name])
        except ValueError as error:
            errors[f"{where}.{name}"] = str(error)
    if f"{where}.description" not in errors and not parsed["description"]:
        errors[f"{where}.description"] = "Say what this line is for."
    if f"{where}.quantity" not in errors and parsed["quantity"] is None:
        errors[f"{where}.quantity"] = "Give a quantity."
    return LineInput(**parsed) if len(errors) == known else None


def _item(value: Any) -> str:
    if not isinstance(value, str) or not is_entity_id(value):
        raise ValueError("An item's id is 1 to 64 letters, digits or . _ - ~ :")
    return value


def entity_as_json(entity: EntityInput) -> dict[str, Any]:
    """Back to what parse_entity reads for an invoice: for the audit, and to lay an import's row over what is there."""
    return {
        "name": entity.name,
        "reference": entity.reference,
        "parent": {"type": entity.parent.type, "id": entity.parent.id} if entity.parent else None,
        "attributes": dict(entity.attributes),
        "number": entity.number,
        "date": entity.date.isoformat() if entity.date else None,
        "currency": entity.currency,
        "total": money_text(entity.total),
        "lines": [
            {
                "item": line.item,
                "description": line.description,
                "quantity": money_text(line.quantity),
                "unit_price": money_text(line.unit_price),
            }
            for line in entity.lines
        ],
    }


def money_text(amount: Decimal | None) -> str | None:
    """Decimal("1E-7") → "0.0000001": never an exponent."""
    return None if amount is None else f"{amount:f}"
