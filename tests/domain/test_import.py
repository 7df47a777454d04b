"""Many entities from one file: good rows are applied whole, bad ones are named by their line."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from portal.audit.actors import SYSTEM
from portal.entities.import_files import read_rows
from portal.entities.imports import ImportReport, import_rows
from portal.errors import FormError
from portal.tables import Entity, InvoiceLine

pytestmark = pytest.mark.usefixtures("db")


async def csv_of(*lines: str, strict: bool = False) -> ImportReport:
    return await import_rows("\n".join(lines).encode(), "csv", SYSTEM, strict=strict)


async def jsonl_of(*rows: Any, strict: bool = False) -> ImportReport:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    return await import_rows(text.encode(), "jsonl", SYSTEM, strict=strict)


def numbers(report: ImportReport) -> tuple[int, int, int, int]:
    return report.created, report.changed, report.unchanged, report.refused


async def stored(id: str) -> dict[str, Any]:
    row = await Entity.select().where(Entity.id == id).first().output(load_json=True)
    assert row is not None
    return row


async def test_csv_creates_changes_and_leaves_alone() -> None:
    header = "type,id,name,reference,attr:colour"
    assert numbers(await csv_of(header, "inventory_items,M-1,Mug,,blue", "categories,C,Cups,,")) == (2, 0, 0, 0)
    assert numbers(await csv_of(header, "inventory_items,M-1,Mug,R/1,red", "categories,C,Cups,,")) == (0, 1, 1, 0)
    mug = await stored("M-1")
    assert (mug["reference"], mug["attributes"]) == ("R/1", {"colour": "red"})


async def test_bad_rows_are_named_by_line_and_good_ones_applied() -> None:
    report = await csv_of(
        "type,id,name,total",
        "invoices,1,One,12.50",
        "invoices,2,Two,12;50",
        "",
        'invoices,3,"a name over',
        'two lines",x',
        "things,4,Four,",
        "invoices,..,Five,",
        "invoices,6,,",
        "invoices,7,Seven",
        "customers,8,Eight,5",
        "customers,9,Nine,",
    )
    assert [error.line for error in report.errors] == [3, 5, 7, 8, 9, 10, 11]
    assert "12.50" in report.errors[0].message
    assert "3 cells" in report.errors[5].message
    assert "Only invoices" in report.errors[6].message
    assert numbers(report) == (2, 0, 0, 7)
    assert {row["id"] for row in await Entity.select(Entity.id)} == {"1", "9"}


async def test_strict_applies_nothing_when_one_row_is_bad() -> None:
    report = await csv_of("type,id,name", "customers,1,Ana", "customers,2,", strict=True)
    assert numbers(report) == (0, 0, 0, 1)
    assert report.errors[0].line == 3
    assert await Entity.count() == 0
    assert numbers(await csv_of("type,id,name", "customers,1,Ana", strict=True)) == (1, 0, 0, 0)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";"])
async def test_byte_order_mark_line_ends_and_semicolons_are_understood(newline: str, mark: str, separator: str) -> None:
    rows = [["type", "id", "name"], ["customers", "1", '"Ø ""and"" sons"'], [], ["customers", "2", "Ana"]]
    text = mark + newline.join(separator.join(row) for row in rows)
    report = await import_rows(text.encode(), "csv", SYSTEM)
    assert numbers(report) == (2, 0, 0, 0)
    assert (await stored("1"))["name"] == 'Ø "and" sons'


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
async def test_other_encodings_are_refused_before_anything_is_applied(encoding: str, kind: Any) -> None:
    text = "type,id,name\ncustomers,1,Ana\ncustomers,2,José\n"
    with pytest.raises(FormError, match="UTF-8") as caught:
        await import_rows(text.encode(encoding), kind, SYSTEM)
    assert encoding == "utf-16" or "Line 3" in caught.value.errors["file"]
    assert await Entity.count() == 0


@pytest.mark.parametrize(
    "header", ["", "name", "id,name", "type,id,nmae", "type,id,name,name", "type,id,attr:", '"type,id', "\0"]
)
async def test_header_that_cannot_be_used_is_refused_with_a_sentence(header: str) -> None:
    with pytest.raises(FormError) as caught:
        await csv_of(header, "customers,1,Ana")
    assert caught.value.errors["file"].endswith(".")


async def test_invoice_with_lines_and_parent_comes_from_either_kind_of_file() -> None:
    lines = [{"item": "M-1", "description": "Mug", "quantity": "2", "unit_price": "14.50"}]
    cell = json.dumps(lines).replace('"', '""')
    report = await csv_of(
        "type,id,name,parent_type,parent_id,number,date,currency,total,lines,attributes",
        f'invoices,1,One,companies,H,N-1,2026-11-03,EUR,29.00,"{cell}","{{""vat"": ""25""}}"',
    )
    assert (numbers(report), report.errors) == ((1, 0, 0, 0), [])
    same = {
        "type": "invoices", "id": "1", "name": "One", "parent": {"type": "companies", "id": "H"}, "number": "N-1",
        "date": "2026-11-03", "currency": "EUR", "total": "29.00", "lines": lines, "attributes": {"vat": "25"},
    }  # fmt: skip
    assert numbers(await jsonl_of(same)) == (0, 0, 1, 0)
    assert await InvoiceLine.count() == 1


async def test_what_a_file_does_not_mention_stays_and_an_empty_cell_clears() -> None:
    line = {"description": "Mug", "quantity": 1}
    await jsonl_of({"type": "invoices", "id": "1", "name": "One", "number": "N", "total": 5, "lines": [line]})
    await csv_of("type,id,name,number", "invoices,1,Uno,")
    invoice = await stored("1")
    assert (invoice["name"], invoice["number"], str(invoice["total"])) == ("Uno", None, "5")
    assert await InvoiceLine.count() == 1


async def test_named_attributes_lie_over_the_others() -> None:
    await jsonl_of({"type": "categories", "id": "C", "name": "C", "attributes": {"a": 1, "b": [2], "c": "3"}})
    await csv_of("type,id,attr:b,attr:c", "categories,C,two,")
    assert (await stored("C"))["attributes"] == {"a": 1, "b": "two"}


async def test_the_last_of_equal_ids_wins_and_is_reported() -> None:
    report = await csv_of("type,id,name", "customers,1,Ana", "customers,2,Bo", "customers,1,Anna")
    assert (await stored("1"))["name"] == "Anna"
    assert [(row.line, "line 2" in row.message) for row in report.repeated] == [(4, True)]
    assert numbers(report) == (2, 1, 0, 0)


async def test_json_lines_that_are_not_entities_are_named() -> None:
    report = await jsonl_of(
        "{", "[]", "1", '{"type": "customers"}', '{"type": "customers", "id": 5, "name": "A"}', "",
        '{"type": "customers", "id": "1", "name": "A", "attributes": {"a": NaN}}', "[" * 100_000,
        '{"type": "customers", "id": "1", "name": "A", "shoe": 44}', '{"type": "customers", "id": "1", "name": "\\ud800"}',
        '{"type": "customers", "id": "1", "name": "A\\u0000"}', '{"type": "customers", "id": "1", "name": "Ana"}',
    )  # fmt: skip
    assert [error.line for error in report.errors] == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert report.created == 1


async def test_quote_left_open_costs_no_row_before_it() -> None:
    report = await csv_of("type,id,name", "customers,1,Ana", 'customers,2,"Bo', "customers,3,Cy")
    assert report.created == 1
    assert [error.line for error in report.errors] == [3]


class _LongFile(io.RawIOBase):
    """A CSV file of `rows` rows that is never whole in memory."""

    def __init__(self, rows: int) -> None:
        self._lines: Iterator[bytes] = iter(())
        self._rows, self._rest = rows, b""
        self.seek(0)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._lines = (
            b"type,id,name\n" if row == 0 else b"customers,c%d,Customer %d\n" % (row, row)
            for row in range(self._rows + 1)
        )
        self._rest = b""
        return 0

    def readinto(self, buffer: Any) -> int:
        while len(self._rest) < len(buffer) and (line := next(self._lines, b"")):
            self._rest += line
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def test_twenty_thousand_rows_are_read_in_little_memory() -> None:
    file: Any = io.BufferedReader(_LongFile(20_000))
    tracemalloc.start()
    count = sum(1 for row in read_rows(file, "csv") if row.data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_500_000
