"""Bytes in memory: objects never change under their key, so what was read once need not be read again."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from typing import Final

import structlog

from portal.errors import Gone
from portal.media.catalogue import Source
from portal.storage.store import Store

log = structlog.get_logger()

HOT_BYTES: Final = 64 * 1024 * 1024


class HotBytes:
    """Pictures by key, those used last, `limit` bytes in all; one that would push out a quarter is not kept.

    A film may have 10 MB: kept, a hundred slow readers hold it once together. Beside a picture its ETag, where nobody
    else knows it.
    """

    def __init__(self, limit: int = HOT_BYTES) -> None:
        self._limit = limit
        self._held = 0
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._etags: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        data = self._pictures.get(key)
        if data is not None:
            self._pictures.move_to_end(key)
        return data

    def etag_of(self, key: str) -> bytes:
        """As it was put together with the picture, which is still held."""
        return self._etags[key]

    def put(self, key: str, data: bytes, etag: bytes | None = None) -> bytes:
        """What is to be sent: of those who read it at the same time, all send the bytes of the first."""
        if len(data) * 4 > self._limit or key in self._pictures:
            return self._pictures.get(key, data)
        self._pictures[key] = data
        self._held += len(data)
        if etag is not None:
            self._etags[key] = etag
        while self._held > self._limit:
            dropped, picture = self._pictures.popitem(last=False)
            self._held -= len(picture)
            self._etags.pop(dropped, None)
        return data


async def read_source(source: Source, store: Store, hot: HotBytes) -> bytes:
    """The object's bytes, checked the first time. Raises Gone when they are lost or no longer what was stored."""
    data = hot.get(source.key)
    if data is None:
        try:
            data = await store.read(source.key)
        except Gone:
            log.error("object missing", key=source.key)
            raise
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        if digest != source.sha256:
            log.error("checksum mismatch", key=source.key)
            raise Gone("The bytes of this picture are damaged. It has to be healed from a backup or uploaded again.")
        return hot.put(source.key, data)
    return data
