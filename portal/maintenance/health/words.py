"""Numbers as the details of checks say them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

_STEPS: Final = ((86_400 * 2, 86_400, "days"), (3_600 * 2, 3_600, "hours"), (60 * 2, 60, "minutes"))


def span(seconds: float) -> str:
    """90 -> "90 seconds", 7300 -> "2 hours"."""
    for least, unit, word in _STEPS:
        if seconds >= least:
            return f"{int(seconds // unit)} {word}"
    whole = max(int(seconds), 0)
    return f"{whole} second{'' if whole == 1 else 's'}"


def count(number: int, word: str) -> str:
    """1 -> "1 job", 2000 -> "2,000 jobs"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """In powers of 1000, as the pages count."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit in ("bytes", "kB") or number >= 99.95 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M UTC")


def shown(value: float | None, unit: str) -> str:
    """A check's value, short: "2 ms", "65 %", "8 h", "78.0 GB"."""
    if value is None:
        return ""
    if unit == "bytes":
        return size(value)
    if unit == "s" and value >= 60:
        for least, word in ((2 * 86_400, "days"), (3_600, "h"), (60, "min")):
            if value >= least:
                return f"{value // (86_400 if word == 'days' else least):.0f} {word}"
    return f"{value:,g} {unit}".strip()
