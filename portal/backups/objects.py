"""Originals by their SHA-256, out of whichever backup holds them: what repair heals from.

What is read is compared with its name first: bytes that rotted are none.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

from portal.backups.destination import Destination
from portal.backups.layout import object_key
from portal.errors import Gone, Unavailable
from portal.settings import ENTITY_TYPES
from portal.storage.store import ObjectEntry

__all__ = ["find_objects", "open_object", "put_object", "read_newest"]


async def put_object(backups: Destination, entity_type: str, data: bytes) -> str:
    """Its SHA-256; durable when this returns. One that is there and sound stays as it is, a rotten one is replaced."""
    sha256 = await _digest(data)
    key = object_key(entity_type, sha256)
    if await backups.stat(key) is None or await _digest(await backups.read(key)) != sha256:
        await backups.put(key, data)
    return sha256


async def find_objects(backups: Destination, sha256: str) -> list[ObjectEntry]:
    """Of all entity types, newest first; empty where no backup was ever made, or its disk is not mounted.

    Raises Unavailable where a bucket is out of reach."""
    found = await asyncio.gather(*(backups.stat(object_key(entity_type, sha256)) for entity_type in ENTITY_TYPES))
    return sorted((each for each in found if each is not None), key=lambda each: each.modified_at, reverse=True)


async def open_object(backups: Destination, held: ObjectEntry) -> bytes:
    """Its bytes, compared with its name. Raises Gone when they are lost or no longer what was put there."""
    data = await backups.read(held.key)
    if await _digest(data) != held.key.rpartition("/")[2]:
        raise Gone("The copy in the backup is damaged.")
    return data


async def read_newest(backups: Destination, sha256: str) -> tuple[ObjectEntry, bytes] | None:
    """The newest copy that is still what was put there."""
    for held in await find_objects(backups, sha256):
        with contextlib.suppress(Gone, Unavailable):
            return held, await open_object(backups, held)
    return None


async def _digest(data: bytes) -> str:
    return await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
