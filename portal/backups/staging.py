"""Rows of a backup in temporary tables (`staged_…`), checked as what comes from outside is. Nothing live is touched.

They are those of one connection, so nobody else sees them, a drill beside a restore neither, and a kill leaves nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from portal import database
from portal.backups import layout, rows
from portal.backups.destination import Destination
from portal.backups.incoming import OWNER, check_line, unknown_columns
from portal.backups.lines import Line, read_sound_lines
from portal.backups.root import Damaged, Foreign, Root
from portal.backups.selection import Selection
from portal.backups.upgrades import STEPS, upgrade_from
from portal.errors import NotFound

Transact = Callable[[], Any]
TABLES: Final = {
    layout.ENTITIES: "staged_entity",
    layout.LINES: "staged_line",
    layout.IMAGES: "staged_image",
    layout.VERSIONS: "staged_version",
    layout.PINS: "staged_pin",
    layout.PINNED: "staged_pinned",
    layout.EMBED_KEYS: "staged_key",
}
# Pictures first: one that was asked for tells its entity.
_ORDER: Final = sorted(rows.OF_TYPE, key=lambda kind: kind.manifest != layout.IMAGES)
_OWNER_TYPE: Final = "NULL::varchar(64)"
_COLUMN_DEFAULTS: Final = """
    SELECT attname AS name, pg_get_expr(adbin, adrelid) AS value FROM pg_attribute JOIN pg_attrdef
    ON adrelid = attrelid AND adnum = attnum WHERE attrelid = $1::regclass AND attname = ANY($2::text[]) AND attgenerated = ''
"""
UNIQUE: Final = (
    (layout.ENTITIES, "type, id"),
    (layout.IMAGES, "id"),
    (layout.VERSIONS, "image, version"),
    (layout.EMBED_KEYS, "id"),
    (layout.EMBED_KEYS, "key_hash"),
    (layout.LINES, "of_type, invoice, position"),
    (layout.PINS, "of_type, invoice"),
    (layout.PINNED, "of_type, invoice, position"),
)
# What no other line bears out: the manifest, and the statement that finds an example.
_NO_ENTITY: Final = "NOT EXISTS (SELECT FROM staged_entity AS e WHERE e.type = of_type AND e.id = {0})"
_DANGLING: Final = (
    (layout.IMAGES, f"SELECT entity AS name FROM staged_image WHERE {_NO_ENTITY.format('entity')}"),  # noqa: S608 - constants
    (layout.LINES, f"SELECT invoice AS name FROM staged_line WHERE {_NO_ENTITY.format('invoice')}"),  # noqa: S608 - constants
    (layout.PINS, f"SELECT invoice AS name FROM staged_pin WHERE {_NO_ENTITY.format('invoice')}"),  # noqa: S608 - constants
    (
        layout.PINNED,
        """SELECT s.invoice AS name FROM staged_pinned AS s
           WHERE NOT EXISTS (SELECT FROM staged_pin AS p WHERE p.invoice = s.invoice)""",
    ),
    (
        layout.VERSIONS,
        """SELECT v.image AS name FROM staged_version AS v LEFT JOIN staged_image AS i ON i.id = v.image
           WHERE i.id IS NULL OR i.version <= v.version""",
    ),
    (
        layout.IMAGES,
        "SELECT entity AS name FROM staged_image WHERE is_primary GROUP BY of_type, entity HAVING count(*) > 1",
    ),
)


@dataclass(slots=True)
class Staged:
    """How many rows were staged, by manifest; `owner` of the one picture that was selected."""

    counts: dict[str, int] = field(default_factory=dict)
    owner: str | None = None


async def stage(
    destination: Destination, root: Root, selection: Selection, steps: Any = STEPS, *, transact: Transact
) -> Staged:
    """Raises Damaged, Foreign with the manifest's name and the line, NotFound for what the backup does not hold."""
    types, upgrade = selection.types_of(root), upgrade_from(root.schema, steps)
    staged = Staged()
    async with transact():
        for kind in _ORDER:
            await _make_table(kind)
        await database.execute("CREATE TEMP TABLE staged_lost (entity_type text, sha256 text)")
    for entity_type in types:
        for kind in _ORDER:
            reading = _Reading(destination, root, entity_type, kind.manifest, upgrade)
            async for chunk in reading.lines():
                taken = [line for line in chunk if selection.takes(kind.manifest, line, staged.owner)]
                await _insert(kind.manifest, entity_type, taken, staged, transact)
                if taken and selection.image_id is not None and kind.manifest == layout.IMAGES:
                    staged.owner = taken[0]["entity"]
        if root.lost:
            await _stage_lost(destination, root, entity_type, transact)
        if staged.owner is not None:
            break
    _refuse_nothing(selection, staged)
    await _settle(root, selection, transact)
    return staged


