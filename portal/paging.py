"""Keyset paging: a page's limit, its opaque cursor, and totals that stop counting at 1001."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from portal.errors import FormError

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
EXACT_UP_TO: Final = 1000
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`total` is exact up to 1000; 1001 means more. `next` is the cursor of the following page or None."""

    items: list[T]
    total: int
    next: str | None

    def map(self, change: Callable[[T], U]) -> Page[U]:
        return Page([change(item) for item in self.items], self.total, self.next)


def read_limit(text: str | None) -> int:
    """Raises FormError for anything but 1 to 200."""
    if text is None or text == "":
        return DEFAULT_LIMIT
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT:
        return int(text)
    raise FormError({"limit": f"Use a whole number from 1 to {MAX_LIMIT}."})


def encode_cursor(values: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kinds: Sequence[type]) -> list[Any] | None:
    """The values behind a cursor, checked against `kinds`; None without one. Raises FormError for a foreign cursor."""
    if not cursor:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        fits = isinstance(values, list) and [type(value) for value in values] == list(kinds)
        if fits and not any(isinstance(value, str) and "\0" in value for value in values):
            return values
    except (binascii.Error, ValueError, UnicodeError, RecursionError):
        pass
    raise FormError({"cursor": "This cursor is not one of ours; start again from the first page."})


def id_behind(cursor: str | None) -> UUID:
    """Of a list by id, newest first: what comes next is below it. Raises FormError for a foreign cursor."""
    after = decode_cursor(cursor, [str])
    try:
        return UUID(after[0]) if after else UUID(int=2**128 - 1)
    except ValueError:
        return UUID(int=0)
