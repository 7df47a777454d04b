"""How often pictures were sent, and how many bytes that were: counted in memory, written to the database every ten seconds.

Nothing of who asked is counted or kept: an image, a size, a format, a day (UTC).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from portal import database
from portal.errors import Unavailable
from portal.regularly import regularly

log = structlog.get_logger()

FLUSH_SECONDS: Final = 10.0
LAST_FLUSH_SECONDS: Final = 5.0  # what a portal that ends waits for a database that does not answer
KEPT_DAYS: Final = 400  # of single images: a year, and the same month of the one before
MOST_IMAGES: Final = 50_000  # counts kept for a database that is away, by image, size and day; about 20 MB
_DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1)

ImageKey = tuple[UUID, str, int]  # image, size, days since 1970
SizeKey = tuple[str, bytes, int]  # size, media type, days since 1970

# Images are locked in their key, so that none goes meanwhile. One that is just being deleted (or moved to the trash) is left
# for later rather than waited for: who deletes many would wait for us in turn. Rows are written in one order by everybody.
_WRITE_IMAGES: Final = """
    WITH there AS MATERIALIZED (SELECT id FROM image WHERE id = ANY($1::uuid[]) FOR KEY SHARE SKIP LOCKED),
    written AS (
        INSERT INTO image_usage AS kept (image, preset, day, served, bytes)
        SELECT image, preset, day, served, bytes
        FROM unnest($1::uuid[], $2::text[], $3::date[], $4::bigint[], $5::bigint[]) AS new (image, preset, day, served, bytes)
        WHERE image IN (SELECT id FROM there)
        ORDER BY image, preset, day
        ON CONFLICT (image, preset, day)
        DO UPDATE SET served = kept.served + excluded.served, bytes = kept.bytes + excluded.bytes
        RETURNING 1)
    SELECT id FROM there
"""
_WRITE_SIZES: Final = """
    INSERT INTO served_day AS kept (preset, format, day, hits, misses, bytes)
    SELECT * FROM unnest($1::text[], $2::text[], $3::date[], $4::bigint[], $5::bigint[], $6::bigint[])
        AS new (preset, format, day, hits, misses, bytes)
    ORDER BY day, preset, format
    ON CONFLICT (day, preset, format)
    DO UPDATE SET hits = kept.hits + excluded.hits, misses = kept.misses + excluded.misses, bytes = kept.bytes + excluded.bytes
"""
# NULL for a transaction that this database does not know: it was restored, or is another one.
_OUTCOME: Final = """
    SELECT CASE WHEN $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot()) THEN pg_xact_status($1::text::xid8) END
