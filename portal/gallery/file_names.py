"""Names of files for who takes originals along: any other system understands them, whatever its disk makes of names."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from portal.imaging.formats import format_of_extension

LONGEST_STEM: Final = 120  # bytes: with all folders still a path that Windows takes
_NOT_IN_NAMES: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def file_name(place: int, last: int, filename: str, extension: str) -> str:
    """`03-mug front.jpg`: `place` and `last` from 0; ends as its format is called, whatever the file was called."""
    stem, _, ending = filename.rpartition(".")
    format = format_of_extension(ending.lower())
    if not stem or format is None or format.extension != extension:
        stem, ending = filename, extension
    width = max(2, len(str(last + 1)))
    return f"{place + 1:0{width}d}-{_stem(stem)}.{ending}"


def _stem(text: str) -> str:
    safe = _NOT_IN_NAMES.sub("_", unicodedata.normalize("NFC", text))
    return safe.encode()[:LONGEST_STEM].decode(errors="ignore").strip(" .") or "picture"
