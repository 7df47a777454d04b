"""A chart of stacked bars as numbers for SVG: up to four tones, the first below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from portal.maintenance.chart import HEIGHT, WIDTH, Line, round_up

_LEFT, _TOP, _BOTTOM = 52, 34, 186
_STEPS: Final = 4
_UNITS: Final = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3), ("bytes", 1))


@dataclass(frozen=True, slots=True)
class Piece:
    """`tone`: 1 to 4."""

    tone: int
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class StackedBar:
    """`label`: where there is room to write it."""

    x: float
    middle: float
    width: float
    pieces: list[Piece]
    label: str | None


@dataclass(frozen=True, slots=True)
class StackedChart:
    """`unit` of the numbers beside the lines, empty for a count."""

    width: int
    height: int
    left: int
    unit: str
    bars: list[StackedBar]
    lines: list[Line]


def stacked(
    columns: Sequence[Sequence[int]], labels: Sequence[str], *, is_bytes: bool, label_every: int
) -> StackedChart:
    """`columns`: for each bar its values, one for each tone; every so many bars are labelled, counted back from the last."""
    most = max((sum(column) for column in columns), default=0)
    unit, size = _unit_of(most) if is_bytes else ("", 1)
    top = round_up(-(-most // size))
    scale = (_BOTTOM - _TOP) / (top * size)
    pitch = (WIDTH - _LEFT) / max(len(columns), 1)
    bars = [
        _bar(column, _LEFT + at * pitch, pitch, scale, label if (len(columns) - 1 - at) % label_every == 0 else None)
        for at, (column, label) in enumerate(zip(columns, labels, strict=True))
    ]
    lines = [
        Line(round(_BOTTOM - top / _STEPS * each * size * scale, 1), f"{top // _STEPS * each:,}")
        for each in range(_STEPS + 1)
    ]
    return StackedChart(WIDTH, HEIGHT, _LEFT, unit, bars, lines)


def _unit_of(most: int) -> tuple[str, int]:
    """The largest in which the most is at least four: the lines stand for whole numbers."""
    return next(((unit, size) for unit, size in _UNITS if most >= 4 * size), ("bytes", 1))


def _bar(column: Sequence[int], x: float, pitch: float, scale: float, label: str | None) -> StackedBar:
    pieces: list[Piece] = []
    below = float(_BOTTOM)
    for tone, value in enumerate(column, 1):
        height = value * scale
        below -= height
        if height >= 0.1:
            pieces.append(Piece(tone, round(below, 1), round(max(height - 0.8, 0.4), 1)))  # a hair apart
    width = min(pitch * 0.62, 44.0)
    return StackedBar(round(x + (pitch - width) / 2, 1), round(x + pitch / 2, 1), round(width, 1), pieces, label)
