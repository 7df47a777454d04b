"""The backups that lie in a destination, by what lies there alone: a fresh portal lists them as well. Nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from portal.backups import layout
from portal.backups.destination import Destination
from portal.backups.identity import portal_id
from portal.backups.layout import BACKUPS, ROOT, folder_of, is_id, time_of_id
from portal.backups.marks import Mark, marks
from portal.backups.root import Damaged, Foreign, Root, decoded
from portal.errors import Gone, NotFound, Running
from portal.jobs.alone import BACKUP, refuse_while_running
from portal.settings import ENTITY_TYPES
from portal.storage.store import ObjectEntry

State = Literal["complete", "running", "unfinished", "damaged", "foreign"]
MOST_ROOT: Final = 1024 * 1024  # bytes; ours have some thousand
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class BackupView:
    """`message`: why it is not complete. Numbers of one that is not are 0. `verified_at`, `verified_quick` and `wrong` are of
    its last verification, None where there was none here."""

    id: str
    complete: bool
    state: State
    begun_at: datetime
    created_at: datetime | None = None
    message: str | None = None
    reason: str = ""
    entity_types: tuple[str, ...] = ()
    entities: int = 0
    images: int = 0
    versions: int = 0
    objects: int = 0
    bytes: int = 0
    copied_objects: int = 0
    copied_bytes: int = 0
    lost: int = 0
    made_by: str = ""
    portal: str = ""
    verified_at: datetime | None = None
    verified_quick: bool | None = None
    wrong: int | None = None


@dataclass(slots=True)
class Lying:
    """A backup's folder: its root and its begun.json, where they are there, and when the newest of its files was written."""

    id: str
    newest: datetime
    files: int = 0
    bytes: int = 0
    root: ObjectEntry | None = None
    begun: ObjectEntry | None = None


async def list_backups(destination: Destination) -> list[BackupView]:
    """Newest first. Raises Unavailable."""
    found, verified, running = await lying(destination), await marks(), await _is_running()
    turn = asyncio.Semaphore(_AT_ONCE)

    async def seen(each: Lying, is_newest: bool) -> BackupView:
        async with turn:
            return await _view(destination, each, verified.get(each.id), is_running=running and is_newest)

    ordered = sorted(found.values(), key=lambda each: each.id, reverse=True)
    return list(await asyncio.gather(*(seen(each, place == 0) for place, each in enumerate(ordered))))


async def get_backup(destination: Destination, backup_id: str) -> BackupView:
    """Raises NotFound, Unavailable. Of a running one it knows only while it is the newest."""
    folder = folder_of(backup_id)
    found = await lying(destination, folder)
    if backup_id not in found:
        raise NotFound("There is no backup with this id.")
    running = await _is_running() and backup_id == max(await lying(destination))
    return await _view(destination, found[backup_id], (await marks()).get(backup_id), is_running=running)


async def newest_of_all(destination: Destination) -> BackupView:
    """The newest complete one of all entity types: of ours, if there is any, where several portals share a place.

    Raises NotFound.
    """
    found = [each for each in await list_backups(destination) if each.complete]
    found = [each for each in found if set(each.entity_types) == set(ENTITY_TYPES)]
    ours = await portal_id()
    for each in sorted(found, key=lambda each: each.portal not in ("", ours)):  # else newest first, as they are
        return each
    raise NotFound("There is no complete backup of all types yet. One of some types is meant by its id.")


async def lying(destination: Destination, folder: str = BACKUPS) -> dict[str, Lying]:
    """By id. What lies beside the backups is not theirs."""
    found: dict[str, Lying] = {}
    async for entries in destination.listed(folder):
        for entry in entries:
            _, backup_id, name = entry.key.split("/", 2) if entry.key.count("/") > 1 else ("", "", "")
            if is_id(backup_id):
                _add(found.setdefault(backup_id, Lying(backup_id, entry.modified_at)), name, entry)
    return found


def _add(one: Lying, name: str, entry: ObjectEntry) -> None:
    one.newest = max(one.newest, entry.modified_at)
    one.files += 1
    one.bytes += entry.bytes
    if name == ROOT:
        one.root = entry
    if name == layout.BEGUN:
        one.begun = entry


async def read_root(destination: Destination, backup_id: str) -> Root:
    """Raises NotFound, Damaged, Foreign, Unavailable; Damaged also where it is missing."""
    key = f"{folder_of(backup_id)}/{ROOT}"
    entry = await destination.stat(key)
    if entry is None and not await lying(destination, folder_of(backup_id)):
        raise NotFound("There is no backup with this id.")
    if entry is None:
        raise Damaged(f"{key} is missing: this backup was never finished.")
    if entry.bytes > MOST_ROOT:
        raise Damaged(f"{key} is damaged: it has {entry.bytes} bytes, more than any root.")
    try:
        root = await asyncio.to_thread(decoded, await destination.read(key), key)
    except Gone as error:
        raise Damaged(f"{key} is missing, or no file.") from error
    if root.id != backup_id:
        raise Damaged(f"{key} is that of another backup, {root.id}.")
    return root


async def _is_running() -> bool:
    try:
        await refuse_while_running(BACKUP)
    except Running:
        return True
    return False


async def _view(destination: Destination, one: Lying, mark: Mark | None, *, is_running: bool) -> BackupView:
    verified = {} if mark is None else {"verified_at": mark.at, "verified_quick": mark.quick, "wrong": mark.wrong}
    if one.root is None:
        state: State = "running" if is_running else "unfinished"
        words = "It is being made." if is_running else "It was never finished; the next pruning removes it."
        return BackupView(one.id, False, state, time_of_id(one.id), message=words, **verified)
    try:
        return BackupView(**_facts(await read_root(destination, one.id)), **verified)
    except (Damaged, Foreign) as error:
        state = "foreign" if isinstance(error, Foreign) else "damaged"
        return BackupView(one.id, False, state, time_of_id(one.id), message=error.message, **verified)


def _facts(root: Root) -> Mapping[str, object]:
    names = set(BackupView.__dataclass_fields__) & set(Root.__dataclass_fields__)
    return {name: getattr(root, name) for name in names} | {"complete": True, "state": "complete"}
