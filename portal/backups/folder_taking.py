"""Taking pictures in out of a folder: each as an upload is, some at once, those of one gallery one after the other."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

from portal import database
from portal.audit.actors import Actor
from portal.backups.folder_in import FolderIn, Offered
from portal.entities.forms import parse_entity
from portal.entities.kinds import EntityRef
from portal.entities.service import create_entity
from portal.errors import Busy, Conflict, DiskFull, Duplicate, FormError, NotFound, Unavailable
from portal.gallery.forms import PictureFields, ReceivedPicture, read_flag, read_metadata
from portal.gallery.intake import receive, refuse_when_disk_is_full, rules_of, verify_upload
from portal.gallery.service import add_image, check_edits, refuse_duplicate
from portal.imaging.pool import RenderPool
from portal.jobs.queue import BULK
from portal.settings import Settings
from portal.storage.store import Store

DEPTH: Final = 20  # pictures that wait in each lane
Taken = Literal["added", "there"]
STOPS: Final = (Unavailable, DiskFull, Busy)  # no picture's fault: the next one would fare no better


@dataclass(frozen=True, slots=True)
class Taker:
    """What is needed to take a picture in. `would_be`, `seen`: what a dry run remembers instead of the database."""

    settings: Settings
    store: Store
    pool: RenderPool
    source: FolderIn
    actor: Actor
    dry_run: bool
    would_be: set[int] = field(default_factory=set[int])
    seen: set[int] = field(default_factory=set[int])


async def in_lanes(rows: AsyncIterator[Offered], lanes: int, take: Callable[[Offered], Awaitable[None]]) -> None:
    """Some at once; those of one gallery in their order, wherever they stand. The first error ends all."""
    queues = [asyncio.Queue[Offered | None](DEPTH) for _ in range(lanes)]

    async def feed() -> None:
        async for row in rows:
            await queues[hash(row.ref) % lanes].put(row)
        for queue in queues:
            await queue.put(None)

    async def work(queue: asyncio.Queue[Offered | None]) -> None:
        while (row := await queue.get()) is not None:
            await take(row)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(feed())
            for queue in queues:
                group.create_task(work(queue))
    except* Exception as errors:
        raise errors.exceptions[0] from None


async def make_entity(taker: Taker, row: Offered) -> bool:
    """Is it made (or, in a dry run, would be) for this picture? By the name in its line, else by its id. Raises FormError."""
    ref = _ref(row)
    if hash(ref) in taker.would_be or await _pk_of(ref) is not None:
        return False
    entity = parse_entity(ref, {"name": row.said.get("entity_name", "").strip() or ref.id})
    if taker.dry_run:
        taker.would_be.add(hash(ref))
        return True
    with suppress(Conflict):  # somebody else was first
        await create_entity(ref, entity, taker.actor)
        return True
    return False


async def take_picture(taker: Taker, row: Offered) -> Taken:
    """Raises PortalError, with what to tell of this picture; one of STOPS where it is not about the picture."""
    ref, fields = _ref(row), fields_of(row.said)
    await refuse_when_disk_is_full(taker.store, taker.settings.free_space_bytes)
    path = taker.settings.temp_dir / f"{uuid4()}.part"
    try:
        received = await asyncio.to_thread(_receive, taker, row, ref, path)
        if taker.dry_run:
            await _try_out(taker, ref, received, fields)
        else:
            parts: dict[str, Any] = {"store": taker.store, "pool": taker.pool, "actor": taker.actor, "priority": BULK}
            await add_image(ref, received, fields, rules=rules_of(taker.settings, ref.type), **parts)
    except Duplicate:
        return "there"
    finally:
        path.unlink(missing_ok=True)  # stored by a rename; still there only where it was not
    return "added"


def _ref(row: Offered) -> EntityRef:
    if row.ref is None:
        raise NotFound(row.problem)
    return row.ref


async def _pk_of(ref: EntityRef) -> int | None:
    return await database.fetch_value("SELECT pk FROM entity WHERE type = $1 AND id = $2", ref.type, ref.id)


def _receive(taker: Taker, row: Offered, ref: EntityRef, path: Path) -> ReceivedPicture:
    name = row.said.get("filename", "").strip() or row.path.replace("\\", "/").rpartition("/")[2]
    try:
        with taker.source.open(row.path) as file:
            received = receive(file, name, path, taker.settings.uploads_of(ref.type).max_bytes)
    except ValueError as error:
        raise NotFound(str(error)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk for pictures is full. Free some space, then import again.") from error
        raise NotFound(f"it cannot be read ({error.strerror})") from error
    said = row.said.get("sha256", "").strip().lower()
    if said and said != received.sha256:
        raise Conflict("These are not the bytes that its line tells: the SHA-256 differs.")
    return received


async def _try_out(taker: Taker, ref: EntityRef, received: ReceivedPicture, fields: PictureFields) -> None:
    """All that add_image asks, without storing. Raises as it does."""
    pk = await _pk_of(ref)
    if pk is not None:
        await refuse_duplicate(pk, received.sha256)
    mark = hash((ref, received.sha256))
    if mark in taker.seen:
        raise Duplicate("The same file stands further up.")
    verified = await verify_upload(received, rules_of(taker.settings, ref.type), taker.pool)
    check_edits(fields.more, (verified.width, verified.height))
    taker.seen.add(mark)


def fields_of(said: Mapping[str, str]) -> PictureFields:
    """Cells of a line. Raises FormError naming every wrong one."""
    sent: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, read in _READ.items():
        try:
            value = read(said)
        except ValueError as error:
            errors[name] = str(error)
        else:
            sent |= {} if value is None else {name: value}
    if errors:
        raise FormError(errors)
    is_primary = sent.pop("is_primary", False)
    columns = read_metadata(sent)
    known = {name: columns.pop(name) for name in ("alt_text", "caption") if name in columns}
    return PictureFields(**known, tags=tuple(columns.pop("tags", ())), is_primary=is_primary, more=columns)


def _tags(said: Mapping[str, str]) -> list[str] | None:
    text = said.get("tags", "").strip()
    if text.startswith("["):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return text.split(",") if text else None


def _focal_point(said: Mapping[str, str]) -> dict[str, float] | None:
    numbers = [said.get(name, "").strip() for name in ("focal_x", "focal_y")]
    if not any(numbers):
        return None
    try:
        return {name: float(text) for name, text in zip("xy", numbers, strict=True)}
    except ValueError as error:
        raise ValueError("Use two numbers from 0 to 1, or none.") from error


def _json(name: str) -> Callable[[Mapping[str, str]], Any]:
    def read(said: Mapping[str, str]) -> Any:
        try:
            return json.loads(said.get(name, "").strip() or "null")
        except (ValueError, RecursionError) as error:
            raise ValueError("This is not JSON.") from error

    return read


def _flag(name: str) -> Callable[[Mapping[str, str]], bool | None]:
    return lambda said: read_flag(said.get(name, "")) or None


_READ: Final[Mapping[str, Callable[[Mapping[str, str]], Any]]] = {
    "alt_text": lambda said: said.get("alt_text") or None,
    "caption": lambda said: said.get("caption") or None,
    "decorative": _flag("decorative"),
    "is_primary": _flag("is_primary"),
    "tags": _tags,
    "focal_point": _focal_point,
    "edits": _json("edits"),
    "attributes": _json("attributes"),
}
