"""How fast what is stored grows, and how the charts of it are drawn."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from portal.maintenance.chart_stack import stacked
from portal.maintenance.growth import Disk, growth_of
from portal.maintenance.history import Amount, NotedDay, by_week

GB = 10**9
TODAY = date(2026, 11, 23)
DISK = Disk(total=100 * GB, free=41 * GB, reserve=GB)


def noted(count: int, per_day: int = GB // 10, **wrong: int) -> list[NotedDay]:
    """So many days until today; `wrong`: what some of them say instead, as d3=0."""
    days: list[NotedDay] = []
    for at in range(count):
        stored = wrong.get(f"d{at}", 5 * GB + at * per_day)
        parts = {"originals": Amount(at, stored), "disk_free": Amount(0, 90 * GB - stored)}
        days.append(NotedDay(TODAY - timedelta(days=count - 1 - at), parts))
    return days


def test_the_disk_lasts_as_long_as_its_free_space_without_the_reserve():
    found = growth_of(noted(30), DISK)
    assert (found.stored_per_day, found.disk_per_day, found.known_from) == (GB // 10, GB // 10, None)
    assert found.days_until_full == 400


def test_an_import_a_cleanup_and_a_clock_that_jumped_do_not_move_the_pace():
    found = growth_of(noted(30, d3=90 * GB, d11=0, d12=0, d20=70 * GB, d28=1), DISK)
    assert found.stored_per_day == pytest.approx(GB / 10, rel=0.05)


def test_what_else_fills_the_disk_counts_too():
    days = [
        NotedDay(each.day, {**each.parts, "disk_free": Amount(0, (60 - at) * GB)}) for at, each in enumerate(noted(20))
    ]
    assert growth_of(days, DISK).days_until_full == 40


@pytest.mark.parametrize("days", [noted(0), noted(14), [*noted(1), *noted(60)[-5:]]], ids=["none", "14", "few"])
def test_before_two_weeks_are_noted_nothing_is_foretold(days: list[NotedDay]):
    found = growth_of(days, DISK)
    assert (found.stored_per_day, found.days_until_full) == (None, None)
    assert found.known_from == (days[0].day + timedelta(days=14) if days else None)


@pytest.mark.parametrize("per_day", [0, -GB, 10])
def test_what_does_not_grow_never_fills_the_disk(per_day: int):
    assert growth_of(noted(30, per_day), DISK).days_until_full is None


def test_a_week_is_told_by_its_last_noted_day_and_one_without_by_nothing():
    days = [day for day in noted(21) if (TODAY - day.day).days not in range(7, 14)]
    weeks = by_week(days, TODAY, 4)
    assert [each.day if each else None for each in weeks] == [None, TODAY - timedelta(days=14), None, TODAY]
    assert by_week([NotedDay(TODAY + timedelta(days=1), {})], TODAY, 1) == [None]


def test_bars_are_stacked_from_the_line_of_nothing_and_labelled_back_from_the_last():
    chart = stacked([[0, 0], [4 * GB, 2 * GB], [6 * GB, 2 * GB]], ["a", "b", "c"], is_bytes=True, label_every=2)
    assert chart.unit == "GB"
    assert [line.value for line in chart.lines] == ["0", "2", "4", "6", "8"]
    assert [bar.label for bar in chart.bars] == ["a", None, "c"]
    empty, _, full = chart.bars
    assert empty.pieces == []
    assert [piece.tone for piece in full.pieces] == [1, 2]
    assert full.pieces[1].top == chart.lines[-1].y
    assert full.pieces[0].top + full.pieces[0].height <= chart.lines[0].y


def test_a_chart_of_nothing_has_its_lines():
    assert [line.value for line in stacked([[0]], ["now"], is_bytes=True, label_every=1).lines] == [
        "0",
        "1",
        "2",
        "3",
        "4",
    ]
