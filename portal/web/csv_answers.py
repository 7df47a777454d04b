"""CSV to download, piece by piece: what people wrote stays text, also in a spreadsheet that takes `=…` for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Any, Final

from litestar.response import Stream

from portal.spreadsheets import is_formula

PIECE: Final = 64 * 1024  # characters
_BOM: Final = "\ufeff"  # else Excel takes UTF-8 for Latin-1


def csv_response(filename: str, header: Sequence[str], rows: AsyncIterable[Sequence[Any]]) -> Stream:
    """`filename` in ASCII. Rows are written as they come: nothing of a million of them is kept."""
    return Stream(
        csv_pieces(header, rows),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )


async def csv_pieces(header: Sequence[str], rows: AsyncIterable[Sequence[Any]]) -> AsyncIterator[bytes]:
    out = io.StringIO()
    out.write(_BOM)
    writer = csv.writer(out)
    writer.writerow(header)
    async for row in rows:
        writer.writerow([cell(value) for value in row])
        if out.tell() > PIECE:
            yield _taken(out)
    yield _taken(out)


def _taken(out: io.StringIO) -> bytes:
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text.encode()


def cell(value: Any) -> Any:
    """Numbers stay numbers; a text that a spreadsheet would compute begins with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = str(value)
        return f"'{text}" if is_formula(text) else text
    return value
