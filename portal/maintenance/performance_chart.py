"""The last hour as numbers for SVG: bars and lines, whose places are attributes, never styles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 560
HEIGHT: Final = 180
_LEFT, _TOP, _BOTTOM = 70, 14, 150
_STEPS: Final = 3
_LABEL_EVERY: Final = 15


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of a bar, in the colour of its series."""

    series: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A grid line's `y`, or a label's `x`, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class HourChart:
    """`lines` are an SVG path for each series, interrupted where a minute has no value."""

    width: int
    height: int
    left: int
    bottom: int
    grid: list[Mark]
    labels: list[Mark]
    bars: list[Bar]
    lines: list[str]


def bars_of(series: Sequence[Sequence[float]], times: Sequence[str], write: Callable[[float], str]) -> HourChart:
    """The first series below, the others on top of it."""
    top = _round_up(max((sum(parts) for parts in zip(*series, strict=True)), default=0))
    bars: list[Bar] = []
    pitch = (WIDTH - _LEFT) / max(len(times), 1)
    for at, parts in enumerate(zip(*series, strict=True)):
        base = float(_BOTTOM)
        for number, value in enumerate(parts):
            height = value / top * (_BOTTOM - _TOP)
            base -= height
            if value:
                bars.append(
                    Bar(
                        number,
                        round(_LEFT + (at + 0.15) * pitch, 1),
                        round(base, 1),
                        round(pitch * 0.7, 1),
                        round(height, 1),
                    )
                )
    return _chart(top, times, write, bars, [])


def lines_of(
    series: Sequence[Sequence[float | None]], times: Sequence[str], write: Callable[[float], str]
) -> HourChart:
    top = _round_up(max((value for each in series for value in each if value is not None), default=0))
    pitch = (WIDTH - _LEFT) / max(len(times), 1)

    def path(values: Sequence[float | None]) -> str:
        said, is_open = [], False
        for at, value in enumerate(values):
            if value is not None:
                x, y = _LEFT + (at + 0.5) * pitch, _BOTTOM - value / top * (_BOTTOM - _TOP)
                said.append(
                    f"{'L' if is_open else 'M'}{x:.1f} {y:.1f}" + ("" if is_open else "h.1")
                )  # a lone one is a dot
            is_open = value is not None
        return "".join(said)

    return _chart(top, times, write, [], [path(each) for each in series])


def _chart(
    top: float, times: Sequence[str], write: Callable[[float], str], bars: list[Bar], lines: list[str]
) -> HourChart:
    grid = [
        Mark(round(_BOTTOM - (_BOTTOM - _TOP) * step / _STEPS, 1), write(top * step / _STEPS))
        for step in range(_STEPS + 1)
    ]
    pitch = (WIDTH - _LEFT) / max(len(times), 1)
    last = len(times) - 1
    labels = [
        Mark(round(_LEFT + (at + 0.5) * pitch, 1), text)
        for at, text in enumerate(times)
        if (last - at) % _LABEL_EVERY == 0
    ]
    return HourChart(WIDTH, HEIGHT, _LEFT, _BOTTOM, grid, labels, bars, lines)


def _round_up(most: float) -> float:
    """To 3, 6, 9, 12, 15 or 30 times a power of ten: three steps lead up to it in round numbers."""
    unit = 0.0001
    while True:
        for step in (3, 6, 9, 12, 15):
            if most <= step * unit:
                return step * unit
        unit *= 10
