"""Reading an import's file line by line, in bounded memory: CSV with a header, or JSON lines. UTF-8 only."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal

from portal.errors import FormError

ImportKind = Literal["csv", "jsonl"]

COLUMNS: Final = tuple(
    "type id name reference parent_type parent_id number date currency total attributes lines".split()
)
ATTRIBUTE_PREFIX: Final = "attr:"
ATTRIBUTE_CELLS: Final = "attr:"  # where a row keeps its attr:NAME cells; no field of JSON lines may have this name
LONGEST_LINE: Final = 4 * 1024 * 1024  # characters
LONGEST_CELL: Final = 1024 * 1024
_JSON_COLUMNS: Final = ("attributes", "lines")
_SAVE_AS: Final = "Save it as UTF-8 (in Excel: “CSV UTF-8”)."

# Attributes may have 64 KiB and an invoice 1000 lines; the library's own limit is 128 KiB.
csv.field_size_limit(LONGEST_CELL)


@dataclass(frozen=True, slots=True)
class Row:
    """`line` counts from 1, the header included. `data` is None where the line cannot be read; `problem` says why."""

    line: int
    data: dict[str, Any] | None
    problem: str = ""


def read_rows(file: BinaryIO, kind: ImportKind) -> Iterator[Row]:
    """Blocking. Raises FormError at the first step for a CSV header that cannot be used."""
    return _csv_rows(file) if kind == "csv" else _json_rows(file)


def check_encoding(file: BinaryIO) -> None:
    """Read the whole file once before anything is applied. Leaves it at the start. Raises FormError."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    if file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise FormError({"file": f"This file is UTF-16. {_SAVE_AS}"})
    file.seek(0)
    while chunk := file.read(LONGEST_CELL):
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            raise _not_utf8(line) from error
        line += chunk.count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(line) from error
    file.seek(0)


def _not_utf8(line: int) -> FormError:
    return FormError({"file": f"Line {line} is not UTF-8, so letters such as é would be lost. {_SAVE_AS}"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of CSV by the number of its first line in the file; `problem` says why it has no cells."""

    number: int
    cells: list[str]
    problem: str = ""


def csv_lines(file: BinaryIO) -> Generator[Line]:
    """The header, then what is not empty; commas, semicolons or tabs between cells. Blocking. Raises FormError."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        first = text.readline(LONGEST_LINE)
        delimiter = next((sign for sign in ",;\t" if sign in first), ",")
        yield Line(1, _header_cells(first, delimiter))
        reader = csv.reader(iter(lambda: text.readline(LONGEST_LINE), ""), delimiter=delimiter, strict=True)
        while True:
            number = reader.line_num + 2  # line_num counts what was read after the header
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Line(number, [], f"This line is not CSV: {error}.")
                continue
            if any(cell.strip() for cell in cells):
                yield Line(number, cells)
    finally:
        text.detach()  # the file belongs to who opened it


def _header_cells(first: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([first.rstrip("\r\n")], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise FormError({"file": f"The first line is not CSV: {error}."}) from error
    names = [cell.strip() for cell in cells]
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise FormError({"file": f"The column {twice[0][:100]!r} stands there twice."})
    return names


def _csv_rows(file: BinaryIO) -> Iterator[Row]:
    with contextlib.closing(csv_lines(file)) as lines:
        header = _checked(next(lines).cells)
        for line in lines:
            yield Row(line.number, None, line.problem) if line.problem else _csv_row(line.number, header, line.cells)


def _checked(names: list[str]) -> list[str]:
    """Raises FormError for a header that names no id, or something unknown."""
    missing = [name for name in ("type", "id") if name not in names]
    if missing:
        raise FormError({"file": f"The first line names the columns; {' and '.join(missing)} must be among them."})
    unknown = [name for name in names if name not in COLUMNS and not _attribute_name(name)]
    if unknown:
        may = f"{', '.join(COLUMNS)} or attr:NAME for an attribute"
        raise FormError({"file": f"There is no column {unknown[0][:100]!r}. Use {may}."})
    return names


def _attribute_name(column: str) -> str:
    return column[len(ATTRIBUTE_PREFIX) :].strip() if column.startswith(ATTRIBUTE_PREFIX) else ""


def _csv_row(line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        return Row(line, None, f"This line has {len(cells)} cells, the header has {len(header)}.")
    row = dict(zip(header, cells, strict=True))
    data: dict[str, Any] = {name: value.strip() or None for name, value in row.items() if name in COLUMNS}
    for name in _JSON_COLUMNS:
        try:
            data.update({name: _read_json(data[name])} if data.get(name) else {})
        except ValueError as error:
            return Row(line, None, f"{name}: {error}")
    if "parent_type" in data or "parent_id" in data:
        kind, id = data.pop("parent_type", None), data.pop("parent_id", None)
        data["parent"] = {"type": kind, "id": id} if kind or id else None
    named = {_attribute_name(name): value.strip() for name, value in row.items() if _attribute_name(name)}
    if named:
        data[ATTRIBUTE_CELLS] = named
    return Row(line, data)


def _json_rows(file: BinaryIO) -> Iterator[Row]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="\n")
    try:
        for line in itertools.count(1):
            content = text.readline(LONGEST_LINE)
            if not content:
                return
            if not content.endswith("\n") and len(content) == LONGEST_LINE:
                while (rest := text.readline(LONGEST_LINE)) and not rest.endswith("\n"):
                    pass
                yield Row(line, None, "This line is too long: at most 4 million characters.")
            elif content.strip():
                yield _json_row(line, content)
    finally:
        text.detach()


def _json_row(line: int, content: str) -> Row:
    try:
        data = _read_json(content)
    except ValueError as error:
        return Row(line, None, str(error))
    if not isinstance(data, dict) or ATTRIBUTE_CELLS in data:
        return Row(line, None, 'Each line is one JSON object with "type", "id" and the fields of an entity.')
    return Row(line, data)


def _read_json(text: str) -> Any:
    """Raises ValueError in words for people."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("This JSON is nested too deep.") from error
    except ValueError as error:
        raise ValueError(f"This is not JSON: {str(error)[:120]}.") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")
