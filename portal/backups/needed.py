"""Which objects a backup needs, as its manifests list them: read once and kept in a file without a name, for who takes long."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from typing import IO, Final, NamedTuple

from portal.backups.destination import Destination
from portal.backups.layout import OBJECT_LIST, object_key
from portal.backups.lines import Reading
from portal.backups.object_lists import Listed, list_key, listed_objects
from portal.backups.root import Damaged, Root
from portal.settings import ENTITY_TYPES

_CHUNK: Final = 1000
_MEMORY: Final = 4 * 1024 * 1024  # bytes; what is longer lies on the disk


class Needed(NamedTuple):
    key: str
    sha256: str
    bytes: int


class NeededObjects:
    """`count` and `bytes` of them all."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.count = 0
        self.bytes = 0

    def add(self, entity_type: str, listed: Iterable[Listed]) -> None:
        for each in listed:
            if not each.is_lost:
                self.count += 1
                self.bytes += each.bytes
                self._file.write(f"{object_key(entity_type, each.sha256)} {each.bytes}\n".encode())

    async def chunks(self) -> AsyncIterator[list[Needed]]:
        """In the order of the manifests, types by name."""
        self._file.seek(0)
        while lines := await asyncio.to_thread(lambda: list(islice(self._file, _CHUNK))):
            yield [_needed(line.decode()) for line in lines]


@asynccontextmanager
async def needed_objects(destination: Destination, root: Root) -> AsyncGenerator[NeededObjects]:
    """Raises Damaged where a manifest is not what the root says, or lists more than the root does."""
    with tempfile.SpooledTemporaryFile(_MEMORY) as file:
        found = NeededObjects(file)
        for entity_type in sorted(ENTITY_TYPES):
            name = f"{entity_type}/{OBJECT_LIST}"
            if name in root.members:
                key, reading = list_key(root.id, entity_type), Reading()
                async for listed in listed_objects(destination, key, reading):
                    await asyncio.to_thread(found.add, entity_type, listed)
                    if found.count > root.objects or found.bytes > root.bytes:
                        raise Damaged(f"{key} lists more objects than the root of its backup.")
                if difference := reading.difference(root.members[name]):
                    raise Damaged(f"{key}: {difference}.")
        yield found


def _needed(line: str) -> Needed:
    key, size = line.split()
    return Needed(key, key.rpartition("/")[2], int(size))
