"""Conditional and range requests by RFC 9110, sections 13 and 14: what of a representation is to be sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final, Literal, NamedTuple

_TAG = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_RANGE = re.compile(rb"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
_ASKED: Final = frozenset(
    {b"if-match", b"if-unmodified-since", b"if-none-match", b"if-modified-since", b"range", b"if-range"}
)


class Representation(NamedTuple):
    """What would be sent to a plain GET: `etag` with its quotes and strong, `length` in bytes."""

    etag: bytes
    modified: datetime
    length: int


class Slice(NamedTuple):
    """The answer's status and the bytes from `start` up to `stop` of the representation (none of them for 304, 412, 416)."""

    status: Literal[200, 206, 304, 412, 416]
    start: int
    stop: int


def choose(method: str, headers: Iterable[tuple[bytes, bytes]], what: Representation) -> Slice:
    """What a GET or HEAD with these request headers (names in lower case) gets.

    A range that cannot be read, or several of them, are answered whole, as the standard allows.
    """
    asked = _asked(headers)
    if not asked:
        return Slice(200, 0, what.length)
    if _precondition_failed(asked, what):
        return Slice(412, 0, 0)
    if _is_known(asked, what):
        return Slice(304, 0, 0)
    wanted = asked.get(b"range")
    if wanted is None or method != "GET" or not _range_applies(asked.get(b"if-range"), what):
        return Slice(200, 0, what.length)
    return _slice(wanted, what.length)


def http_date(moment: datetime) -> bytes:
    return format_datetime(moment.astimezone(UTC), usegmt=True).encode()


def _asked(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers that matter; a list spread over several lines is one list."""
    asked: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _ASKED:
            asked[name] = b"%b, %b" % (asked[name], value) if name in asked else value
    return asked


def _precondition_failed(asked: dict[bytes, bytes], what: Representation) -> bool:
    if_match = asked.get(b"if-match")
    if if_match is not None:
        return not _names(if_match, what.etag, weak=False)
    since = _date(asked.get(b"if-unmodified-since"))
    return since is not None and _seconds(what.modified) > since


def _is_known(asked: dict[bytes, bytes], what: Representation) -> bool:
    """Does the asker hold these bytes? A tag, where given, outweighs the date."""
    if_none_match = asked.get(b"if-none-match")
    if if_none_match is not None:
        return _names(if_none_match, what.etag, weak=True)
    since = _date(asked.get(b"if-modified-since"))
    return since is not None and _seconds(what.modified) <= since


def _range_applies(if_range: bytes | None, what: Representation) -> bool:
    """By its tag alone: a picture's JPEG and its WebP share their URL and their date, so a date says nothing of bytes."""
    return if_range is None or if_range.strip() == what.etag


def _names(tags: bytes, etag: bytes, *, weak: bool) -> bool:
    """Is `etag` in this list? Weak comparison forgives a W/ before it, strong comparison does not."""
    if tags in (etag, b"*"):  # as nearly always
        return True
    if tags.strip() == b"*":
        return True
    return any(match[1] == etag and (weak or not match[0].startswith(b"W/")) for match in _TAG.finditer(tags))


def _slice(wanted: bytes, length: int) -> Slice:
    match = _RANGE.fullmatch(wanted.strip())
    whole = Slice(200, 0, length)
    if match is None or match[0].endswith(b"=-"):
        return whole
    first, last = _number(match[1]), _number(match[2])
    if first is None and last is None:
        return whole
    if first is None:
        start, stop = max(0, length - (last or 0)), length
    elif last is not None and last < first:
        return whole
    else:
        start, stop = first, length if last is None else min(last + 1, length)
    return Slice(206, start, stop) if start < stop else Slice(416, 0, 0)


def _number(digits: bytes) -> int | None:
    """None for no digits; very many of them mean beyond every end."""
    if not digits:
        return None
    return int(digits) if len(digits) <= 18 else 10**18


def _date(text: bytes | None) -> int | None:
    """Unix seconds of an HTTP date in any of its three spellings; None for what is none."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text.decode("ascii"))
        return _seconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
