"""Rows of a large shop by COPY: entities, pictures with believable renditions, what was served, notes of days. No bytes."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from portal import database, settings

AT_ONCE = 20_000
PATIENCE = 1800  # seconds
PICTURES_EACH = 5  # of an entity
WITHOUT = 0.05  # as many again have none
SMALL = 0.03  # of pictures: too small for print
TYPES = (("inventory_items", 0.9), ("invoices", 0.05), ("customers", 0.03), ("companies", 0.01), ("categories", 0.01))
# bytes against those of an original of 3 MB, and the box
SIZES = {
    "icon": (2_000, 64, 64),
    "small": (5_000, 150, 113),
    "medium": (14_000, 300, 225),
    "large": (45_000, 600, 450),
    "card": (22_000, 400, 300),
    "gallery": (75_000, 800, 600),
    "optimized": (420_000, 2048, 1536),
}
WORDS = (
    "oak lamp mug blue red table brass stool vase bowl candle clock teapot shelf box linen small large old new".split()
)
COLUMNS = (
    "id entity filename media_type extension bytes width height sha256 status alt_text tags is_primary sort_order last_order"
    " renditions fingerprint trashed_at created_at updated_at placeholder"
).split()
EPOCH = datetime(2024, 12, 1, tzinfo=UTC)


def seed(data_dir: Path, images: int) -> float:
    """How many pictures a second went in; indexes are made, and all is counted, after that."""
    return asyncio.run(_seed(settings.load({"PORTAL_DATA_DIR": str(data_dir)}, None), images))


async def _seed(found: settings.Settings, images: int) -> float:
    async with database.open_database(found):
        connection = await asyncpg.connect(**database.DB.config)
        try:
            entities = await add_entities(connection, round(images // PICTURES_EACH * (1 + WITHOUT)))
            began = time.monotonic()
            async with bare(connection):
                for first in range(0, images, AT_ONCE):
                    source = io.BytesIO("".join(_lines(first, min(AT_ONCE, images - first), entities)).encode())
                    await connection.copy_to_table("image", source=source, columns=COLUMNS)
                seconds = time.monotonic() - began
            await _add_history(connection)
            for statement in (
                "VACUUM ANALYZE image",
                "VACUUM ANALYZE entity",
                "VACUUM ANALYZE entity_tally",
                "ANALYZE",
            ):
                await connection.execute(statement, timeout=PATIENCE)
        finally:
            await connection.close()
    return images / seconds


@contextlib.asynccontextmanager
async def bare(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """The table without triggers and without the indexes that no constraint needs; then they are back, and counters true."""
    indexes = await connection.fetch(
        """SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'image'
           AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE conrelid = 'image'::regclass)"""
    )
    await connection.execute("ALTER TABLE image DISABLE TRIGGER USER; SET maintenance_work_mem = '512MB'")
    for row in indexes:
        await connection.execute(f"DROP INDEX {row['indexname']}")
    yield
    await connection.execute("ALTER TABLE image ENABLE TRIGGER USER")
    for statement in (
        *(row["indexdef"] for row in indexes),
        "DELETE FROM stored_count",
        """INSERT INTO stored_count (entity_type, month, status, is_trashed, part, pieces, bytes)
           SELECT * FROM stored_counted()""",
        "DELETE FROM entity_tally",
        "INSERT INTO entity_tally SELECT * FROM entity_tallied()",
        "INSERT INTO tag (name) SELECT DISTINCT unnest(tags) FROM image ON CONFLICT DO NOTHING",
    ):
        await connection.execute(statement, timeout=PATIENCE)


async def add_entities(connection: asyncpg.Connection, count: int) -> int:
    """The number of the first one."""
    kinds = random.choices([name for name, _ in TYPES], [share for _, share in TYPES], k=count)
    rows = (
        f"{kind}\tSHOP-{at}\t{' '.join(random.choices(WORDS, k=3)).title()} {at}\t{{}}\n"
        for at, kind in enumerate(kinds)
    )
    source = io.BytesIO("".join(rows).encode())
    await connection.copy_to_table("entity", source=source, columns=["type", "id", "name", "attributes"])
    return await connection.fetchval("SELECT min(pk) FROM entity")


def _lines(first: int, count: int, entity: int) -> Iterator[str]:
    for at in range(first, first + count):
        place = at % PICTURES_EACH
        created = EPOCH + timedelta(seconds=at * 60)
        is_trashed, status = at % 100 == 99, _status(at)  # the last of its gallery: no gap in the order
        size = random.randint(800_000, 6_000_000)
        width, height = ("800", "600") if random.random() < SMALL else ("4032", "3024")
        values = (
            str(new_uuid7(created)),
            str(entity + at // PICTURES_EACH),
            f"IMG_{at:07}.jpg",
            "image/jpeg",
            "jpg",
            str(size),
            width,
            height,
            f"{random.getrandbits(256):064x}",
            status,
            " ".join(random.choices(WORDS, k=5)) if at % 10 < 8 else r"\N",
            f"{{{random.choice(WORDS)}}}",
            "t" if place == 0 and not is_trashed and status == "ready" else "f",
            r"\N" if is_trashed else str(place),
            str(place),
            _renditions(size) if status == "ready" else "{}",
            str(random.getrandbits(63)),
            created.isoformat() if is_trashed else r"\N",
            created.isoformat(),
            created.isoformat(),
            "data:image/webp;base64,UklGRlYAAABXRUJQVlA4IEoAAADQAQCdASoQAAwAAgA0JQBOgCHw3fW8AP77",
        )
        yield "\t".join(values) + "\n"


def _status(at: int) -> str:
    return "failed" if at % 20_000 == 7 else "pending" if at % 50_000 == 11 else "ready"


def _renditions(size: int) -> str:
    scale = size / 3_000_000 * random.uniform(0.6, 1.6)
    items = {
        name: {
            "width": width,
            "height": height,
            "bytes": int(weight * scale) + 1,
            "sha256": f"{random.getrandbits(256):064x}",
            "media_type": "image/jpeg",
        }
        for name, (weight, width, height) in SIZES.items()
    }
    made_of = {"extension": "jpg", "edits": {}, "focal_point": None}
    return json.dumps({"of": "1.1", "made_of": made_of, "items": items})


def new_uuid7(moment: datetime) -> UUID:
    chance = int.from_bytes(os.urandom(10), "big")
    number = int(moment.timestamp() * 1000) << 80 | chance
    return UUID(int=number & ~(0xF << 76) & ~(0b11 << 62) | 7 << 76 | 0b10 << 62)


async def _add_history(connection: asyncpg.Connection) -> None:
    """What a hundred days leave behind: of counts a tenth of the pictures', days, jobs, lines of the audit."""
    for statement in (
        """INSERT INTO image_usage (image, preset, day, served, bytes)
           SELECT id, preset, current_date - d, 1 + d, 40000 FROM image, unnest(ARRAY['card', 'optimized']) AS preset,
                  generate_series(0, 20, 10) AS d WHERE fingerprint % 10 = 0""",
        """INSERT INTO served_day (day, preset, format, hits, misses, bytes)
           SELECT current_date - d, preset, 'webp', 900000, 40000, 90000000000
           FROM generate_series(0, 100) AS d, unnest(ARRAY['icon', 'card', 'gallery', 'optimized']) AS preset""",
        """INSERT INTO stored_day (day, part, pieces, bytes)
           SELECT current_date - d, part, 1000000 - d * 1000, (1000 - d) * 3000000000
           FROM generate_series(1, 100) AS d, unnest(ARRAY['originals', 'renditions', 'trash', 'cache']) AS part""",
        """INSERT INTO job (id, kind, state, arguments, progress, actor, created_at, finished_at)
           SELECT gen_random_uuid(), 'cleanup', 'succeeded', '{}', '{}', 'system', now(), now() FROM generate_series(1, 2000)""",
        """INSERT INTO audit (actor, action, subject_type, subject_id, at)
           SELECT 'system', 'image.update', 'image', id, created_at FROM image WHERE fingerprint % 5 = 0""",
    ):
        await connection.execute(statement, timeout=PATIENCE)
