"""The room of backups' objects: bytes by their SHA-256, so that what one backup shares with another lies there once.

<backup_dir>/<entity_type>/objects/<first two of sha256>/<sha256>    the bytes of an original, whichever backups list them
<backup_dir>/temp/<anything>                                         in flight

A backup puts its originals here before its manifest names them; an object belongs to every manifest that does, and may go
when none does. Nothing here is written twice or changed. The folder is a `Store` (open it with `open_root`): its marker says
that the disk is mounted, and a put is durable. What is read is compared with its name first: bytes that rotted are none.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from portal.errors import Gone, Unavailable
from portal.settings import ENTITY_TYPES
from portal.storage.disk import plain_words
from portal.storage.store import MARKER, KeyTaken, Store

OBJECTS: Final = "objects"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BLOCK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class HeldObject:
    """An object of the backups, by its name; its bytes are not read yet."""

    key: str
    sha256: str
    bytes: int
    put_at: datetime


def object_key(entity_type: str, sha256: str) -> str:
    """Raises ValueError for what is no SHA-256 in hex, or no entity type."""
    if entity_type not in ENTITY_TYPES or not _SHA256.fullmatch(sha256):
        raise ValueError(f"not an object of {entity_type!r}: {sha256!r}")
    return f"{entity_type}/{OBJECTS}/{sha256[:2]}/{sha256}"


async def put_object(backups: Store, entity_type: str, data: bytes) -> str:
    """Its SHA-256; durable when this returns. One that is there and sound stays as it is, a rotten one is replaced."""
    sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
    key = object_key(entity_type, sha256)
    try:
        await backups.put_new(key, data)
    except KeyTaken:
        if await _digest_of(backups, key) != sha256:
            await backups.put(key, data)
    return sha256


async def put_file(backups: Store, entity_type: str, path: Path) -> str:
    """As `put_object`, of a file of any disk, which stays where it is."""
    with plain_words():
        data = await asyncio.to_thread(path.read_bytes)
    return await put_object(backups, entity_type, data)


async def is_away(backups: Store) -> bool:
    """Is the folder there without its marker? Then its disk is not mounted, and what it holds is not known."""
    return await asyncio.to_thread(lambda: backups.root.is_dir() and not (backups.root / MARKER).is_file())


async def find_objects(backups: Store, sha256: str) -> list[HeldObject]:
    """Of all entity types, newest first; empty where no backup was ever made, or its disk is not mounted."""
    return await asyncio.to_thread(_find, backups, sha256)


def _find(backups: Store, sha256: str) -> list[HeldObject]:
    found: list[HeldObject] = []
    for entity_type in ENTITY_TYPES:
        key = object_key(entity_type, sha256)
        with contextlib.suppress(OSError):  # of a copy that the disk does not show there is none
            seen = backups.disk.stat(backups.path_of(key), follow_symlinks=False)
            if stat.S_ISREG(seen.st_mode):
                found.append(HeldObject(key, sha256, seen.st_size, datetime.fromtimestamp(seen.st_mtime, UTC)))
    return sorted(found, key=lambda each: each.put_at, reverse=True)


async def open_object(backups: Store, held: HeldObject) -> bytes:
    """Its bytes, compared with its name. Raises Gone when they are lost or no longer what was put there."""
    data = await backups.read(held.key)
    if await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest()) != held.sha256:
        raise Gone("The copy in the backup is damaged.")
    return data


async def read_newest(backups: Store, sha256: str) -> tuple[HeldObject, bytes] | None:
    """The newest copy that is still what was put there."""
    for held in await find_objects(backups, sha256):
        with contextlib.suppress(Gone, Unavailable):
            return held, await open_object(backups, held)
    return None


async def _digest_of(backups: Store, key: str) -> str | None:
    def digest() -> str:
        summed = hashlib.sha256()
        with reader, plain_words():
            while block := reader.read(_BLOCK):
                summed.update(block)
        return summed.hexdigest()

    try:
        reader = await backups.open(key)
    except Gone:
        return None
    return await asyncio.to_thread(digest)
