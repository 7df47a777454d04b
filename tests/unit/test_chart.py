"""The chart of days as numbers."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from portal.maintenance.chart import HEIGHT, WIDTH, chart_of
from portal.maintenance.statistics import Day


def days(*served: int) -> list[Day]:
    first = date(2026, 11, 1)
    return [Day(first + timedelta(days=at), each, each // 2, each - each // 2, 0) for at, each in enumerate(served)]


@pytest.mark.parametrize(
    ("most", "lines"),
    [
        (1, ["0", "1", "2", "3", "4"]),
        (9, ["0", "3", "6", "9", "12"]),
        (12, ["0", "3", "6", "9", "12"]),
        (13, ["0", "5", "10", "15", "20"]),
        (1_200, ["0", "300", "600", "900", "1.2k"]),
        (7_000_000, ["0", "2M", "4M", "6M", "8M"]),
    ],
)
def test_four_lines_lead_up_to_the_most_in_round_numbers(most: int, lines: list[str]):
    assert [line.value for line in chart_of(days(0, most)).lines] == lines


def test_every_bar_stands_on_the_ground_and_within_the_picture():
    chart = chart_of(days(*range(0, 300, 10)))
    ground = chart.lines[0].y
    for bar in chart.bars:
        assert bar.hits_top + bar.hits_height == pytest.approx(ground, abs=0.2)
        assert bar.misses_top + bar.misses_height == pytest.approx(bar.hits_top, abs=0.2)
        assert chart.left <= bar.x
        assert bar.x + bar.width <= WIDTH
        assert 0 < bar.misses_top <= HEIGHT
    assert chart.bars[-1].label == date(2026, 11, 30)
    assert chart.best is not None
    assert chart.best.day == date(2026, 11, 30)


def test_nothing_served_is_no_chart():
    assert chart_of(days(0, 0, 0)).best is None
    assert chart_of([]).best is None
