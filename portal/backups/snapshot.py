"""The rows of one moment as manifests in spool files, and what objects they need. PostgreSQL writes the lines; however many, a
piece of them is in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from portal import database, settings
from portal.backups import layout, rows
from portal.backups.root import Member
from portal.backups.spool import Spool
from portal.jobs.progress import Report

WANTED: Final = "wanted.jsonl"  # of each type, beside its manifests: its objects.jsonl, if none of them is lost
_PIECE: Final = 1024 * 1024
# No sign stands in JSON as it is that would have to be quoted, so nothing is.
_AS_IT_IS: Final = {"format": "csv", "delimiter": "\x02", "quote": "\x01"}
_SORTED_IN_MEMORY: Final = "SET LOCAL work_mem = '64MB'"


@dataclass(slots=True)
class Snapshot:
    """`begun_at`: the moment. `manifests`: by the names that the backup has for them; the lists of objects come later."""

    folder: Path
    entity_types: Sequence[str]
    begun_at: datetime
    manifests: dict[str, Member] = field(default_factory=dict)
    objects: int = 0

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
            wanted = await _spool(taken, f"{entity_type}/{WANTED}", report, connection, rows.OBJECTS, entity_type)
            taken.objects += wanted.lines or 0
        for name, select in ((layout.SIZES, rows.SIZES), (layout.AUDIT, rows.AUDIT)):
            taken.manifests[name] = await _spool(taken, name, report, connection, select)
    return taken


async def _spool(taken: Snapshot, name: str, report: Report, connection: Any, select: str, *values: str) -> Member:
    """What is spooled while PostgreSQL makes the next piece has left the memory before that one comes."""
    with Spool(taken.folder / name) as spool:
        pieces = bytearray()

        async def take(piece: bytes) -> None:
            pieces.extend(piece)
            if len(pieces) >= _PIECE:
                await asyncio.to_thread(spool.add, pieces)
                pieces.clear()
                await report(len(taken.manifests), None)

        await connection.copy_from_query(select, *values, output=take, **_AS_IT_IS)
        await asyncio.to_thread(spool.add, pieces)
    await report(len(taken.manifests) + 1, None)
    return spool.member


def chosen(entity_types: Sequence[str]) -> tuple[str, ...]:
    """In our order, each once. Raises ValueError for what is no entity type, or none at all."""
    found = tuple(each for each in settings.ENTITY_TYPES if each in entity_types)
    if not found or len(found) != len(set(entity_types)):
        raise ValueError(f"not entity types: {entity_types!r}")
    return found
