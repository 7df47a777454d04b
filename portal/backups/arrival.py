"""A backup from outside, as one tar: taken in as it comes, byte by byte, by who trusts nothing that it says.

Its root comes first and names what follows; each file must be the very next one that it, and then its manifests, ask for, of
the size that they say, and has its name only once its SHA-256 is right. So no name can lead anywhere else, and an archive
that is cut, swapped, padded or made by hand ends as a sentence. The root is put last: until then there is no backup.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Final

from portal import database
from portal.audit import service as audit
from portal.audit.actors import Actor
from portal.backups.destination import Destination
from portal.backups.in_use import backups_in_use
from portal.backups.layout import BACKUPS, ROOT, folder_of, is_id
from portal.backups.listing import MOST_ROOT
from portal.backups.needed import Needed, needed_objects
from portal.backups.root import Damaged, Root, decoded
from portal.backups.tar import Header, TarReader
from portal.errors import Conflict, DiskFull, Gone, PortalError
from portal.jobs.alone import ARRIVAL, alone
from portal.storage.disk import plain_words

_SMALL: Final = 8 * 1024 * 1024  # bytes; what is longer waits for its SHA-256 on the disk
_AT_ONCE: Final = 16
_MOST_TOGETHER: Final = 16 * 1024 * 1024


async def take_archive(destination: Destination, pieces: AsyncIterable[bytes], *, actor: Actor) -> Root:
    """The backup that is whole there now. One that was there already, with this very root, is taken once more: what it had
    lost since, it has again.

    Raises Damaged, Foreign; Conflict where another one has this id; DiskFull, Unavailable, Running. Then what it has put
    under the backup's own name is removed; objects stay until the next pruning.
    """
    await destination.open_root()
    async with alone(ARRIVAL), backups_in_use():
        arrival = Arrival(destination, TarReader(pieces))
        try:
            root = await arrival.take()
        except BaseException:
            await asyncio.shield(arrival.undo())
            raise
        async with database.transaction():
            await audit.record(actor, "backup.bring_in", "backup", root.id, after={"made_at": root.created_at})
        return root


class Arrival:
    def __init__(self, destination: Destination, tar: TarReader) -> None:
        self._destination = destination
        self._tar = tar
        self._is_known = False  # the very same backup is there
        self._put: list[str] = []  # of the backup's own files: what was not there before

    async def take(self) -> Root:
        root, data = await self._root()
        await self._refuse_without_room(root)
        folder = folder_of(root.id)
        for name, member in sorted(root.members.items()):
            await self._member(Needed(f"{folder}/{name}", member.sha256, member.bytes))
        async with needed_objects(self._destination, root) as objects:
            async for chunk in objects.chunks():
                await self._objects(chunk)
        if (more := await self._tar.header()) is not None:
            raise Damaged(f"The archive holds {more.name!r:.120}, which its backup does not ask for.")
        await self._tar.finish()
        if not self._is_known:
            self._put.clear()  # from here on it may be a backup, whatever the next call says
            await self._destination.put(f"{folder}/{ROOT}", data)
        return root

    async def undo(self) -> None:
        with contextlib.suppress(PortalError):  # what went wrong before is what counts; the next pruning finds the rest
            await self._destination.delete(self._put)

    async def _root(self) -> tuple[Root, bytes]:
        header = await self._tar.header()
        key = "" if header is None else header.name
        top, _, backup_id = key.removesuffix(f"/{ROOT}").partition("/")
        if header is None or top != BACKUPS or not is_id(backup_id) or key != f"{folder_of(backup_id)}/{ROOT}":
            raise Damaged(
                f"This is no archive of a backup: it begins with {key!r:.120} and not with a backup's {ROOT}."
            )
        if header.bytes > MOST_ROOT:
            raise Damaged(f"{key} is damaged: it has {header.bytes} bytes, more than any root.")
        data = b"".join([piece async for piece in self._tar.content(header)])
        root = await asyncio.to_thread(decoded, data, key)
        if root.id != backup_id:
            raise Damaged(f"{key} is that of another backup, {root.id}.")
        if any(name.lower() == ROOT for name in root.members):
            raise Damaged(f"{key} names itself among its files.")
        self._is_known = await self._is_same(root, data)
        return root, data

    async def _is_same(self, root: Root, data: bytes) -> bool:
        """Raises Conflict where a root lies there that says something else."""
        key = f"{folder_of(root.id)}/{ROOT}"
        there = await self._destination.stat(key)
        if there is not None and (there.bytes != len(data) or await self._destination.read(key) != data):
            raise Conflict(
                f"Another backup, or a damaged one, has the id {root.id}. It stays as it is, and the archive was not taken."
            )
        return there is not None

    async def _refuse_without_room(self, root: Root) -> None:
        free = await self._destination.free_bytes()
        wanted = root.bytes + sum(each.bytes for each in root.members.values())
        if free is not None and wanted > free and not self._is_known:
            raise DiskFull(f"There is no room for this backup: it needs {wanted} bytes, and {free} are free.")

    async def _member(self, wanted: Needed) -> None:
        there = await self._digest(wanted)
        if there is not None and there != wanted.sha256 and not self._is_known:
            raise Conflict(
                f"{wanted.key} is there already, and another one: a backup that is being made, or never was finished."
                " Prune what is unfinished, then bring the archive in again."
            )
        if there is None:
            self._put.append(wanted.key)
        if there == wanted.sha256:
            await self._pass_by(wanted)
        else:
            await self._store(wanted)

    async def _digest(self, wanted: Needed) -> str | None:
        """Of what lies there, of whatever size."""
        digest = hashlib.sha256()
        try:
            async for piece in self._destination.pieces(wanted.key):
                await asyncio.to_thread(digest.update, piece)
        except Gone:
            return None
        return digest.hexdigest()

    async def _objects(self, chunk: list[Needed]) -> None:
        """Several small ones are put at once; they come one after the other."""
        together: list[tuple[str, bytes]] = []
        for wanted in chunk:
            if wanted.bytes > _SMALL:
                await self._store(wanted)
                continue
            together.append((wanted.key, await self._small(wanted)))
            if len(together) == _AT_ONCE or sum(len(data) for _, data in together) > _MOST_TOGETHER:
                await self._put_all(together)
        await self._put_all(together)

    async def _put_all(self, together: list[tuple[str, bytes]]) -> None:
        await asyncio.gather(*(self._destination.put(key, data) for key, data in together))
        together.clear()

    async def _store(self, wanted: Needed) -> None:
        if wanted.bytes <= _SMALL:
            await self._destination.put(wanted.key, await self._small(wanted))
            return
        path = await asyncio.to_thread(_empty_file)
        try:
            with path.open("wb") as file, plain_words():
                async for piece in self._content(wanted):
                    await asyncio.to_thread(file.write, piece)
            await self._destination.put_file(wanted.key, path)
        finally:
            await asyncio.to_thread(path.unlink)

    async def _small(self, wanted: Needed) -> bytes:
        return b"".join([piece async for piece in self._content(wanted)])

    async def _pass_by(self, wanted: Needed) -> None:
        async for _ in self._content(wanted):
            pass

    async def _content(self, wanted: Needed) -> AsyncIterator[bytes]:
        """Of the next file. Raises Damaged where it is not the wanted one, at its end where its SHA-256 is another."""
        header = await self._tar.header()
        _refuse_other(header, wanted)
        digest = hashlib.sha256()
        async for piece in self._tar.content(Header(wanted.key, wanted.bytes)):
            await asyncio.to_thread(digest.update, piece)
            yield piece
        if digest.hexdigest() != wanted.sha256:
            raise Damaged(
                f"{wanted.key} is damaged in the archive: expected SHA-256 {wanted.sha256}, found {digest.hexdigest()}."
            )


def _refuse_other(header: Header | None, wanted: Needed) -> None:
    if header is None:
        raise Damaged(f"The archive is not whole: it ends before {wanted.key}.")
    if header.name != wanted.key:
        raise Damaged(
            f"The archive holds {header.name!r:.120} where {wanted.key} is expected. It must be as the portal made it."
        )
    if header.bytes != wanted.bytes:
        raise Damaged(f"{wanted.key} is damaged in the archive: expected {wanted.bytes} bytes, found {header.bytes}.")


def _empty_file() -> Path:
    file, name = tempfile.mkstemp(prefix="portal-", suffix=".part")
    os.close(file)
    return Path(name)
