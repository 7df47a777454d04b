"""Many entities out of one file: CSV with a header, or JSON lines. Each good row is applied whole; bad ones are named by line.

A row says only what its columns say: what the file does not mention stays as it is; an empty cell (or null) clears.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from portal import database
from portal.audit.actors import Actor
from portal.entities.forms import INVOICE_FIELDS, entity_as_json, parse_entity
from portal.entities.import_files import ATTRIBUTE_CELLS, ImportKind, Row, check_encoding, read_rows
from portal.entities.kinds import EntityRef, parse_ref
from portal.entities.queries import forget_counts
from portal.entities.service import Outcome, find_entity, store_over
from portal.errors import FormError, PortalError

MOST_REPORTED: Final = 1000
ROWS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class LineError:
    """`line` counts from 1, the header included; of a row over several lines it is the first."""

    line: int
    message: str


@dataclass(slots=True)
class ImportReport:
    """`errors` and `repeated` stop at 1000 each; `refused` counts every bad row.

    `repeated` names rows whose entity stands further up in the same file: the later row won.
    """

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    errors: list[LineError] = field(default_factory=list[LineError])
    repeated: list[LineError] = field(default_factory=list[LineError])

    def refuse(self, line: int, message: str) -> None:
        self.refused += 1
        if len(self.errors) < MOST_REPORTED:
            self.errors.append(LineError(line, message))

    def count(self, outcome: Outcome) -> None:
        setattr(self, outcome, getattr(self, outcome) + 1)


class _NothingApplied(Exception):
    pass


async def import_rows(
    stream: BinaryIO | bytes, kind: ImportKind, actor: Actor, *, strict: bool = False, dry_run: bool = False
) -> ImportReport:
    """Create or change entities row by row, each in its own transaction; `strict`: all in one, nothing on any error.

    `dry_run` tells what would be, each row for itself, and takes it back.
    Raises FormError for a file that cannot be read at all: not UTF-8, no usable header.
    """
    file = io.BytesIO(stream) if isinstance(stream, bytes) else stream
    await asyncio.to_thread(check_encoding, file)
    rows = read_rows(file, kind)
    report = ImportReport()
    try:
        if not strict:
            await _apply_all(rows, actor, report, dry_run=dry_run)
            return report
        try:
            async with database.transaction():
                await _apply_all(rows, actor, report)
                if report.refused:
                    raise _NothingApplied
        except _NothingApplied:
            report.created = report.changed = report.unchanged = 0
        return report
    finally:
        forget_counts()


async def _apply_all(rows: Iterator[Row], actor: Actor, report: ImportReport, *, dry_run: bool = False) -> None:
    seen: dict[str, int] = {}
    while batch := await asyncio.to_thread(lambda: list(itertools.islice(rows, ROWS_AT_ONCE))):
        for row in batch:
            try:
                if row.data is None:
                    raise ValueError(row.problem)
                ref, fields = _split(row.data)
                with contextlib.suppress(_NothingApplied):
                    async with database.transaction():
                        report.count(await _apply(ref, fields, actor))
                        if dry_run:
                            raise _NothingApplied
            except (PortalError, ValueError) as error:
                report.refuse(row.line, sentence(error))
                continue
            before = seen.get(str(ref))
            if before is not None and len(report.repeated) < MOST_REPORTED:
                report.repeated.append(LineError(row.line, f"{ref} stands in line {before} too; this row won."))
            seen[str(ref)] = row.line


def sentence(error: Exception) -> str:
    """What is wrong with a row, fields named."""
    if isinstance(error, FormError):
        return " ".join(f"{name}: {message}" for name, message in error.errors.items())
    return error.message if isinstance(error, PortalError) else str(error)


def _split(data: dict[str, Any]) -> tuple[EntityRef, dict[str, Any]]:
    kind, id = data.get("type"), data.get("id")
    if not isinstance(kind, str) or not isinstance(id, str):
        raise ValueError("type and id: each row needs both, as text.")
    return parse_ref(kind, id), {name: value for name, value in data.items() if name not in {"type", "id"}}


async def _apply(ref: EntityRef, fields: dict[str, Any], actor: Actor) -> Outcome:
    """Lay the row over what is there, in the open transaction."""
    found = await find_entity(ref)
    named = fields.pop(ATTRIBUTE_CELLS, None)
    data = {**(entity_as_json(found[1]) if found else {}), **fields}
    if named is not None:
        data["attributes"] = _merged(data.get("attributes"), named)
    if ref.type != "invoices":  # a file for all types has these columns, empty for the others
        data = {name: value for name, value in data.items() if name not in INVOICE_FIELDS or value not in (None, [])}
    return await store_over(found, ref, parse_entity(ref, data), actor)


def _merged(attributes: Any, named: Mapping[str, str]) -> Any:
    """`attr:colour` cells over the attributes; an empty cell takes the attribute away."""
    if attributes is not None and not isinstance(attributes, dict):
        return attributes  # parse_entity says what is wrong with it
    kept = {name: value for name, value in (attributes or {}).items() if name not in named}
    return {**kept, **{name: value for name, value in named.items() if value != ""}}
