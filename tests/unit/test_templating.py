from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from jinja2 import UndefinedError

from portal.web.templating import environment, format_bytes, format_day, format_moment

NOW = datetime(2025, 11, 22, 16, 0, tzinfo=UTC)


def spaces(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1 kB"),
        (412_000, "412 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (3_100_000, "3.1 MB"),
        (99_960_000, "100 MB"),
        (41_800_000_000, "41.8 GB"),
        (5_200_000_000_000, "5.2 TB"),
        (2_000_000_000_000_000, "2,000 TB"),
    ],
)
def test_bytes_are_said_with_a_unit(size: int, said: str) -> None:
    assert spaces(format_bytes(size)) == said


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (datetime(2025, 11, 22, 9, 41, tzinfo=UTC), "Today 09:41"),
        (datetime(2025, 11, 21, 17, 2, tzinfo=UTC), "Yesterday 17:02"),
        (datetime(2025, 11, 12, 9, 0, tzinfo=UTC), "12 Nov"),
        (datetime(2024, 11, 12, 9, 0, tzinfo=UTC), "12 Nov 2024"),
        (datetime(2025, 11, 22, 9, 41), "Today 09:41"),  # noqa: DTZ001 - a database may give naive UTC
        (date(2025, 11, 22), "Today"),
        (date(2025, 11, 23), "23 Nov"),
        (date(2024, 2, 29), "29 Feb 2024"),
        (None, "—"),
    ],
)
def test_a_day_is_said_as_people_say_it(when: datetime | date | None, said: str) -> None:
    assert format_day(when, NOW) == said


def test_times_are_told_in_the_portals_zone() -> None:
    auckland = timezone(timedelta(hours=13))
    assert format_day(datetime(2025, 11, 22, 15, 30, tzinfo=UTC), NOW, auckland) == "Today 04:30"


def test_today_is_judged_in_the_zone_of_the_time_itself() -> None:
    auckland = timezone(timedelta(hours=13))
    assert format_day(datetime(2025, 11, 23, 4, 30, tzinfo=auckland), NOW) == "Today 04:30"


def test_undefined_names_are_errors_and_values_are_escaped() -> None:
    env = environment(lambda name, **params: f"/{name}")
    with pytest.raises(UndefinedError):
        env.from_string("{{ nothing }}").render()
    assert env.from_string("{{ name }}").render(name="<b>") == "&lt;b&gt;"


def test_the_csrf_field_takes_the_token_of_the_page_else_of_the_shell() -> None:
    template = environment(lambda name, **params: f"/{name}").from_string("{{ csrf_field() }}")
    shell = SimpleNamespace(csrf_token='a"b')
    assert template.render(shell=shell) == '<input type="hidden" name="csrf_token" value="a&#34;b">'
    assert 'value="of-the-page"' in template.render(shell=None, csrf_token="of-the-page")


def test_in_the_middle_of_a_sentence_a_day_is_written_small() -> None:
    assert format_moment(NOW, NOW) == format_day(NOW, NOW).lower()
    assert format_moment(NOW - timedelta(days=400), NOW) == format_day(NOW - timedelta(days=400), NOW)