async def _make_table(kind: rows.Rows) -> None:
    """As the live table, with the owner by its id; and one row of the defaults, for lines that do not say all."""
    table = TABLES[kind.manifest]
    owner = f", {_OWNER_TYPE} AS {OWNER[kind.manifest]}" if kind.manifest in OWNER else ""
    columns = ", ".join(kind.columns)
    await database.execute(
        f"CREATE TEMP TABLE {table} AS SELECT {columns}{owner}, NULL::text AS of_type FROM {kind.table} WITH NO DATA"  # noqa: S608 - constants
    )
    defaults = await database.fetch(_COLUMN_DEFAULTS, kind.table, list(kind.columns))
    for each in defaults:
        await database.execute(f"ALTER TABLE {table} ALTER COLUMN {each['name']} SET DEFAULT {each['value']}")
    await database.execute(f"INSERT INTO {table} DEFAULT VALUES")
    await database.execute(f"CREATE TEMP TABLE default_{table} AS TABLE {table}")
    await database.execute(f"TRUNCATE {table}")


class _Reading:
    """The lines of one manifest, brought up to date and checked."""

    def __init__(self, destination: Destination, root: Root, entity_type: str, manifest: str, upgrade: Any) -> None:
        name = f"{entity_type}/{manifest}"
        self.key, self._member = f"{layout.folder_of(root.id)}/{name}", root.members.get(name)
        self._destination, self._type, self._manifest, self._upgrade = destination, entity_type, manifest, upgrade
        self._number = 0

    async def lines(self) -> AsyncIterator[list[Line]]:
        if self._member is None:
            raise Damaged(f"{self.key} is missing from the root of this backup.")
        async for chunk in read_sound_lines(self._destination, self.key, self._member):
            yield await asyncio.to_thread(self._checked, chunk)

    def _checked(self, chunk: list[Line]) -> list[Line]:
        return [self._check(self._upgrade(self._manifest, line)) for line in chunk]

    def _check(self, line: Line) -> Line:
        self._number += 1
        where = f"{self.key}, line {self._number}"
        if unknown := unknown_columns(self._manifest, line):
            raise Foreign(f"{where}: this portal knows nothing of “{unknown[0][:60]}”.")
        if said := check_line(self._manifest, self._type, line):
            raise Foreign(f"{where}: {said}.")
        return line


async def _insert(manifest: str, entity_type: str, lines: list[Line], staged: Staged, transact: Transact) -> None:
    if not lines:
        return
    table = TABLES[manifest]
    text = await asyncio.to_thread(lambda: json.dumps([line | {"of_type": entity_type} for line in lines]))
    async with transact():
        await database.execute(
            f"""INSERT INTO {table} SELECT made.* FROM default_{table} AS base CROSS JOIN jsonb_array_elements($1::jsonb) AS line
                CROSS JOIN LATERAL jsonb_populate_record(base, line) AS made""",  # noqa: S608 - constants
            text,
        )
    staged.counts[manifest] = staged.counts.get(manifest, 0) + len(lines)


