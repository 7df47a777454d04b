"""Bytes that a picture misses, wherever they lie: who removes what nobody owns leaves them to repair."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from portal import database
from portal.maintenance.quarantine import digest_of
from portal.storage.keys import original_key
from portal.storage.store import ObjectEntry, Store

_ORIGINALS: Final = """
    SELECT e.type, i.id, i.version, i.extension FROM image i JOIN entity e ON e.pk = i.entity WHERE i.sha256 = $1
    UNION ALL
    SELECT e.type, i.id, v.version, v.extension FROM image_version v JOIN image i ON i.id = v.image
    JOIN entity e ON e.pk = i.entity WHERE v.sha256 = $1
"""


async def missed_of(entries: Iterable[ObjectEntry], store: Store) -> set[str]:
    """Keys of those that hold the very bytes of an original which is not, or not whole, in its own place."""
    return {entry.key for entry in entries if await _is_missed(await digest_of(store, entry.key), store)}


async def _is_missed(sha256: str | None, store: Store) -> bool:
    if sha256 is None:
        return False
    for row in await database.fetch(_ORIGINALS, sha256):
        key = original_key(row["type"], row["id"], row["version"], row["extension"])
        if await digest_of(store, key) != sha256:
            return True
    return False
