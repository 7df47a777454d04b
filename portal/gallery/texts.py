"""Texts of many pictures at once: written out line by line, and laid over what is there after a look at what would change."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.queries import last_line, times_of_request
from portal.audit.service import request_id
from portal.entities.import_files import check_encoding
from portal.entities.imports import LineError, sentence
from portal.entities.kinds import KINDS, is_entity_id
from portal.errors import FormError, PortalError, Stale
from portal.gallery.service import change_image
from portal.gallery.text_files import TextLine, cells_of, changes_of, exported, in_words, read_lines
from portal.jobs.progress import JobReport, Report, no_report

AT_ONCE: Final = 200
ENTITIES_AT_ONCE: Final = 500
PICTURES_AT_ONCE: Final = 1000
MOST_EXAMPLES: Final = 50
MOST_ERRORS: Final = 1000
MOST_TOLD: Final = 100  # errors that are kept with a job
_NUMBERS: Final = ("lines", "changed", "unchanged", "refused")
_SHOWN: Final = """
    SELECT i.id AS image_id, i.entity, i.sort_order, e.type, e.id, e.name, i.filename, i.alt_text, i.decorative, i.caption,
           i.tags, i.revision
    FROM image i JOIN entity e ON e.pk = i.entity
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pictures: of a type, of one entity of it, only those that want an alt text. Never those in the trash."""

    type: str = ""
    id: str = ""
    is_unsaid: bool = False

    def __post_init__(self) -> None:
        """Raises FormError."""
        if self.type and self.type not in KINDS:
            raise FormError({"type": f"Use one of {', '.join(KINDS)}."})
        if self.id and not is_entity_id(self.id):
            raise FormError({"id": "This cannot be anything's id."})


async def texts_of(wanted: Wanted) -> AsyncIterator[list[str | int]]:
    """Lines of text_files.COLUMNS, gallery by gallery in their order. A million go by in bounded memory."""
    last = 0
    while galleries := await _galleries(wanted, last):
        last = galleries[-1]
        after = (0, -1)
        while rows := await _pictures(wanted, galleries, after):
            for row in rows:
                yield exported(row)
            after = (rows[-1]["entity"], rows[-1]["sort_order"])


async def _galleries(wanted: Wanted, last: int) -> list[int]:
    """Of those that have such a picture the next ones."""
    rows = await database.fetch(
        f"""SELECT e.pk FROM entity e JOIN entity_tally t ON t.entity = e.pk
            WHERE e.pk > $1 AND ($2 = '' OR e.type = $2) AND ($3 = '' OR e.id = $3)
              AND {"t.unsaid" if wanted.is_unsaid else "t.images"} > 0
            ORDER BY e.pk LIMIT $4""",  # noqa: S608 - one of two constants
        last,
        wanted.type,
        wanted.id,
        ENTITIES_AT_ONCE,
    )
    return [row["pk"] for row in rows]


async def _pictures(wanted: Wanted, galleries: Sequence[int], after: tuple[int, int]) -> list[Any]:
    unsaid = "AND i.alt_text IS NULL AND NOT i.decorative" if wanted.is_unsaid else ""
    return await database.fetch(
        f"""{_SHOWN} WHERE i.entity = ANY($1::bigint[]) AND i.trashed_at IS NULL {unsaid}
              AND (i.entity, i.sort_order) > ($2, $3)
            ORDER BY i.entity, i.sort_order LIMIT $4""",
        list(galleries),
        *after,
        PICTURES_AT_ONCE,
    )


@dataclass(frozen=True, slots=True)
class Change:
    """What a line would change of a picture: by field, what it says and what it would say."""

    line: int
    image_id: UUID
    title: str
    owner: str
    type: str
    id: str
    before: Mapping[str, str]
    after: Mapping[str, str]


@dataclass(slots=True)
class TextReport:
    """`changes` stop at 50, `errors` at 1000; the numbers count all. `is_over`: of the whole file."""

    lines: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    changes: list[Change] = field(default_factory=list[Change])
    errors: list[LineError] = field(default_factory=list[LineError])
    is_over: bool = False

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> TextReport:
        """As a run that was killed has left it; empty for the first one."""
        return cls(
            **{name: kept.get(name, 0) for name in _NUMBERS},
            errors=[LineError(*each) for each in kept.get("errors", ())],
            is_over=kept.get("is_over", False),
        )

    def told(self) -> dict[str, Any]:
        """For a job's row."""
        errors = [[error.line, error.message] for error in self.errors[:MOST_TOLD]]
        return {name: getattr(self, name) for name in _NUMBERS} | {"errors": errors}

    def refuse(self, line: int, error: Exception) -> None:
        self.refused += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(LineError(line, sentence(error)))


