"""Tells a cache in front of the portal which pictures to forget (PORTAL_CDN_PURGE_URL).

A trigger notes every picture that changed, was trashed or deleted, in the transaction that did it, as long as `portal_state` has
a row `edge`. What is noted goes out at least once, and is forgotten when the cache has said yes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import structlog

from portal import database
from portal.media.catalogue import edge_tag
from portal.media.wish import MOUNT
from portal.settings import Settings

log = structlog.get_logger()

EVERY: Final = 1.0  # seconds
HEARD: Final = 0.3  # by then every process knows of a change: a cache that asks again at once gets no old picture
BATCH: Final = 30  # rows; no more tags than the strictest of the great networks takes at a time
PATIENCE: Final = 10.0
LONGEST_PAUSE: Final = 60.0

_TAKE: Final = """
    DELETE FROM edge_purge WHERE pk IN (
        SELECT pk FROM edge_purge WHERE pk <= $1 ORDER BY pk LIMIT $2 FOR UPDATE SKIP LOCKED
    ) RETURNING image, entity_type
"""


class NotPurged(Exception):
    """The cache did not say yes."""


class Edge:
    """To be run in each process that answers requests: each takes what no other has in hand."""

    def __init__(self, settings: Settings) -> None:
        self._url, self._base_url = settings.cdn_purge_url, settings.base_url
        self._private = settings.private_types
        self._failures = 0

    async def run(self) -> None:
        """For ever; where no cache is to be told, until that is written down."""
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            while True:
                if await self._succeeds(client) and self._url is None:
                    return
                await asyncio.sleep(min(EVERY * 2 ** min(self._failures, 10), LONGEST_PAUSE))

    async def _succeeds(self, client: httpx.AsyncClient) -> bool:
        """One turn. Whatever goes wrong is said once, and tried again after a while: what is noted stays."""
        try:
            await (_forget_edge() if self._url is None else self._turn(client, self._url))
        except Exception as error:
            if not self._failures:
                log.warning("cache in front not told", host=self._host, error=str(error) or type(error).__name__)
            self._failures += 1
            return False
        if self._failures:
            log.info("cache in front told again", host=self._host)
        self._failures = 0
        return True

    @property
    def _host(self) -> str | None:
        """Of the address alone: its rest may hold a secret."""
        return urlsplit(self._url or "").hostname

    async def _turn(self, client: httpx.AsyncClient, url: str) -> None:
        await database.execute("INSERT INTO portal_state (name, value) VALUES ('edge', 'true') ON CONFLICT DO NOTHING")
        newest = await database.fetch_value("SELECT max(pk) FROM edge_purge")
        if newest is None:
            return
        await asyncio.sleep(HEARD)
        while await self._send_batch(client, url, newest):
            pass

    async def _send_batch(self, client: httpx.AsyncClient, url: str, newest: int) -> bool:
        """Is there more? What was taken is put back by the transaction unless the cache says yes."""
        async with database.transaction():
            rows = await database.fetch(_TAKE, newest, BATCH)
            images = {row["image"] for row in rows if row["entity_type"] not in self._private}
            if images:
                await _post(client, url, self._said(images))
        return len(rows) == BATCH

    def _said(self, images: Collection[UUID]) -> dict[str, list[str]]:
        """Each URL is what all addresses of that picture begin with: sizes and versions follow after a `?`."""
        ordered = sorted(images)
        return {
            "tags": [edge_tag(image_id) for image_id in ordered],
            "urls": [f"{self._base_url}{MOUNT}/{image_id}" for image_id in ordered],
        }


async def _post(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> None:
    """Raises NotPurged, httpx.HTTPError. The answer's body is not read."""
    try:
        async with asyncio.timeout(PATIENCE), client.stream("POST", url, json=body) as answer:
            if not answer.is_success:
                raise NotPurged(f"it answered {answer.status_code}")
    except TimeoutError as error:
        raise NotPurged(f"no answer within {PATIENCE:g} seconds") from error


async def _forget_edge() -> None:
    async with database.transaction():
        await database.execute("DELETE FROM portal_state WHERE name = 'edge'")
        await database.execute("DELETE FROM edge_purge")
