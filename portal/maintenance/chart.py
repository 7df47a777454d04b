"""A bar chart of days as numbers for SVG: widths and heights are attributes there, never styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from portal.maintenance.statistics import Day

WIDTH: Final = 560
HEIGHT: Final = 216
_LEFT, _TOP, _BOTTOM = 44, 26, 186  # of the field in which the bars stand
_STEPS: Final = 4
_LABEL_EVERY: Final = 7  # days, counted back from the last


@dataclass(frozen=True, slots=True)
class Bar:
    """`top` and `height` of its two parts, hits below misses. `label`: its day, where there is room to write it."""

    day: Day
    x: float
    middle: float
    width: float
    hits_top: float
    hits_height: float
    misses_top: float
    misses_height: float
    label: date | None


@dataclass(frozen=True, slots=True)
class Line:
    y: float
    value: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`best` is the day with the most, None when there is nothing to show. The last day's value is written at `last_y`."""

    width: int
    height: int
    left: int
    bars: list[Bar]
    lines: list[Line]
    best: Day | None
    last_y: float


def chart_of(days: Sequence[Day]) -> Chart:
    top = round_up(max((day.served for day in days), default=0))
    scale = (_BOTTOM - _TOP) / top
    pitch = (WIDTH - _LEFT) / max(len(days), 1)
    bars = [
        _bar(day, _LEFT + at * pitch, pitch, scale, has_label=(len(days) - 1 - at) % _LABEL_EVERY == 0)
        for at, day in enumerate(days)
    ]
    lines = [
        Line(round(_BOTTOM - top / _STEPS * each * scale, 1), _short(top // _STEPS * each))
        for each in range(_STEPS + 1)
    ]
    best = max(days, key=lambda day: day.served, default=None)
    last_y = min((bar.misses_top for bar in bars[-3:]), default=_BOTTOM) - 6  # clear of the bars beside it
    return Chart(WIDTH, HEIGHT, _LEFT, bars, lines, best if best and best.served else None, last_y)


def _bar(day: Day, x: float, pitch: float, scale: float, *, has_label: bool) -> Bar:
    hits, misses = day.hits * scale, day.misses * scale
    return Bar(
        day=day,
        x=round(x + pitch * 0.15, 1),
        middle=round(x + pitch / 2, 1),
        width=round(pitch * 0.7, 1),
        hits_top=round(_BOTTOM - hits, 1),
        hits_height=round(hits, 1),
        misses_top=round(_BOTTOM - hits - misses, 1),
        misses_height=round(misses, 1),
        label=day.day if has_label else None,
    )


def round_up(most: int) -> int:
    """To 4, 8, 12, 20, 40, 80, …: four steps lead up to it in round numbers."""
    unit = 1
    while True:
        for step in (4, 8, 12, 20):
            if most <= step * unit:
                return step * unit
        unit *= 10


def _short(value: int) -> str:
    """1500 as 1.5k, as there is little room beside the lines."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return str(value)
