"""A backup as one file: a plain tar of its root, its manifests and each object that they list, in this order, so that who
reads it can check each byte as it comes. The same backup always gives the same tar.

Its names are those of `layout`: unpacked beside an empty file `.portal-root` it is a place for backups again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Final

from portal.backups.arrival import take_archive
from portal.backups.destination import Destination
from portal.backups.in_use import backups_in_use
from portal.backups.layout import ROOT, folder_of
from portal.backups.listing import read_root
from portal.backups.needed import Needed, needed_objects
from portal.backups.root import Damaged, Root
from portal.backups.tar import BLOCK, END, header_of, padded, padding_of

__all__ = ["archive_of", "archive_size", "take_archive"]
_AT_ONCE: Final = 16


async def archive_size(destination: Destination, backup_id: str) -> int:
    """In bytes. Everything was seen there with its size: raises Damaged, which names what is not.

    Raises NotFound, Foreign, Unavailable, Running too.
    """
    async with backups_in_use():
        root = await read_root(destination, backup_id)
        members = _members(root, await _root_bytes(destination, root))
        await _see_all(destination, members)
        total = sum(BLOCK + padded(each.bytes) for each in members) + len(END)
        async with needed_objects(destination, root) as objects:
            async for chunk in objects.chunks():
                await _see_all(destination, chunk)
                total += sum(BLOCK + padded(each.bytes) for each in chunk)
        return total


async def archive_of(destination: Destination, backup_id: str) -> AsyncIterator[bytes]:
    """Its pieces, in constant memory; `archive_size` before it sees what is missing. Nothing is removed meanwhile.

    Raises as that does. What turns out damaged on the way raises before its last byte: the archive breaks off.
    """
    async with backups_in_use():
        root = await read_root(destination, backup_id)
        for member in _members(root, await _root_bytes(destination, root)):
            async for piece in _file(destination, member, root):
                yield piece
        async with needed_objects(destination, root) as objects:
            async for chunk in objects.chunks():
                for each in chunk:
                    async for piece in _file(destination, each, root):
                        yield piece
        yield END


async def _root_bytes(destination: Destination, root: Root) -> bytes:
    return await destination.read(f"{folder_of(root.id)}/{ROOT}")


def _members(root: Root, data: bytes) -> list[Needed]:
    """The root, then the rest by name."""
    folder = folder_of(root.id)
    first = Needed(f"{folder}/{ROOT}", hashlib.sha256(data).hexdigest(), len(data))
    rest = (Needed(f"{folder}/{name}", each.sha256, each.bytes) for name, each in sorted(root.members.items()))
    return [first, *rest]


async def _see_all(destination: Destination, wanted: list[Needed]) -> None:
    turn = asyncio.Semaphore(_AT_ONCE)

    async def see(each: Needed) -> None:
        async with turn:
            found = await destination.stat(each.key)
        if found is None:
            raise Damaged(f"{each.key} is missing: the backup is damaged.")
        if found.bytes != each.bytes:
            raise Damaged(f"{each.key} is damaged: expected {each.bytes} bytes, found {found.bytes}.")

    await asyncio.gather(*(see(each) for each in wanted))


async def _file(destination: Destination, wanted: Needed, root: Root) -> AsyncIterator[bytes]:
    """Its last piece goes out only once all of it has turned out to be what it should be."""
    yield header_of(wanted.key, wanted.bytes, root.created_at)
    digest, size, held = hashlib.sha256(), 0, b""
    async for piece in destination.pieces(wanted.key):
        size += len(piece)
        await asyncio.to_thread(digest.update, piece)
        if size > wanted.bytes:
            break
        if held:
            yield held
        held = piece
    if size != wanted.bytes or digest.hexdigest() != wanted.sha256:
        raise Damaged(f"{wanted.key} is damaged: it is no longer what was written. The archive ends before it.")
    yield held + padding_of(size)
