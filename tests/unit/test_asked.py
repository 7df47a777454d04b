"""What the words of the search's box mean."""

from __future__ import annotations

from uuid import UUID

import pytest

from portal.errors import FormError
from portal.overview.asked import ask, completed, last_part, values_beginning


def test_filters_stand_anywhere_among_the_words() -> None:
    asked = ask('fjord type:invoices mug missing:alt tag:"dark blue" is:failed')
    assert asked.words == "fjord mug"
    assert (asked.types, asked.missing, asked.tags, asked.states) == (
        ("invoices",),
        ("alt",),
        ("dark blue",),
        ("failed",),
    )
    assert [each.label for each in asked.filters] == ["Invoices", "Without alt text", "dark blue", "Failed"]
    assert asked.filters[1].without == 'fjord type:invoices mug tag:"dark blue" is:failed'


@pytest.mark.parametrize("text", ["type:item", "TYPE:Items", 'type:"inventory items"', "type:inventory_items"])
def test_a_type_is_known_by_each_of_its_names(text: str) -> None:
    assert ask(text).types == ("inventory_items",)


def test_other_words_with_a_colon_are_words() -> None:
    asked = ask("SKU:12 ns:mug")
    assert (asked.words, asked.filters) == ("SKU:12 ns:mug", ())


def test_what_is_no_value_is_passed_over_until_it_is_refused() -> None:
    asked = ask("mug type:foo")
    assert (asked.types, asked.is_empty) == ((), False)
    with pytest.raises(FormError) as refused:
        asked.refuse_unknown()
    assert "There is no type:foo" in refused.value.errors["q"]
    assert "companies" in refused.value.errors["q"]
    ask("mug tag:blue missing:picture").refuse_unknown()


@pytest.mark.parametrize("text", ["", "  ", "tag:", "type:in", "missing:"])
def test_nothing_is_asked_by_blanks_and_half_filters(text: str) -> None:
    assert ask(text).is_empty


def test_an_address_of_a_picture_is_that_picture() -> None:
    id = "0190a0b0-0000-7000-8000-000000000001"
    for text in (id, id.upper(), f"https://shop.example/images/{id}?a=1"):
        assert ask(text).picture == UUID(id), text
    assert ask(f"mug {id}").picture is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("mug bl", ("", "bl")),
        ("mug tag:bl", ("tag", "bl")),
        ('tag:"dark b', ("tag", "dark b")),
        ("mug ", ("", "")),
        ("", ("", "")),
    ],
)
def test_the_last_part_is_what_is_being_written(text: str, part: tuple[str, str]) -> None:
    assert last_part(text) == part


def test_a_suggestion_takes_the_place_of_the_last_part() -> None:
    assert completed("mug ty", "type:invoices") == "mug type:invoices"
    assert completed("mug ", "type:invoices") == "mug type:invoices"
    assert values_beginning("type", "inv") == [("inventory_items", "Inventory items"), ("invoices", "Invoices")]


@pytest.mark.parametrize(
    "text", ['tag:"', 'type:"""', "is:" * 100, "tag:a " * 100, "\0type:invoices", "missing:\u202ealt"]
)
def test_whatever_is_typed_is_understood_somehow(text: str) -> None:
    asked = ask(text)
    assert len(asked.filters) <= 8
    assert "\0" not in asked.text
