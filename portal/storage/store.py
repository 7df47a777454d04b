"""Where objects live: one folder, written so that what was acknowledged survives a power cut.

A put is tmp → write → fsync → rename → fsync(folder): another process sees the whole object or none. An original never
takes another one's place: its name is reserved by an empty file first. Every folder on the way is opened without
following symlinks, so nothing under the root can lead out of it. All file work is in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Generator, Iterable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Final
from uuid import uuid4

from portal.errors import Conflict, Gone, Unavailable
from portal.histogram import Timings
from portal.storage.counted import counted
from portal.storage.disk import PICTURES, Disk, plain_words
from portal.storage.keys import TEMP
from portal.storage.walk import ObjectEntry, walk

MARKER: Final = ".portal-root"
TURNS: Final = 4
_NOT_OBJECTS: Final = frozenset({MARKER, "lost+found"})  # what a file system keeps for itself is not ours to read
MARKER_TEXT: Final = (
    b"The image portal keeps its pictures in this folder. Without this file it takes the disk for not mounted.\n"
)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO in an object's place must not hold us
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK: Final = 1024 * 1024
# Nothing there, or something that we did not put there (a symlink, a folder, a socket): either way our bytes are lost.
LOST: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO})


class KeyTaken(Exception):
    """There is an object of this name. It stays as it is: whose it is only its row can tell."""


class Store:
    """Objects by key under `root`. Call `open_root` once before anything else. `what`: as errors call them.

    Every method raises DiskFull when there is no room, and Unavailable when the disk does not do what it is asked.
    """

    def __init__(
        self, root: Path, disk: Disk | None = None, timings: Timings | None = None, what: str = PICTURES
    ) -> None:
        self.root = root
        self.what = what
        self.disk = disk or Disk()
        self.timings = Timings() if timings is None else timings
        self._turns = asyncio.Semaphore(TURNS)
        self._lasting: set[tuple[str, ...]] = set()  # folders whose name is known to be on the disk

    async def open_root(self, *, known: bool = False) -> None:
        """Make or recognise the root. `known`: pictures are expected here, so a root without its marker is not ours.

        Raises Unavailable when the marker is missing from a root that is known or not empty: the disk is not mounted.
        """
        await asyncio.to_thread(self._open_root, known)

    async def check_marker(self) -> None:
        """Raises Unavailable when the root's disk is not mounted: no sweep may take that for missing objects."""
        await asyncio.to_thread(self._check_marker)

    async def put(self, key: str, data: bytes) -> None:
        """Durable when it returns. An object of this name is replaced, whole."""
        await self.put_many([(key, data)])

    @counted("write")
    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        """All durable when it returns: each file is synced, then each folder once."""
        await asyncio.to_thread(self._put_many, items)

    def turn(self) -> contextlib.AbstractAsyncContextManager[None]:
        """To be held by who adopts inside a transaction, from before it begins: the disk is no faster for more at once,
        and others need a connection to the database."""
        return self._turns

    @counted("write")
    async def put_new(self, key: str, data: bytes) -> None:
        """Durable when it returns; on an error nothing is left. Raises KeyTaken where there is an object of this name."""
        await asyncio.to_thread(self._put_new, key, data)

    @counted("adopt")
    async def adopt(self, path: Path, key: str) -> None:
        """Take over a file as `put_new` takes bytes; `path` is gone then. A rename when it lies in temp/, else a copy."""
        await asyncio.to_thread(self._adopt, path, key)

    @counted("read")
    async def read(self, key: str) -> bytes:
        """Raises Gone when the bytes are not there."""
        return await asyncio.to_thread(self._read, key)

    @counted("open")
    async def open(self, key: str) -> FileIO:
        """To read piece by piece, and to be closed. Raises Gone when the bytes are not there."""
        return await asyncio.to_thread(self.open_now, key)

    def path_of(self, key: str) -> Path:
        """For reading by a child process. Raises ValueError for a key that leads out of the root."""
        return self.root.joinpath(*_parts(key))

    @counted("size")
    async def size(self, key: str) -> int | None:
        """In bytes; None when there is no such object."""
        return await asyncio.to_thread(self._size, key)

    @counted("delete")
    async def delete(self, keys: Iterable[str]) -> int:
        """How many were there; those that are missing are fine."""
        return await asyncio.to_thread(self._delete, list(keys))

    async def free_bytes(self) -> int:
        with plain_words(self.what):
            usage = await asyncio.to_thread(self.disk.statvfs, self.root)
        return usage.f_bavail * usage.f_frsize

    def walk(self) -> Iterator[ObjectEntry]:
        """Every file under the root, in no order, symlinks neither followed nor named. Blocks: run it in a thread.

        Raises Unavailable when the disk is not mounted.
        """
        self._check_marker()
        with plain_words(self.what):
            yield from walk(self.disk, self.root, but=_NOT_OBJECTS)

    def _open_root(self, known: bool) -> None:
        with plain_words(self.what):
            if not (self.root / MARKER).is_file():
                self._begin_root(known)
            self._sync(self.root / MARKER, os.O_RDONLY)  # an earlier start may have failed just before this
            self._sync(self.root)
            (self.root / TEMP).mkdir(mode=0o700, exist_ok=True)

    def _begin_root(self, known: bool) -> None:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in self.root.parents:
            if os.access(folder, os.R_OK):
                self._sync(folder)
        foreign = {entry.name for entry in self.disk.scandir(self.root)} - _NOT_OBJECTS - {TEMP}
        if known or foreign:
            raise self._not_mounted()
        with contextlib.suppress(FileExistsError):  # another process begins the same root
            file = self.disk.open(self.root / MARKER, _CREATE, 0o600)
            try:
                self.disk.write_all(file, MARKER_TEXT)
            finally:
                os.close(file)

    def _sync(self, path: Path, flags: int = _FOLDER & ~os.O_NOFOLLOW) -> None:
        file = self.disk.open(path, flags)
        try:
            self.disk.fsync(file)
        finally:
            os.close(file)

    def _check_marker(self) -> None:
        with plain_words(self.what):
            try:
                self.disk.stat(self.root / MARKER, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise self._not_mounted() from error

    def _not_mounted(self) -> Unavailable:
        return Unavailable(
            f"The folder for {self.what} is not mounted: {self.root} does not hold the file {MARKER}.", retry_after=30
        )

    def _put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        self._check_marker()
        drafts: list[tuple[str, str]] = []
        with contextlib.ExitStack() as stack, plain_words(self.what):
            temp = self.open_folder(stack, (TEMP,), make=True)
            try:
                for key, data in items:
                    draft = f"{uuid4()}.part"
                    drafts.append((draft, key))
                    self._write(temp, draft, data)
                folders = self.move_in(stack, temp, drafts)
                for folder in folders:
                    self.disk.fsync(folder)
            finally:
                self.unlink_all(temp, [draft for draft, _ in drafts])

    def _write(self, folder: int, name: str, data: bytes) -> None:
        with self.drafted(folder, name) as file:
            self.disk.write_all(file, data)

    @contextlib.contextmanager
    def drafted(self, folder: int, name: str) -> Generator[int]:
        """A new file to write to, synced at the end."""
        file = self.disk.open(name, _CREATE, 0o600, dir_fd=folder)
        try:
            yield file
            self.disk.fsync(file)
        finally:
            os.close(file)

    def move_in(self, stack: contextlib.ExitStack, temp: int, drafts: list[tuple[str, str]]) -> list[int]:
        """Rename synced drafts to their keys; the descriptors of the folders that are still to be synced."""
        folders: dict[tuple[str, ...], int] = {}
        for draft, key in list(drafts):
            *parents, name = _parts(key)
            folder = folders.get(tuple(parents))
            if folder is None:
                folder = folders[tuple(parents)] = self.open_folder(stack, tuple(parents), make=True)
            try:
                self.disk.rename(draft, name, src_dir_fd=temp, dst_dir_fd=folder)
            except IsADirectoryError as error:  # the disk is well: others need not wait for it
                raise Conflict(f"A folder lies in the place of {key}. Remove it by hand.") from error
            drafts.remove((draft, key))
        return list(folders.values())

    def _put_new(self, key: str, data: bytes) -> None:
        self._check_marker()
        *parents, name = _parts(key)
        draft = f"{uuid4()}.part"
        with contextlib.ExitStack() as stack, plain_words(self.what):
            temp = self.open_folder(stack, (TEMP,), make=True)
            try:
                self._write(temp, draft, data)
                folder = self.open_folder(stack, tuple(parents), make=True)
                with self._reserved(folder, name):
                    self.disk.rename(draft, name, src_dir_fd=temp, dst_dir_fd=folder)
                    self.disk.fsync(folder)
            finally:
                self.unlink_all(temp, [draft])

    @contextlib.contextmanager
    def _reserved(self, folder: int, name: str) -> Generator[None]:
        """A name for us alone: who comes later finds it taken. Unlike a hard link, every file system knows this.

        On an error it is given back, whatever lies there: it can only be ours.
        """
        try:
            os.close(self.disk.open(name, _CREATE, 0o600, dir_fd=folder))
        except FileExistsError as error:
            raise KeyTaken(name) from error
        try:
            yield
        except BaseException:
            self.unlink_all(folder, [name])
            self.disk.fsync(folder)
            raise

    def _adopt(self, path: Path, key: str) -> None:
        self._check_marker()
        *parents, name = _parts(key)
        with contextlib.ExitStack() as stack, plain_words(self.what):
            file = self.disk.open(path, _READ)
            stack.callback(os.close, file)
            if not stat.S_ISREG(self.disk.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            folder = self.open_folder(stack, tuple(parents), make=True)
            self.disk.fchmod(file, 0o600)
            self.disk.fsync(file)
            with self._reserved(folder, name):
                try:
                    self.disk.rename(path, name, dst_dir_fd=folder)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    self._copy_in(file, folder, name)
                    self.disk.unlink(path)
                self.disk.fsync(folder)

    def _copy_in(self, file: int, folder: int, name: str) -> None:
        """From another file system, where a rename cannot reach."""
        with contextlib.ExitStack() as stack:
            temp = self.open_folder(stack, (TEMP,), make=True)
            draft = f"{uuid4()}.part"
            try:
                target = self.disk.open(draft, _CREATE, 0o600, dir_fd=temp)
                stack.callback(os.close, target)
                while block := self.disk.read(file, _BLOCK):
                    self.disk.write_all(target, block)
                self.disk.fsync(target)
                self.disk.rename(draft, name, src_dir_fd=temp, dst_dir_fd=folder)
            finally:
                self.unlink_all(temp, [draft])

    def _read(self, key: str) -> bytes:
        with self.open_now(key) as reader, plain_words(self.what), self._lost_means_gone():
            return reader.readall()

    def open_now(self, key: str) -> FileIO:
        """As `open`. Blocks: run it in a thread."""
        *parents, name = _parts(key)
        with contextlib.ExitStack() as stack, plain_words(self.what), self._lost_means_gone():
            folder = self.open_folder(stack, tuple(parents))
            reader = os.fdopen(self.disk.open(name, _READ, dir_fd=folder), "rb", buffering=0)
            if not stat.S_ISREG(os.fstat(reader.fileno()).st_mode):
                reader.close()
                raise OSError(errno.ENOENT, "not a regular file")
            return reader

    @contextlib.contextmanager
    def _lost_means_gone(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in LOST:
                raise
            self._check_marker()
            raise Gone("The bytes of this picture are missing from the store.") from error

    def _size(self, key: str) -> int | None:
        *parents, name = _parts(key)
        with contextlib.ExitStack() as stack, plain_words(self.what):
            try:
                folder = self.open_folder(stack, tuple(parents))
                found = self.disk.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError as error:
                if error.errno not in LOST:
                    raise
                self._check_marker()  # of a disk that is not mounted nothing is known to be missing
                return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _delete(self, keys: Sequence[str]) -> int:
        self._check_marker()
        by_folder: dict[tuple[str, ...], list[str]] = {}
        for key in keys:
            *parents, name = _parts(key)
            by_folder.setdefault(tuple(parents), []).append(name)
        with plain_words(self.what):
            return sum(self._delete_in(parents, names) for parents, names in by_folder.items())

    def _delete_in(self, parents: tuple[str, ...], names: list[str]) -> int:
        with contextlib.ExitStack() as stack:
            try:
                folder = self.open_folder(stack, parents)
            except OSError as error:
                if error.errno in LOST:
                    return 0
                raise
            deleted = self.unlink_all(folder, names)
            self.disk.fsync(folder)  # also when all were gone: an earlier try may have failed just here
            return deleted

    def unlink_all(self, folder: int, names: Iterable[str]) -> int:
        deleted = 0
        for name in names:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # a folder of this name is not ours
                self.disk.unlink(name, dir_fd=folder)
                deleted += 1
        return deleted

    def open_folder(self, stack: contextlib.ExitStack, parts: tuple[str, ...], *, make: bool = False) -> int:
        """A descriptor of the folder, reached step by step without following a symlink; closed by `stack`."""
        flags = _FOLDER & ~os.O_NOFOLLOW  # the root itself may be a link: that is the owner's choice
        folder = self.disk.open(self.root, flags)
        for depth, part in enumerate(parts, 1):
            above = folder
            try:
                if make:
                    self._make_folder(above, part, parts[:depth])
                folder = self.disk.open(part, _FOLDER, dir_fd=above)
            finally:
                os.close(above)  # of a thousand folders in each other never more than two are open
        stack.callback(os.close, folder)
        return folder

    def _make_folder(self, parent: int, name: str, path: tuple[str, ...]) -> None:
        """Lasting when this returns, also where another process has just made it and has not synced it yet."""
        try:
            self.disk.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if path in self._lasting:
                return
        self._lasting.discard(path)
        self.disk.fsync(parent)
        self._lasting.add(path)


def _parts(key: str) -> list[str]:
    """A key's folders and name. Raises ValueError for what could lead out of the root."""
    parts = key.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise ValueError(f"not a key: {key!r}")
    return parts
