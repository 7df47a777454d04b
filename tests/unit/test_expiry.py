"""When a key ends, as people write and read it; and the form's fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.embed.key_forms import KeyForm, read_form_of, sent_form
from portal.errors import FormError
from portal.expiry import expiry_in_words, read_expiry, state_of
from portal.imaging.presets import READY

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")
SHOP = "https://shop.example.com"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", None),
        ("30d", NOW + timedelta(days=30)),
        ("2026-11-22", datetime(2026, 11, 22, 23, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 1, 31, 23, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        (" 1d ", NOW + timedelta(days=1)),
    ],
)
def test_an_end_is_a_number_of_days_the_end_of_a_day_or_a_moment(text: str, moment: datetime | None):
    assert read_expiry(text, OSLO, NOW) == moment


@pytest.mark.parametrize(
    "text",
    "2026-11-21 2001-01-01T00:00:00Z 2027-01-31T12:00:00 soon 0d -3d 99999d 99999999999999999999d ٣d"
    " 9999-12-31 2027-13-01 2027-02-30 1e3d \0".split(" "),
)
def test_what_is_past_unclear_or_no_time_at_all_is_refused(text: str):
    with pytest.raises(FormError) as refused:
        read_expiry(text, OSLO, NOW)
    assert set(refused.value.errors) == {"expires"}


@pytest.mark.parametrize(
    ("left", "state", "words"),
    [
        (timedelta(days=800), "in use", "expires in 2 years"),
        (timedelta(days=150), "in use", "expires in 5 months"),
        (timedelta(days=90), "in use", "expires in 90 days"),
        (timedelta(days=14, minutes=1), "in use", "expires in 14 days"),
        (timedelta(days=14), "expires soon", "expires in 14 days"),
        (timedelta(hours=47), "expires soon", "expires in 47 hours"),
        (timedelta(minutes=61), "expires soon", "expires in an hour"),
        (timedelta(seconds=1), "expires soon", "expires in less than an hour"),
        (timedelta(0), "expired", "expired less than an hour ago"),
        (-timedelta(days=45), "expired", "expired 45 days ago"),
    ],
)
def test_how_long_it_lasts_is_said_in_words(left: timedelta, state: str, words: str):
    assert state_of(NOW + left, NOW) == state
    assert expiry_in_words(NOW + left, NOW) == words


def test_a_key_without_an_end_is_in_use_for_ever():
    assert (state_of(None, NOW), expiry_in_words(None, NOW)) == ("in use", "never expires")


def wrong_with(**given: object) -> dict[str, str]:
    """The form's errors; without any given, it is right."""
    form = KeyForm(**({"type": "invoices", "id": "A-1", "sites": SHOP} | given))  # type: ignore[arg-type] - a form's fields
    try:
        read_form_of(form, private_types={"invoices"}, zone=UTC, now=NOW)
    except FormError as error:
        return error.errors
    return {}


def test_each_field_that_is_wrong_is_named_and_no_other():
    assert wrong_with() == {}
    assert set(wrong_with(id="")) == set(wrong_with(id="../x")) == set(wrong_with(type="pets")) == {"scope"}
    assert "Write its id" in wrong_with(id="")["scope"]
    assert set(wrong_with(sites="")) == set(wrong_with(sites="*")) == {"parents"}
    assert set(wrong_with(sizes=())) == set(wrong_with(sizes=("original",))) == {"presets"}
    assert set(wrong_with(ends="date")) == set(wrong_with(ends="date", until="2001-01-01")) == {"expires"}
    assert set(wrong_with(ends="whenever")) == {"expires"}
    assert set(wrong_with(id="", sites="shop", sizes=(), ends="date")) == {"scope", "parents", "presets", "expires"}


def test_a_form_is_read_as_the_api_reads_its_object():
    sent = {"scope": ["type"], "type": ["invoices"], "id": ["ignored"], "sizes": ["card", "icon"], "ends": ["30d"]}
    form = sent_form(sent | {"sites": [f"{SHOP}\r\n\r\n  https://pay.example.com "]})
    now = datetime.now(UTC)  # the ends of keys have to be yet to come
    read = read_form_of(form, private_types={"invoices"}, zone=UTC, now=now)
    assert (read["scope"].type, read["scope"].id, read["captions"]) == ("invoices", None, False)
    assert read["parents"] == [SHOP, "https://pay.example.com"]
    assert (set(read["presets"]), read["expires_at"]) == ({"card", "icon"}, now + timedelta(days=30))
    all_sizes = read_form_of(KeyForm(type="companies", id="X", sizes=READY), private_types=(), zone=UTC, now=NOW)
    assert all_sizes["presets"] is None