"""


@dataclass(slots=True)
class _Counts:
    """`images`: served, bytes, the oldest first; `sizes`: hits, misses, bytes.

    `transaction` is the one that was to write them, where it is not known how that ended.
    """

    images: OrderedDict[ImageKey, list[int]] = field(default_factory=OrderedDict)
    sizes: dict[SizeKey, list[int]] = field(default_factory=dict)
    transaction: str | None = None
    skipped: frozenset[UUID] = frozenset()  # images that somebody held locked


@dataclass(frozen=True, slots=True)
class Served:
    """What was sent of a size in a format on a day."""

    day: date
    size: str
    format: str
    hits: int
    misses: int
    bytes: int


class Usage:
    """What this process has sent and not yet written down. A database that is away loses nothing: it is tried again.

    Beyond `most_images` counts the oldest are dropped; what was sent in all is kept, as there are only so many sizes.
    """

    def __init__(self, *, flush_seconds: float = FLUSH_SECONDS, most_images: int = MOST_IMAGES) -> None:
        self._flush_seconds, self._most = flush_seconds, most_images
        self._counts = _Counts()
        self._sent: _Counts | None = None  # on its way to the database, unchanged until it is known to be there
        self._dropped = 0
        self._turn = asyncio.Lock()

    def count(self, image_id: UUID, size: str, media_type: bytes, bytes_sent: int, is_hit: bool) -> None:
        """One picture was sent. On the hot path: a few dictionary look-ups, and no await."""
        day = int(time.time()) // _DAY
        counts = self._counts
        key = (image_id, size, day)
        of_image = counts.images.get(key)
        if of_image is None:
            of_image = counts.images[key] = [0, 0]
            if len(counts.images) > self._most:
                self._drop_oldest()
        of_image[0] += 1
        of_image[1] += bytes_sent
        sort = (size, media_type, day)
        of_size = counts.sizes.get(sort)
        if of_size is None:
            of_size = counts.sizes[sort] = [0, 0, 0]
        of_size[0 if is_hit else 1] += 1
        of_size[2] += bytes_sent

    def _drop_oldest(self) -> None:
        _, (served, _) = self._counts.images.popitem(last=False)
        self._dropped += served

    def flushed(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Written down every few seconds inside, and once more at the end."""
        return regularly(
            "usage not written", self._flush_and_tell, seconds=self._flush_seconds, last_seconds=LAST_FLUSH_SECONDS
        )

    async def _flush_and_tell(self, is_last: bool) -> None:
        try:
            await self.flush()
        finally:
            if self._dropped:
                log.warning("usage of single images dropped", served=self._dropped, most=self._most)
                self._dropped = 0

    async def flush(self) -> None:
        """Write all that is counted, each count once. Raises what the database raises; then nothing is lost."""
        async with self._turn:
            if self._sent is not None:  # an earlier try: with what was counted since, if that is there now
                await self._write(self._sent)
            if self._counts.images or self._counts.sizes:
                self._sent, self._counts = self._counts, _Counts()
                await self._write(self._sent)

    async def _write(self, counts: _Counts) -> None:
        if counts.transaction is None or not await _was_committed(counts.transaction):
            counts.transaction = None
            async with database.transaction():
                transaction: str = await database.fetch_value("SELECT pg_current_xact_id()::text")
                counts.skipped = await _write_images(counts.images)
                await _write_sizes(counts.sizes)
                counts.transaction = transaction  # from here on it may be committed without our hearing of it
        self._sent = None
        for key, (served, sent) in counts.images.items():
            if key[0] in counts.skipped:
                kept = self._counts.images.setdefault(key, [0, 0])
                kept[0] += served
                kept[1] += sent

    @contextlib.asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Nothing is written while this is held: what the database says and what `unwritten` says are all there is."""
        async with self._turn:
            yield

    def unwritten(self) -> list[Served]:
        found = [] if self._sent is None else list(self._sent.sizes.items())
        return [
            Served(_date(day), size, _format(kind), *figures)
            for (size, kind, day), figures in [*found, *self._counts.sizes.items()]
        ]


async def forget_old_usage(*, dry_run: bool) -> int:
    """How many rows of single images are (or, in a dry run, would be) removed. What was sent in all is kept for good."""
    first = datetime.now(UTC).date() - timedelta(days=KEPT_DAYS)
    if dry_run:
        return await database.fetch_value("SELECT count(*) FROM image_usage WHERE day < $1", first)
    return await database.execute("DELETE FROM image_usage WHERE day < $1", first)


async def _was_committed(transaction: str) -> bool:
    """Raises Unavailable while it is still under way."""
    outcome = await database.fetch_value(_OUTCOME, transaction)
    if outcome == "in progress":
        raise Unavailable("The transaction before has not ended yet.")
    return outcome == "committed"


async def _write_images(images: Mapping[ImageKey, list[int]]) -> frozenset[UUID]:
    """Counts of images that are gone go too. Those that somebody holds locked are not written: their ids."""
    if not images:
        return frozenset()
    columns = _columns_of((image, size, _date(day), *figures) for (image, size, day), figures in images.items())
    there = {row["id"] for row in await database.fetch(_WRITE_IMAGES, *columns)}
    missing = list({image for image, _, _ in images} - there)
    if not missing:
        return frozenset()
    rows = await database.fetch("SELECT id FROM image WHERE id = ANY($1::uuid[])", missing)
    return frozenset(row["id"] for row in rows)


async def _write_sizes(sizes: Mapping[SizeKey, list[int]]) -> None:
    if sizes:
        rows = ((size, _format(kind), _date(day), *figures) for (size, kind, day), figures in sizes.items())
        await database.execute(_WRITE_SIZES, *_columns_of(rows))


def _columns_of(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """As `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)]


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def _format(media_type: bytes) -> str:
    return media_type.decode("ascii", "replace").partition("/")[2][:10]
