"""A portal of its own for as long as a drill needs it: a schema beside the live tables, a folder beside the live pictures.

Both carry one name, and the schema a comment, by which what a killed drill left is known for its own and removed by the
next one, and by no other. Nothing of the live portal is read or written inside; notices of its rows only have caches look again.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from portal import database
from portal.errors import Conflict
from portal.jobs import queue
from portal.settings import Settings
from portal.storage.store import Store

FOLDER: Final = "drill"
COMMENT: Final = "Scratch of a drill of the image portal: may be dropped while no drill runs."
PATIENCE: Final = 600.0  # seconds for dropping large tables
_NAME: Final = re.compile(r"drill_[0-9]{8}t[0-9]{6}z_[0-9a-f]{6}", re.ASCII)
_LEFT: Final = """
    SELECT nspname FROM pg_namespace WHERE nspname LIKE 'drill\\_%' AND obj_description(oid, 'pg_namespace') = $1
"""


@dataclass(frozen=True, slots=True)
class Scratch:
    """`settings` are those of the portal, but for where pictures lie."""

    name: str
    settings: Settings
    store: Store


def home_of(settings: Settings) -> Path:
    """Beside the pictures' folder, never in it: what lies there is somebody's."""
    return settings.data_dir / FOLDER


@contextlib.asynccontextmanager
async def scratch_portal(settings: Settings) -> AsyncIterator[Scratch]:
    """An empty portal; inside, the database is its own (`database.elsewhere`). To be entered with the turn DRILL in hand.

    Raises Conflict where the database's user may not make a schema, Unavailable, DiskFull.
    """
    await remove_leftovers(settings)
    name = f"drill_{datetime.now(UTC):%Y%m%dt%H%M%Sz}_{secrets.token_hex(3)}"
    folder = home_of(settings) / name
    try:
        await _make_schema(name)
        async with database.elsewhere(name):
            await queue.migrate()
            own = settings.replace(storage_dir=folder)
            store = Store(folder, what="the scratch of a drill")
            await store.open_root()
            yield Scratch(name, own, store)
    finally:
        await asyncio.shield(_remove(name, folder))


async def remove_leftovers(settings: Settings) -> int:
    """What killed drills left; how many. Only with the turn DRILL in hand: another one's scratch looks no other."""
    schemas = {row["nspname"] for row in await database.fetch(_LEFT, COMMENT) if _NAME.fullmatch(row["nspname"])}
    folders = await asyncio.to_thread(_folders, home_of(settings))
    for name in schemas | folders:
        await _remove(name, home_of(settings) / name, has_schema=name in schemas)
    return len(schemas | folders)


def _folders(home: Path) -> set[str]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return {each.name for each in home.iterdir() if _NAME.fullmatch(each.name) and not each.is_symlink()}
    return set()


async def _make_schema(name: str) -> None:
    """Raises Conflict."""
    if not await database.fetch_value("SELECT has_database_privilege(current_database(), 'CREATE')"):
        raise Conflict(
            "The portal's database user may not make a schema for the drill. Let the database's owner run:"
            " GRANT CREATE ON DATABASE … TO …"
        )
    async with database.transaction():
        await database.execute(f'CREATE SCHEMA "{name}"')
        await database.execute(f"COMMENT ON SCHEMA \"{name}\" IS '{COMMENT}'")


async def _remove(name: str, folder: Path, *, has_schema: bool = True) -> None:
    """The schema last: as long as it is there, so may be the folder."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"no scratch of a drill: {name!r}")
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await asyncio.to_thread(_remove_if_empty, folder.parent)
    if has_schema:
        with database.patience(PATIENCE):
            await database.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


def _remove_if_empty(home: Path) -> None:
    with contextlib.suppress(OSError):
        home.rmdir()
