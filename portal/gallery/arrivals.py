"""Originals whose bytes lie in the store and whose row does not stand yet: a sweep must not take them for orphaned.

Who adds a picture holds a lock of its id until its row is committed; a killed process loses the lock with its connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from portal import database
from portal.imaging.formats import FORMATS
from portal.storage.keys import original_key
from portal.storage.store import Store

_EXTENSIONS: Final = [each.extension for each in FORMATS]


async def announce_original(image_id: UUID) -> None:
    """Before the bytes are stored; ends with the open transaction."""
    await database.execute("SELECT pg_advisory_xact_lock($1)", _lock_of(image_id))


async def announce_originals(image_ids: Iterable[UUID]) -> None:
    """The same for several, always in the same order, so that two who do so wait for each other in turn."""
    locks = sorted(_lock_of(image_id) for image_id in image_ids)
    await database.execute("SELECT pg_advisory_xact_lock(lock) FROM unnest($1::bigint[]) AS lock", locks)


async def arrived_of(image_ids: Iterable[UUID]) -> set[UUID]:
    """Those of `image_ids` that nobody is just adding. What is read after this in the transaction sees their rows."""
    locks = {_lock_of(image_id): image_id for image_id in image_ids}
    rows = await database.fetch(
        "SELECT lock FROM unnest($1::bigint[]) AS lock WHERE pg_try_advisory_xact_lock(lock)", list(locks)
    )
    return {locks[row["lock"]] for row in rows}


async def other_formats_of(entity_type: str, image_id: UUID, version: int, extension: str, store: Store) -> list[str]:
    """Originals that lie under a version's number in another format: its renditions have the same names."""
    others = [original_key(entity_type, image_id, version, each) for each in _EXTENSIONS if each != extension]
    return [key for key in others if await store.size(key) is not None]


async def is_spoken_for(entity_type: str, image_id: UUID, version: int, extension: str, store: Store) -> bool:
    """Does another format have this number, or does what had it wait for its removal? Asked with the lock in hand."""
    noted = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM object_purge WHERE key = ANY($1::text[]))",
        [original_key(entity_type, image_id, version, each) for each in _EXTENSIONS],
    )
    return noted or bool(await other_formats_of(entity_type, image_id, version, extension, store))


def _lock_of(image_id: UUID) -> int:
    """The random half of a UUIDv7: a large negative number, so none of the portal's other locks."""
    return int.from_bytes(image_id.bytes[8:], "big", signed=True)