async def _stage_lost(destination: Destination, root: Root, entity_type: str, transact: Transact) -> None:
    """Objects that the store did not have any more when the backup was made."""
    name = f"{entity_type}/{layout.OBJECT_LIST}"
    key = f"{layout.folder_of(root.id)}/{name}"
    if (member := root.members.get(name)) is None:
        raise Damaged(f"{key} is missing from the root of this backup.")
    async for chunk in read_sound_lines(destination, key, member):
        lost = [str(line["sha256"]) for line in chunk if line.get("lost") and "sha256" in line]
        if lost:
            async with transact():
                await database.execute("INSERT INTO staged_lost SELECT $1, unnest($2::text[])", entity_type, lost)


def _refuse_nothing(selection: Selection, staged: Staged) -> None:
    if selection.entity is not None and not staged.counts.get(layout.ENTITIES):
        raise NotFound(f"This backup does not hold {selection.entity}.")
    if selection.image_id is not None and not staged.counts.get(layout.IMAGES):
        raise NotFound("This backup does not hold a picture with this id.")


async def _settle(root: Root, selection: Selection, transact: Transact) -> None:
    """Find rows that contradict each other, and leave out what nothing can bring back."""
    async with transact():
        if selection.entity is not None:
            await database.execute(
                "DELETE FROM staged_version AS v WHERE NOT EXISTS (SELECT FROM staged_image AS i WHERE i.id = v.image)"
            )
        for manifest, columns in UNIQUE:
            await database.execute(f"CREATE INDEX ON {TABLES[manifest]} ({columns})")
            await database.execute(f"ANALYZE {TABLES[manifest]}")
            twice = f"SELECT ({columns})::text AS name FROM {TABLES[manifest]} GROUP BY {columns} HAVING count(*) > 1"  # noqa: S608 - constants
            await _refuse(root, manifest, twice, "names this twice")
        await database.execute("CREATE INDEX ON staged_image (of_type, entity)")
        for manifest, dangling in _DANGLING:
            await _refuse(root, manifest, dangling, "does not fit the other manifests")
        for statement in _LEAVE_OUT_LOST:
            await database.execute(statement)


async def _refuse(root: Root, manifest: str, statement: str, words: str) -> None:
    row = await database.fetch_row(f"{statement} LIMIT 1")
    if row is not None:
        raise Foreign(f"{layout.folder_of(root.id)}/…/{manifest} {words}: {row['name']}.")


_IS_LOST: Final = (
    "EXISTS (SELECT FROM staged_lost WHERE staged_lost.entity_type = of_type AND staged_lost.sha256 = {0}.sha256)"
)
_HAS_LOST: Final = """EXISTS (SELECT FROM jsonb_each({0}.renditions -> 'items') AS item
    JOIN staged_lost ON staged_lost.sha256 = item.value ->> 'sha256')"""
_LEAVE_OUT_LOST: Final = (
    f"CREATE TEMP TABLE left_out AS SELECT id, of_type, entity FROM staged_image WHERE {_IS_LOST.format('staged_image')}",  # noqa: S608 - constants
    "DELETE FROM staged_image USING left_out WHERE staged_image.id = left_out.id",
    f"DELETE FROM staged_version WHERE {_IS_LOST.format('staged_version')} OR image IN (SELECT id FROM left_out)",  # noqa: S608 - constants
    f"UPDATE staged_version SET renditions = '{{}}' WHERE {_HAS_LOST.format('staged_version')}",  # noqa: S608 - constants
    # rendered anew, under another name: what lies under the old one is known to nobody
    f"""UPDATE staged_image SET renditions = '{{}}', rendering = rendering + 1, status = 'pending', error = NULL
        WHERE {_HAS_LOST.format("staged_image")}""",  # noqa: S608 - constants
    f"""CREATE TEMP TABLE pin_lost AS SELECT DISTINCT invoice FROM staged_pinned
        WHERE {_HAS_LOST.format("staged_pinned")} OR image IN (SELECT id FROM left_out)""",  # noqa: S608 - constants
)
