"""CSV that people download: read back it is what was written, and no cell of it is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portal.web.csv_answers import PIECE, cell, csv_pieces


async def rows_of(*rows: list[Any]) -> AsyncIterator[list[Any]]:
    for row in rows:
        yield row


async def test_what_is_read_back_is_what_was_written() -> None:
    said = ["Mug, “blue”", 'a "quote"\nand a line', 12, 3.5, None, True, "-1 text"]
    pieces = [each async for each in csv_pieces(["a", "b"], rows_of(said))]
    read = list(csv.reader(io.StringIO(b"".join(pieces).decode("utf-8-sig"))))
    assert read == [["a", "b"], ["Mug, “blue”", 'a "quote"\nand a line', "12", "3.5", "", "True", "'-1 text"]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "  =1", "＝1"])
def test_a_text_that_a_spreadsheet_would_compute_begins_with_an_apostrophe(text: str) -> None:
    assert cell(text) == "'" + text


def test_a_number_stays_a_number() -> None:
    assert (cell(-3), cell(-0.5)) == (-3, -0.5)


async def test_many_rows_come_in_pieces() -> None:
    pieces = [each async for each in csv_pieces(["a"], rows_of(*([["x" * 1000]] * 300)))]
    assert len(pieces) == -(-300 * 1002 // PIECE)
