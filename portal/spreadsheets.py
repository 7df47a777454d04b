"""Texts in CSV that a spreadsheet would compute: they get an apostrophe in front, by which it takes them for text."""

from __future__ import annotations

from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def is_formula(text: str) -> bool:
    return text.lstrip(" ").startswith(_FORMULA) or text.startswith(_FORMULA)


def guarded(text: str) -> str:
    """`unguarded` gives back exactly this text, whatever it is: one that has such an apostrophe already gets another."""
    return f"'{text}" if is_formula(text.lstrip("'")) else text


def unguarded(text: str) -> str:
    return text[1:] if text.startswith("'") and is_formula(text.lstrip("'")) else text
