"""Money, numbers and dates in the locale, and the sums below them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from portal.money import amount_of, places_of, sum_of
from portal.web.writing import Writing

ENGLISH = Writing()


def written(locale: str) -> Writing:
    return Writing(Locale.parse(locale))


def spaces(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [
        (Decimal("1284.5"), "EUR", "€1,284.50"),
        (Decimal("-3"), "EUR", "−€3.00"),
        (Decimal("1284.5"), "SEK", "SEK 1,284.50"),
        (Decimal("1500"), "JPY", "¥1,500"),
        (Decimal("1500.00"), "JPY", "¥1,500"),
        (Decimal("1.5"), "KWD", "KWD 1.500"),
        (Decimal("12.5"), "RSD", "RSD 12.50"),
        (Decimal("12"), "QQQ", "QQQ 12.00"),
        (Decimal("12"), None, "12.00"),
        (Decimal("0.0125"), "USD", "$0.0125"),  # a screw's price
        (Decimal("9" * 30 + ".05"), "EUR", "€" + ",".join(["999"] * 10) + ".05"),
        (None, "EUR", "—"),
    ],
)
def test_money_has_its_currency_and_all_its_digits(amount: Decimal | None, currency: str | None, said: str) -> None:
    assert spaces(ENGLISH.money(amount, currency)) == said


@pytest.mark.parametrize(
    ("locale", "currency", "said"),
    [
        ("de_AT", "EUR", "€ 1.284,50"),
        ("de", "EUR", "1.284,50 €"),
        ("nb", "NOK", "1 284,50 kr"),
        ("fr_CH", "CHF", "1 284,50 CHF"),
        ("ja", "JPY", "￥1,284.5"),  # not what a yen can be, but what was said
        ("en_IN", "INR", "₹1,284.50"),
    ],
)
def test_money_is_written_as_the_locale_does(locale: str, currency: str, said: str) -> None:
    assert spaces(written(locale).money(Decimal("1284.5"), currency)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1284, "1,284"),
        (0, "0"),
        (Decimal("2.500"), "2.5"),
        (Decimal("1000"), "1,000"),
        (Decimal("0.333333"), "0.333333"),
        (1.5, "1.5"),
        (Decimal("-2"), "−2"),
        (None, "—"),
    ],
)
def test_numbers_are_grouped(value: int | float | Decimal | None, said: str) -> None:
    assert ENGLISH.number(value) == said


def test_a_number_that_may_be_a_year_or_a_code_is_not_grouped() -> None:
    assert (ENGLISH.plain(2026), written("de").plain(12.5)) == ("2026", "12,5")


def test_percents_are_written_as_the_locale_does() -> None:
    assert (ENGLISH.percent(Decimal("25")), spaces(written("de").percent(Decimal("8.25")))) == ("25%", "8,25 %")


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en", "3 November 2026"),
        ("en_US", "November 3, 2026"),
        ("de_AT", "3. November 2026"),
        ("nb", "3. november 2026"),
        ("ja", "2026年11月3日"),
        ("ar", "3 نوفمبر 2026"),
    ],
)
def test_dates_are_written_as_the_locale_does(locale: str, said: str) -> None:
    assert written(locale).date(date(2026, 11, 3)) == said


def test_a_time_is_said_by_its_day_in_the_portals_zone() -> None:
    tokyo = Writing(zone=ZoneInfo("Asia/Tokyo"))
    assert tokyo.date(datetime(2026, 11, 2, 20, tzinfo=UTC)) == "3 November 2026"


@pytest.mark.parametrize(
    ("price", "quantity", "currency", "amount"),
    [
        ("0.1", "3", "EUR", "0.30"),
        ("1", "0.333", "EUR", "0.33"),
        ("0.125", "1", "EUR", "0.13"),
        ("-0.125", "1", "EUR", "-0.13"),
        ("150.5", "3", "JPY", "452"),
        ("1.2345", "1", "KWD", "1.235"),
        ("12.5", "1", None, "12.50"),
        ("999999999999999", "999999999999999", "EUR", "999999999999998000000000000001.00"),
        ("0.000000000000001", "0.000000000000001", "EUR", "0.00"),
    ],
)
def test_an_amount_is_exact_to_the_minor_unit(price: str, quantity: str, currency: str | None, amount: str) -> None:
    assert str(amount_of(Decimal(price), Decimal(quantity), currency)) == amount


def test_a_sum_of_large_and_small_amounts_keeps_every_digit() -> None:
    assert sum_of([Decimal("1E30"), Decimal("0.01"), Decimal("-1E30")]) == Decimal("0.01")
    assert places_of(None) == 2
