"""What may be said about an entity: every bad field is named, and nothing that passes can hurt the database."""

from __future__ import annotations

import json
import random
import unicodedata
from decimal import Decimal
from typing import Any

import pytest

from portal.entities.forms import EntityInput, entity_as_json, parse_entity
from portal.entities.kinds import EntityRef
from portal.errors import FormError

ITEM = EntityRef("inventory_items", "MUG-1")
INVOICE = EntityRef("invoices", "INV-1")
NASTY: list[Any] = [
    "", " ", "\0", "a\0b", "\ud800", "\udfff!", "x" * 301, "\u202egpj.exe", "\u2066a", "\n", "\x1b[31m", "\u2028",
    "e\u0301" * 150, "﷽" * 300, "\u0344" * 1300, "{{7*7}}", "<svg onload=1>", "'; DROP TABLE entity; --",
    None, True, False, 0, -1, 10**15, 10**400, 1.5, float("nan"), float("inf"), 1e-300, 1e300,
    "1e5", "NaN", "Infinity", "١٢", "1_000", "12,50", "+1", " 1 ", b"bytes",
    "2026-02-30", "2026-W01-1", "20260101", "9999-12-31", "eur", "EUR", "ＥＵＲ",
    [], {}, [[]], [{}], [None], {1: 2}, {"a": "\0"}, {"\ud800": 1}, {"a": [1e309]}, {"n": 2**60},
    {"type": "items"}, {"type": "categories", "id": ".."}, {"type": ["a"], "id": {}},
    [{"description": "x", "quantity": "1", "amount": "1"}], [{"description": "x", "quantity": True}],
]  # fmt: skip


def parsed_or_errors(data: dict[str, Any]) -> EntityInput | dict[str, str]:
    try:
        return parse_entity(INVOICE, data)
    except FormError as error:
        error.message.encode()
        return error.errors


def errors_of(ref: EntityRef, **data: Any) -> dict[str, str]:
    with pytest.raises(FormError) as caught:
        parse_entity(ref, data)
    return caught.value.errors


def assert_storable(entity: EntityInput) -> None:
    text = json.dumps(entity_as_json(entity), ensure_ascii=False)
    text.encode()
    assert "\0" not in text
    assert "\\u0000" not in json.dumps(entity_as_json(entity))
    assert entity.name == unicodedata.normalize("NFC", entity.name).strip()
    assert 1 <= len(entity.name) <= 300
    assert len(entity.reference or "") <= 200
    amounts = [entity.total, *(line.quantity for line in entity.lines), *(line.unit_price for line in entity.lines)]
    for amount in amounts:
        assert amount is None or (amount.is_finite() and abs(amount) < 10**15)
        assert "E" not in f"{amount or 0:f}"


def test_whatever_passes_can_be_stored_and_passes_again_unchanged() -> None:
    chance = random.Random(20261122)
    fields = ["name", "reference", "parent", "attributes", "number", "date", "currency", "total", "lines"]
    passed = 0
    for _ in range(4000):
        data = {name: chance.choice(NASTY) for name in chance.sample(fields, chance.randrange(4))}
        data.setdefault("name", "Mug")
        entity = parsed_or_errors(data)
        if isinstance(entity, dict):
            assert entity
            assert all(name and message for name, message in entity.items())
            continue
        passed += 1
        assert_storable(entity)
        assert parse_entity(INVOICE, entity_as_json(entity)) == entity
    assert passed > 100


@pytest.mark.parametrize("value", NASTY, ids=lambda value: ascii(value)[:24])
def test_no_field_breaks_on_nasty_input(value: Any) -> None:
    for name in ("name", "reference", "parent", "attributes", "number", "date", "currency", "total", "lines"):
        entity = parsed_or_errors({"name": "Mug", name: value})
        if isinstance(entity, EntityInput):
            assert_storable(entity)
        else:
            assert {where.split("[")[0] for where in entity} == {name}


def test_every_bad_field_is_named_at_once() -> None:
    errors = errors_of(
        INVOICE, name="", currency="eur", date="30.11.2026", total="12,50", lines=[{"quantity": "x"}, 7], color="blue"
    )
    assert set(errors) == {
        "name", "currency", "date", "total", "color", "lines[0].quantity", "lines[0].description", "lines[1]",
    }  # fmt: skip


def test_only_a_name_is_required() -> None:
    assert parse_entity(ITEM, {"name": "  Mug "}) == EntityInput(name="Mug")
    assert "name" in errors_of(ITEM)


def test_name_of_nothing_visible_is_no_name() -> None:
    assert "name" in errors_of(ITEM, name="\u200b\u200d")


def test_name_is_kept_in_nfc_and_may_have_300_characters() -> None:
    entity = parse_entity(ITEM, {"name": "e\u0301" * 300})
    assert entity.name == "é" * 300
    assert "at most 300" in errors_of(ITEM, name="é" * 301)["name"]


def test_read_only_fields_and_an_invoices_fields_on_an_item_are_refused() -> None:
    errors = errors_of(ITEM, name="Mug", image_count=3, type="invoices", total="1", sha256="0")
    assert set(errors) == {"image_count", "type", "total", "sha256"}
    assert "Only invoices" in errors["total"]
    assert "cannot be set" in errors["image_count"]


def test_amounts_keep_their_digits() -> None:
    line = {"description": "Mug", "quantity": 0.1, "unit_price": "14.50"}
    entity = parse_entity(INVOICE, {"name": "I", "total": 1284.5, "lines": [line]})
    assert entity.total == Decimal("1284.5")
    assert entity_as_json(entity)["lines"][0] == {
        "item": None,
        "description": "Mug",
        "quantity": "0.1",
        "unit_price": "14.50",
    }


def test_amounts_of_more_than_15_digits_are_refused() -> None:
    assert parse_entity(INVOICE, {"name": "I", "total": "9999999999999.99"}).total == Decimal("9999999999999.99")
    assert "total" in errors_of(INVOICE, name="I", total="99999999999999.99")
    assert "total" in errors_of(INVOICE, name="I", total=10**15)


def test_attributes_are_bounded_in_size_and_depth() -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(levels - 1):
            value = {"in": value}
        return value

    assert parse_entity(ITEM, {"name": "M", "attributes": nested(10)})
    assert "10 levels" in errors_of(ITEM, name="M", attributes=nested(11))["attributes"]
    assert "64 KiB" in errors_of(ITEM, name="M", attributes={"a": "é" * 33_000})["attributes"]


def test_a_thousand_lines_pass_and_one_more_does_not() -> None:
    line = {"item": "MUG-1", "description": "Mug", "quantity": 1}
    assert len(parse_entity(INVOICE, {"name": "I", "lines": [line] * 1000}).lines) == 1000
    assert "1000 lines" in errors_of(INVOICE, name="I", lines=[line] * 1001)["lines"]


def test_an_answer_never_lists_more_than_50_errors() -> None:
    assert len(errors_of(ITEM, name="M", **{f"f{number}": 1 for number in range(500)})) == 50


def test_nothing_is_its_own_parent() -> None:
    assert "own parent" in errors_of(ITEM, name="M", parent={"type": ITEM.type, "id": ITEM.id})["parent"]
