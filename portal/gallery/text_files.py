"""Texts of pictures as CSV: the columns, a picture's cells, and what a line asks to change. Pure, but for reading its file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final
from uuid import UUID

from portal.entities.import_files import csv_lines
from portal.errors import FormError
from portal.gallery.forms import clean_tags, read_flag, read_metadata
from portal.spreadsheets import guarded, unguarded

# What may be changed; the others say which picture it is, and are not read (`revision` is, to notice what changed meanwhile).
TEXTS: Final = ("alt_text", "decorative", "caption", "tags")
COLUMNS: Final = ("image_id", "type", "id", "name", "filename", *TEXTS, "revision")
LONGEST_CELL: Final = (
    16_384  # characters, more than any text that is taken: a file of long ones would keep the loop busy
)


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line by its number in the file. `cells`: the texts that it has a column for, as people wrote them."""

    number: int
    image_id: UUID | None = None
    revision: int | None = None
    cells: Mapping[str, str] = field(default_factory=dict[str, str])
    problem: str = ""


def cells_of(row: Mapping[str, Any]) -> dict[str, str]:
    """A picture's texts, as cells say them."""
    return {
        "alt_text": row["alt_text"] or "",
        "decorative": "yes" if row["decorative"] else "no",
        "caption": row["caption"] or "",
        "tags": ", ".join(row["tags"]),
    }


def exported(row: Mapping[str, Any]) -> list[str | int]:
    """A line of COLUMNS: what a spreadsheet would compute begins with an apostrophe, which reading takes off again."""
    texts = cells_of(row)
    named = [row["type"], row["id"], row["name"], row["filename"], *(texts[name] for name in TEXTS)]
    return [str(row["image_id"]), *(guarded(text) for text in named), row["revision"]]


def read_lines(file: BinaryIO) -> Iterator[TextLine]:
    """Blocking. Raises FormError at the first step for a header that cannot be used."""
    with contextlib.closing(csv_lines(file)) as lines:
        header = _checked(next(lines).cells)
        for line in lines:
            if line.problem:
                yield TextLine(line.number, problem=line.problem)
            elif len(line.cells) != len(header):
                said = f"This line has {len(line.cells)} cells, the header has {len(header)}."
                yield TextLine(line.number, problem=said)
            else:
                yield _text_line(line.number, dict(zip(header, line.cells, strict=True)))


def _checked(names: Sequence[str]) -> Sequence[str]:
    """Raises FormError."""
    unknown = [name for name in names if name not in COLUMNS]
    if "image_id" not in names:
        raise FormError({"file": "The first line names the columns; image_id must be among them, as in an export."})
    if unknown:
        raise FormError({"file": f"There is no column {unknown[0][:100]!r}. Use {', '.join(COLUMNS)}."})
    if not set(names) & set(TEXTS):
        raise FormError({"file": f"There is nothing to change: add a column {', '.join(TEXTS)}."})
    return names


def _text_line(number: int, row: Mapping[str, str]) -> TextLine:
    try:
        image_id = UUID(unguarded(row["image_id"]).strip())
    except ValueError:
        return TextLine(number, problem="image_id: This is no picture's id.")
    revision = row.get("revision", "").strip()
    if revision and not (revision.isascii() and revision.isdigit() and len(revision) < 10):
        return TextLine(number, problem="revision: Leave it as the export gave it, or empty.")
    long = next((name for name in TEXTS if len(row.get(name, "")) > LONGEST_CELL), None)
    if long:
        return TextLine(number, problem=f"{long}: This text is far too long.")
    cells = {name: unguarded(row[name]).replace("\r\n", "\n") for name in TEXTS if name in row}
    return TextLine(number, image_id, int(revision) if revision else None, cells)


def _yes(text: str) -> bool:
    try:
        return read_flag(text)
    except ValueError as error:
        raise ValueError("Use yes or no.") from error


_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "alt_text": lambda text: text,
    "caption": lambda text: text,
    "tags": lambda text: list(clean_tags(text)),
    "decorative": _yes,
}


def changes_of(line: TextLine, row: Mapping[str, Any]) -> dict[str, Any]:
    """Columns and their new values, where the line says other than the picture has. An empty cell clears. Raises FormError."""
    here = cells_of(row)
    sent, errors = {}, dict[str, str]()
    for name, text in line.cells.items():
        if text.strip() == here[name].strip():
            continue  # also tags with a comma inside, which a cell cannot tell from two
        try:
            sent[name] = _READ[name](text)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise FormError(errors)
    return {name: value for name, value in read_metadata(sent).items() if value != row[name]}


def in_words(changes: Mapping[str, Any]) -> dict[str, str]:
    """New values as cells say them."""
    empty = {"alt_text": None, "decorative": False, "caption": None, "tags": []}
    said = cells_of(empty | dict(changes))
    return {name: said[name] for name in changes}
