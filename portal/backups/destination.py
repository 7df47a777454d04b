"""Where backups lie: a folder, or a bucket of any kind that obstore speaks. Keys are those of `layout`.

What raises Unavailable or DiskFull does so in words for people. Nothing that is put is ever seen half, and what a put has
acknowledged survives a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from portal.backups import bulk
from portal.backups.layout import object_key
from portal.backups.wanted import CHANGED, MISSING, UNREADABLE, Lost, Wanted
from portal.errors import Gone, Unavailable
from portal.settings import Settings
from portal.storage.disk import plain_words
from portal.storage.look import is_unreadable
from portal.storage.store import MARKER, ObjectEntry, Store
from portal.storage.walk import walk

__all__ = ["Destination", "Folder", "Lost", "Wanted", "destination_of", "put_files", "sizes_of", "take_one"]

PIECE: Final = 1024 * 1024
_CHUNK: Final = 1000
_AT_ONCE: Final = 8
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Destination(Protocol):
    @property
    def words(self) -> str:
        """How people know it: a path, or a URL without secrets."""
        ...

    async def open_root(self) -> None:
        """Make or recognise it. Raises Unavailable where it is not reached, or not mounted."""
        ...

    async def is_away(self) -> bool:
        """Is it there, but not what was opened once (a disk that is not mounted), or out of reach?"""
        ...

    async def check(self) -> None:
        """Raises Unavailable when it is away."""
        ...

    async def stat(self, key: str) -> ObjectEntry | None: ...

    async def read(self, key: str) -> bytes:
        """Raises Gone when it is not there."""
        ...

    def pieces(self, key: str) -> AsyncIterator[bytes]:
        """Raises Gone when it is not there."""
        ...

    async def put(self, key: str, data: bytes) -> None:
        """One of this name is replaced, whole."""
        ...

    async def put_file(self, key: str, path: Path) -> None:
        """A whole file, of any length; it stays where it is."""
        ...

    async def take(self, source: Store, wanted: Sequence[Wanted]) -> list[Lost]:
        """Copy these objects, some hundreds at a time; what was read is compared with its SHA-256 before it gets its name."""
        ...

    def listed(self, prefix: str = "") -> AsyncIterator[list[ObjectEntry]]:
        """What lies below `prefix` (a folder's key, or all), in no order, a thousand at a time; drafts in temp/ too, and never
        the marker."""
        ...

    async def delete(self, keys: Iterable[str]) -> int:
        """How many were there, as far as that is told (a bucket counts all); those that are missing are fine."""
        ...

    async def free_bytes(self) -> int | None:
        """None where nobody knows."""
        ...


class Folder:
    """A folder, on a disk of any kind; its marker says that the disk is mounted."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root, what="backups")
        self.drafts = bulk.DRAFTS  # whose they are, for who finds them after a kill

    @property
    def words(self) -> str:
        return str(self.store.root)

    async def open_root(self) -> None:
        await self.store.open_root()

    async def is_away(self) -> bool:
        root = self.store.root
        return await asyncio.to_thread(lambda: root.is_dir() and not (root / MARKER).is_file())

    async def check(self) -> None:
        await self.store.check_marker()

    async def stat(self, key: str) -> ObjectEntry | None:
        return await asyncio.to_thread(self._stat, key)

    def _stat(self, key: str) -> ObjectEntry | None:
        try:
            seen = os.stat(self.store.path_of(key), follow_symlinks=False)
        except OSError:  # of what the disk does not show there is none
            return None
        if not stat.S_ISREG(seen.st_mode):
            return None
        return ObjectEntry(key, seen.st_size, datetime.fromtimestamp(seen.st_mtime, UTC))

    async def read(self, key: str) -> bytes:
        return await self.store.read(key)

    async def pieces(self, key: str) -> AsyncIterator[bytes]:
        reader = await self.store.open(key)
        with reader:
            while piece := await asyncio.to_thread(self._piece, reader.fileno()):
                yield piece

    def _piece(self, file: int) -> bytes:
        with plain_words(self.store.what):
            return self.store.disk.read(file, PIECE)

    async def put(self, key: str, data: bytes) -> None:
        await self.store.put(key, data)

    async def put_file(self, key: str, path: Path) -> None:
        await self.put_files([(key, path)])

    async def put_files(self, files: Sequence[tuple[str, Path]]) -> None:
        await self.check()
        await asyncio.to_thread(bulk.put_files, self.store, files, self.drafts)

    async def take(self, source: Store, wanted: Sequence[Wanted]) -> list[Lost]:
        await self.check()
        named = [(object_key(each.entity_type, each.sha256), each) for each in wanted]
        lost = await asyncio.to_thread(bulk.take_many, self.store, source, named, self.drafts)
        if any(each.reason == MISSING for each in lost):
            await source.check_marker()  # of a disk that is not mounted nothing is known to be missing
        return lost

    async def listed(self, prefix: str = "") -> AsyncIterator[list[ObjectEntry]]:
        if not await asyncio.to_thread(os.path.lexists, self.store.root):
            return  # no backup was ever made: no folder
        await self.check()
        entries = self._walked(prefix)
        while chunk := await asyncio.to_thread(lambda: list(islice(entries, _CHUNK))):
            below = f"{prefix}/" if prefix else ""
            yield [ObjectEntry(f"{below}{each.key}", each.bytes, each.modified_at) for each in chunk]
        await self.check()  # of a disk that went away meanwhile the rest has only seemed to be empty

    def _walked(self, prefix: str) -> Iterator[ObjectEntry]:
        with plain_words(self.store.what):
            yield from walk(self.store.disk, self.store.root / prefix, but=() if prefix else (MARKER,))

    async def delete(self, keys: Iterable[str]) -> int:
        return await self.store.delete(keys)

    async def free_bytes(self) -> int | None:
        return await self.store.free_bytes()

    async def settle(self) -> None:
        """What a killed process has named here is on the disk when this returns."""
        await asyncio.to_thread(self._settle)

    def _settle(self) -> None:
        with contextlib.ExitStack() as stack, plain_words(self.store.what):
            self.store.disk.syncfs(self.store.open_folder(stack, ()))

    async def sizes(self, prefixes: Iterable[str]) -> dict[str, int]:
        """Of the files right below these folders' keys, by name; as `listed`, for who asks hundreds of folders."""
        return await asyncio.to_thread(self._sizes, prefixes)

    def _sizes(self, prefixes: Iterable[str]) -> dict[str, int]:
        """From the folder's descriptor: no way through all folders above for each file."""
        disk, found = self.store.disk, dict[str, int]()
        for prefix in prefixes:
            with plain_words(self.store.what), contextlib.suppress(FileNotFoundError):
                folder = disk.open(self.store.path_of(prefix), _FOLDER)
                try:
                    entries = (each for each in disk.scandir(folder) if each.is_file(follow_symlinks=False))
                    found.update((each.name, each.stat().st_size) for each in entries)
                finally:
                    os.close(folder)
        return found


async def sizes_of(destination: Destination, prefixes: Iterable[str]) -> dict[str, int]:
    """Of what lies right below these folders' keys, by name. Where the destination is away it may seem to be nothing."""
    if isinstance(destination, Folder):
        return await destination.sizes(prefixes)
    found = await asyncio.gather(*(_sizes_in(destination, each) for each in prefixes))
    return {name: size for each in found for name, size in each.items()}


async def _sizes_in(destination: Destination, prefix: str) -> dict[str, int]:
    return {each.key.rpartition("/")[2]: each.bytes async for found in destination.listed(prefix) for each in found}


async def put_files(destination: Destination, files: Sequence[tuple[str, Path]]) -> None:
    """By their keys, all durable when this returns."""
    if isinstance(destination, Folder):
        return await destination.put_files(files)
    turn = asyncio.Semaphore(_AT_ONCE)

    async def put(key: str, path: Path) -> None:
        async with turn:
            await destination.put_file(key, path)

    for outcome in await asyncio.gather(*(put(*each) for each in files), return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
    return None


async def take_one(destination: Destination, source: Store, wanted: Wanted) -> Lost | None:
    try:
        if await source.size(wanted.key) not in (None, wanted.bytes):
            return Lost(wanted, CHANGED)  # of whatever length it is now, it is not in memory
        data = await source.read(wanted.key)
    except Gone:
        return Lost(wanted, MISSING)
    except Unavailable as error:
        if not is_unreadable(error.__cause__):
            raise
        return Lost(wanted, UNREADABLE)
    if await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest()) != wanted.sha256:
        return Lost(wanted, CHANGED)
    await destination.put(object_key(wanted.entity_type, wanted.sha256), data)
    return None


def destination_of(settings: Settings) -> Destination:
    """Not opened yet."""
    if settings.backup_bucket is None:
        return Folder(settings.backup_dir)
    from portal.backups.bucket import bucket_of  # it stands on this module, and only who has a bucket loads obstore

    return bucket_of(settings.backup_bucket, settings.bucket_access)