async def import_texts(
    file: BinaryIO,
    *,
    actor: Actor,
    dry_run: bool = False,
    report: Report = no_report,
    total: int | None = None,
    job: JobReport | None = None,
) -> TextReport:
    """Each good line is applied whole; bad ones are named. What a file has no column for stays; an empty cell clears.

    A line with the `revision` of its export is refused where the picture was changed since. May be run again: what is said
    already is left alone. A `job` that was killed goes on where it was, and tells of all that it did. Raises FormError for a
    file that cannot be read at all.
    """
    await asyncio.to_thread(check_encoding, file)
    kept = {} if job is None else await job.kept()
    lines, told = read_lines(file), TextReport.of(kept)
    await asyncio.to_thread(lambda: next(itertools.islice(lines, told.lines, told.lines), None))
    is_first = True
    while chunk := await asyncio.to_thread(lambda: list(itertools.islice(lines, AT_ONCE))):
        ids = [line.image_id for line in chunk if line.image_id is not None]
        rows = await _rows_of(ids)
        done = await _done_before(ids, kept.get("after", 0)) if job and is_first else {}
        for line in chunk:
            told.lines += 1
            await asyncio.sleep(0)  # others are served between two lines, however long these are
            try:
                await _lay(line, rows, done, actor, told, dry_run=dry_run)
            except (PortalError, ValueError) as error:
                told.refuse(line.number, error)
        is_first = False
        if job is not None:
            await job.keep(told.told() | {"after": await last_line()})
        await (job or report)(told.lines, total)
    told.is_over = True
    if job is not None:
        await job.keep(told.told() | {"is_over": True})
    return told


async def _done_before(ids: Sequence[UUID], after: int) -> dict[UUID, int]:
    """What this very job has changed beyond what it has kept: how often, by picture."""
    done = await times_of_request(request_id.get(), "image.describe", "image", [str(each) for each in ids], after)
    return {UUID(each): times for each, times in done.items()}


async def _rows_of(ids: Sequence[UUID]) -> dict[UUID | None, Any]:
    rows = await database.fetch(f"{_SHOWN} WHERE i.id = ANY($1::uuid[])", list(ids))
    return {row["image_id"]: row for row in rows}


async def _lay(
    line: TextLine,
    rows: dict[UUID | None, Any],
    done: dict[UUID, int],
    actor: Actor,
    told: TextReport,
    *,
    dry_run: bool,
) -> None:
    """Raises what is wrong with the line. `rows` then say what it has said."""
    if line.problem:
        raise ValueError(line.problem)
    row = rows.get(line.image_id)
    if row is None:
        raise ValueError("There is no picture with this id (any more).")
    image_id: UUID = row["image_id"]
    changes = changes_of(line, row)
    if done.get(image_id):
        done[image_id] -= 1  # what somebody has written since then stays
        told.changed += 1
        return
    if not changes:
        told.unchanged += 1
        return
    if line.revision is not None and line.revision != row["revision"]:
        raise Stale("This picture was changed since the export. Export it again, or leave its revision empty.")
    if not dry_run:
        await change_image(image_id, dict(changes), actor=actor, revision=row["revision"])
    rows[image_id] = {**row, **changes, "revision": row["revision"] + 1}
    told.changed += 1
    if len(told.changes) < MOST_EXAMPLES:
        told.changes.append(_change(line, row, changes))


def _change(line: TextLine, row: Any, changes: Mapping[str, Any]) -> Change:
    before = cells_of(row)
    owner = (row["name"], row["type"], row["id"])
    return Change(
        line.number,
        row["image_id"],
        row["filename"],
        *owner,
        {name: before[name] for name in changes},
        in_words(changes),
    )
