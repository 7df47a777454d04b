"""The rows of one moment as manifests in spool files, and what objects they need. However many, some lines are in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from portal import database, settings
from portal.backups import layout, rows
from portal.backups.root import Member
from portal.backups.spool import Spool
from portal.jobs.progress import Report
from portal.storage.keys import original_key, rendition_key

AT_ONCE: Final = 1000
WANTED: Final = "wanted.tsv"  # of each type, beside its manifests: SHA-256, bytes, key
_SORTED_IN_MEMORY: Final = "SET LOCAL work_mem = '64MB'"


@dataclass(slots=True)
class Snapshot:
    """`begun_at`: the moment. `manifests`: by the names that the backup has for them; the lists of objects come later."""

    folder: Path
    entity_types: Sequence[str]
    begun_at: datetime
    manifests: dict[str, Member] = field(default_factory=dict)
    objects: int = 0
    bytes: int = 0

    def lines(self, manifest: str) -> int:
        held = (self.manifests.get(f"{entity_type}/{manifest}") for entity_type in self.entity_types)
        return sum(each.lines or 0 for each in held if each is not None)


async def take_snapshot(folder: Path, entity_types: Sequence[str], report: Report) -> Snapshot:
    """Of these types, in spool files below `folder`. Raises Unavailable, DiskFull."""
    async with database.snapshot() as connection:
        taken = Snapshot(folder, entity_types, await connection.fetchval("SELECT now()"))
        await connection.execute(_SORTED_IN_MEMORY)
        for entity_type in entity_types:
            for kind in rows.OF_TYPE:
                name = f"{entity_type}/{kind.manifest}"
                taken.manifests[name] = await _spool(taken, name, report, connection, kind.select, entity_type)
            await _spool_wanted(taken, entity_type, report, connection)
        for name, select in ((layout.SIZES, rows.SIZES), (layout.AUDIT, rows.AUDIT)):
            taken.manifests[name] = await _spool(taken, name, report, connection, select)
    return taken


async def _spool(taken: Snapshot, name: str, report: Report, connection: Any, select: str, *values: str) -> Member:
    with Spool(taken.folder / name) as spool:
        async with aclosing(_batches(connection, select, *values)) as batches:
            async for found in batches:
                await asyncio.to_thread(_add, spool, found, _line)
                await report(len(taken.manifests), None)
    await report(len(taken.manifests) + 1, None)
    return spool.member


async def _spool_wanted(taken: Snapshot, entity_type: str, report: Report, connection: Any) -> None:
    def wanted(row: Any) -> str:
        taken.bytes += row["bytes"]
        return f"{row['sha256']}\t{row['bytes']}\t{_key(entity_type, row)}"

    with Spool(taken.folder / entity_type / WANTED) as spool:
        async with aclosing(_batches(connection, rows.OBJECTS, entity_type)) as batches:
            async for found in batches:
                taken.objects += len(found)
                await asyncio.to_thread(_add, spool, found, wanted)
                await report(len(taken.manifests), None)


def _key(entity_type: str, row: Any) -> str:
    if row["name"] is None:
        return original_key(entity_type, row["id"], row["version"], row["extension"])
    return rendition_key(entity_type, row["id"], row["version"], row["rendering"], row["name"])


def _line(row: Any) -> str:
    return row[0]


def _add(spool: Spool, found: Sequence[Any], text: Callable[[Any], str]) -> None:
    spool.add(map(text, found))


async def _batches(connection: Any, select: str, *values: str) -> AsyncGenerator[list[Any]]:
    """By a cursor of the server's, so that neither side holds them all; while one is written, the next one is on its way."""
    cursor = await connection.cursor(select, *values)
    ahead = asyncio.create_task(cursor.fetch(AT_ONCE))
    try:
        while found := await ahead:
            ahead = asyncio.create_task(cursor.fetch(AT_ONCE))
            yield found
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


def chosen(entity_types: Sequence[str]) -> tuple[str, ...]:
    """In our order, each once. Raises ValueError for what is no entity type, or none at all."""
    found = tuple(each for each in settings.ENTITY_TYPES if each in entity_types)
    if not found or len(found) != len(set(entity_types)):
        raise ValueError(f"not entity types: {entity_types!r}")
    return found
