"""A plain folder of pictures that any other system understands, out and in; `folder_names` says what lies where.

Out go entities and the originals of their galleries, with all that is said of them: not the trash, older versions, renditions.
In comes such a folder, or what another system gives: folders of pictures alone, or one CSV with a path and an entity a line.
Every picture is verified as an upload is. What its gallery has already is left alone, so that an import may be run again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.backups import folder_rows
from portal.backups.folder_in import FolderIn, Offered, shown
from portal.backups.folder_out import FolderOut
from portal.backups.folder_taking import STOPS, Taker, in_lanes, make_entity, take_picture
from portal.entities.import_files import read_rows
from portal.entities.imports import ImportReport, import_rows, sentence
from portal.entities.kinds import EntityRef
from portal.errors import Gone, NoSuchEntity, PortalError
from portal.imaging.pool import RenderPool
from portal.jobs.alone import IMPORT, RESTORE, alone, refuse_while_running
from portal.jobs.progress import Report, no_report
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.keys import original_key
from portal.storage.store import Store

AT_ONCE: Final = 500  # rows
MOST_TOLD: Final = 1000


@dataclass(frozen=True, slots=True)
class LostOriginal:
    path: str
    image_id: UUID
    reason: str


@dataclass(slots=True)
class FolderExport:
    """`lost` names at most 1000 originals that could not be exported; `lost_in_all` counts them."""

    folder: str
    entities: int = 0
    pictures: int = 0
    bytes: int = 0
    lost_in_all: int = 0
    lost: list[LostOriginal] = field(default_factory=list[LostOriginal])

    def as_result(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Refusal:
    """`where`: a line of a CSV (then `line` is its number), or a path."""

    where: str
    line: int
    path: str
    reason: str


@dataclass(slots=True)
class FolderImport:
    """`there`: pictures that their galleries had already. `refusals` stop at 1000; `refused` counts every one.

    `entities` is what came of the file of entities; `made`: entities that only their pictures named. `ignored`: columns
    of the CSV that say nothing to the portal.
    """

    dry_run: bool
    added: int = 0
    there: int = 0
    refused: int = 0
    made: int = 0
    entities: ImportReport = field(default_factory=ImportReport)
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    ignored: tuple[str, ...] = ()

    def refuse(self, row: Offered, reason: str) -> None:
        self.refused += 1
        if len(self.refusals) < MOST_TOLD:
            self.refusals.append(Refusal(row.where, row.line, shown(row.path), reason))

    def as_result(self) -> dict[str, Any]:
        return asdict(self)


async def export_folder(
    *,
    store: Store,
    folder: Path,
    entity_types: Sequence[str] = ENTITY_TYPES,
    entity: EntityRef | None = None,
    actor: Actor,
    report: Report = no_report,
) -> FolderExport:
    """Of one moment, however long it takes; `report` counts pictures.

    Raises Conflict for a folder that is not empty, NoSuchEntity, DiskFull, Unavailable. What was lost is in the result.
    """
    told = FolderExport(str(folder))
    scope = ([entity.type], entity.id) if entity else (list(entity_types), None)
    async with database.transaction():
        await database.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if entity and not await database.fetch_row(
            "SELECT 1 FROM entity WHERE type = $1 AND id = $2", entity.type, entity.id
        ):
            raise NoSuchEntity(f"There is no {entity}.")
        total = await database.fetch_row(folder_rows.SUM, *scope)
        assert total is not None
        with await asyncio.to_thread(FolderOut, folder, store, total["bytes"]) as out:
            async for rows in _rows(folder_rows.ENTITIES, *scope):
                await asyncio.to_thread(out.add_entities, [folder_rows.entity_line(row) for row in rows])
                told.entities += len(rows)
            async for rows in _rows(folder_rows.PICTURES, *scope):
                for row in rows:
                    await _export(out, row, told)
                    await report(told.pictures + told.lost_in_all, total["pictures"])
            await asyncio.to_thread(out.finish)
    await _forget_deleted(told)
    after = {"pictures": told.pictures, "bytes": told.bytes, "lost": told.lost_in_all}
    async with database.transaction():
        await record(actor, "folder.export", "folder", folder.name, after=after)
    return told


async def _rows(sql: str, *arguments: Any) -> AsyncIterator[list[Any]]:
    cursor = await database.connection_of_transaction().cursor(sql, *arguments)
    while rows := await cursor.fetch(AT_ONCE):
        yield rows


async def _export(out: FolderOut, row: Any, told: FolderExport) -> None:
    said = folder_rows.picture_line(row)
    key = original_key(row["type"], row["id"], row["version"], row["extension"])
    try:
        await asyncio.to_thread(out.add_picture, key, said)
    except Gone as error:
        told.lost_in_all += 1
        if len(told.lost) < MOST_TOLD:
            told.lost.append(LostOriginal(said["path"], row["id"], error.message))
        return
    told.pictures += 1
    told.bytes += row["bytes"]


async def _forget_deleted(told: FolderExport) -> None:
    """What was deleted for good while we copied is not lost."""
    rows = await database.fetch(
        "SELECT id FROM image WHERE id = ANY($1::uuid[])", [each.image_id for each in told.lost]
    )
    there = {row["id"] for row in rows}
    deleted = [each for each in told.lost if each.image_id not in there]
    told.lost = [each for each in told.lost if each.image_id in there]
    told.lost_in_all -= len(deleted)


async def import_folder(
    *,
    settings: Settings,
    store: Store,
    pool: RenderPool,
    folder: Path,
    dry_run: bool,
    actor: Actor,
    report: Report = no_report,
) -> FolderImport:
    """What cannot be taken is named in the result and holds up no other; `report` counts pictures.

    Raises Conflict for what is no folder, FormError for a CSV that cannot be read at all, Running; DiskFull, Unavailable and
    Busy where the portal cannot go on: run it again then.
    """
    async with alone(IMPORT), contextlib.AsyncExitStack() as stack:
        source = stack.enter_context(await asyncio.to_thread(FolderIn, folder))
        told = FolderImport(dry_run)
        taker = Taker(settings, store, pool, source, actor, dry_run)
        total = await asyncio.to_thread(lambda: sum(1 for _ in source.offered()))
        told.ignored = source.ignored
        await _import_entities(taker, told)
        await in_lanes(_offered(source), settings.workers, lambda row: _import(taker, row, told, total, report))
        told.refusals.sort(key=lambda refusal: (refusal.line, refusal.where))
        if not dry_run:
            async with database.transaction():
                after = {"added": told.added, "there": told.there, "refused": told.refused}
                await record(actor, "folder.import", "folder", folder.name, after=after)
        return told


async def _import_entities(taker: Taker, told: FolderImport) -> None:
    found = await asyncio.to_thread(taker.source.entities)
    if found is None:
        return
    file, kind = found
    with file:
        told.entities = await import_rows(file, kind, taker.actor, dry_run=taker.dry_run)
        if taker.dry_run:
            file.seek(0)
            taker.would_be.update(await asyncio.to_thread(_named, file, kind))


def _named(file: Any, kind: Any) -> set[int]:
    said = ((row.data or {}).get(name) for row in read_rows(file, kind) for name in ("type", "id"))
    pairs = zip(said, said, strict=True)
    return {hash(EntityRef(type, id)) for type, id in pairs if isinstance(type, str) and isinstance(id, str)}


async def _offered(source: FolderIn) -> AsyncIterator[Offered]:
    rows = source.offered()
    while chunk := await asyncio.to_thread(lambda: list(islice(rows, AT_ONCE))):
        await refuse_while_running(RESTORE)
        for row in chunk:
            yield row


async def _import(taker: Taker, row: Offered, told: FolderImport, total: int, report: Report) -> None:
    try:
        is_made = await make_entity(taker, row)  # awaited first: others add to the same figures meanwhile
        told.made += is_made
        taken = await take_picture(taker, row)
    except STOPS:
        raise
    except PortalError as error:
        told.refuse(row, sentence(error))
    else:
        setattr(told, taken, getattr(told, taken) + 1)
    await report(told.added + told.there + told.refused, total)
