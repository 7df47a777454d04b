"""Objects of a destination, read piece by piece and several at once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final

from portal.backups.destination import Destination, Folder
from portal.errors import Gone
from portal.storage.look import HEAD, Seen, look_at

_AT_ONCE: Final = 8  # of a bucket: each waits for the network


async def look_into(destination: Destination, keys: Sequence[str]) -> dict[str, Seen]:
    """What lies under these keys, every byte read. A symlink, a folder or a pipe in an object's place is nothing."""
    if isinstance(destination, Folder):
        return await look_at(destination.store, keys)  # all in one thread: of small files the way there is the work
    turn = asyncio.Semaphore(_AT_ONCE)

    async def look(key: str) -> Seen:
        async with turn:
            return await _look(destination, key)

    outcomes = await asyncio.gather(*map(look, keys), return_exceptions=True)
    for each in outcomes:
        if isinstance(each, BaseException):
            raise each
    return {each.key: each for each in outcomes if isinstance(each, Seen)}


async def _look(destination: Destination, key: str) -> Seen:
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        async for piece in destination.pieces(key):
            await asyncio.to_thread(digest.update, piece)
            size += len(piece)
            head += piece[: HEAD - len(head)]
    except Gone:
        return Seen(key)
    return Seen(key, size, None, digest.hexdigest(), head)
