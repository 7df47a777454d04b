"""Objects under another name: the bytes are read anew, held against their SHA-256, and durable before their row says so."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from portal.errors import Gone
from portal.storage.disk import plain_words
from portal.storage.keys import TEMP
from portal.storage.store import Store

_PIECE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Copy:
    """`sha256` of an original, without whose very bytes nothing is copied. Any other object may be missing: then it is
    missing under the new name, too."""

    source: str
    target: str
    sha256: str | None = None


async def copy_objects(store: Store, copies: Sequence[Copy]) -> int:
    """Durable when it returns; of all how many bytes. What lies under a new name is replaced, whole.

    Raises Gone when an original is lost or damaged, DiskFull, Unavailable; then nothing has come under a new name, but for a
    disk that failed at the very last step.
    """
    await store.check_marker()
    return await asyncio.to_thread(_copy, store, copies)


def _copy(store: Store, copies: Sequence[Copy]) -> int:
    drafts: list[tuple[str, str]] = []
    size = 0
    with contextlib.ExitStack() as stack, plain_words(store.what):
        temp = store.open_folder(stack, (TEMP,), make=True)
        try:
            for each in copies:
                draft = f"{uuid4()}.part"
                drafts.append((draft, each.target))
                copied = _draft(store, each, temp, draft)
                if copied is None:
                    drafts.pop()
                size += copied or 0
            for folder in store.move_in(stack, temp, drafts):
                store.disk.fsync(folder)
        finally:
            store.unlink_all(temp, [draft for draft, _ in drafts])
    return size


def _draft(store: Store, each: Copy, temp: int, draft: str) -> int | None:
    """The bytes written, as a file that is synced; None where there are none, and there need not be any."""
    try:
        reader = store.open_now(each.source)
    except Gone:
        if each.sha256 is not None:
            raise
        return None
    digest, size = hashlib.sha256(), 0
    with reader, store.drafted(temp, draft) as file:
        while piece := store.disk.read(reader.fileno(), _PIECE):
            digest.update(piece)
            size += len(piece)
            store.disk.write_all(file, piece)
    if each.sha256 is not None and digest.hexdigest() != each.sha256:
        raise Gone("The bytes of this picture are damaged. It has to be healed from a backup.")
    return size
