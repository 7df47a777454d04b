"""Which pictures of all galleries look like one, and which are the very same file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.errors import NotFound
from portal.gallery.hits import ImageHit, hits_of
from portal.imaging.fingerprint import ALIKE_BITS
from portal.storage.links import Links

SIMILAR_BITS: Final = 10  # of 64: the same scene, cut or lit another way
MOST_ALIKE: Final = 24
_MOST_LOOKED_AT: Final = 20_000  # where very many share a quarter
_QUARTERS: Final = 4
_QUARTER_BITS: Final = 16


@dataclass(frozen=True, slots=True)
class Likeness:
    """A picture and how near it is: `bits` of 64 differ; the same file has none, even where pictures have no shape."""

    hit: ImageHit
    is_same_file: bool
    bits: int

    @property
    def is_nearly_same(self) -> bool:
        return self.bits <= ALIKE_BITS


@dataclass(frozen=True, slots=True)
class Likes:
    """What is looked for: a file's hash, a shape (None for what has none), and the picture that it is itself."""

    sha256: str
    fingerprint: int | None
    image: UUID | None = None


async def likes_of(image_id: UUID) -> Likes:
    """Raises NotFound."""
    row = await database.fetch_row("SELECT sha256, fingerprint FROM image WHERE id = $1", image_id)
    if row is None:
        raise NotFound("There is no picture with this id.")
    return Likes(row["sha256"], row["fingerprint"], image_id)


async def pictures_like(wanted: Likes, links: Links, limit: int = MOST_ALIKE) -> list[Likeness]:
    """Pictures outside the trash, the same files first, then the likest; of files also those that were replaced later."""
    same = await _same_files(wanted, limit)
    near = await _near(wanted, limit + len(same)) if wanted.fingerprint is not None else {}
    ids = [*same, *(image_id for image_id in near if image_id not in same)][:limit]
    hits = await hits_of(ids, links)
    return [Likeness(hit, id in same, 0 if id in same else near[id]) for hit in hits for id in [UUID(hit.image.id)]]


async def _same_files(wanted: Likes, limit: int) -> list[UUID]:
    rows = await database.fetch(
        """SELECT id FROM image WHERE sha256 = $1 AND trashed_at IS NULL AND id IS DISTINCT FROM $2
           UNION SELECT i.id FROM image_version v JOIN image i ON i.id = v.image
           WHERE v.sha256 = $1 AND i.trashed_at IS NULL AND i.id IS DISTINCT FROM $2
           ORDER BY id DESC LIMIT $3""",
        wanted.sha256,
        wanted.image,
        limit,
    )
    return [row["id"] for row in rows]


async def _near(wanted: Likes, limit: int) -> dict[UUID, int]:
    """The bits that differ, by id, the fewest first. All that differ in seven or less are found, of others most."""
    assert wanted.fingerprint is not None
    # The planner takes so many quarters for a third of the table, and would read all of it.
    async with database.transaction():
        await database.execute("SET LOCAL enable_seqscan = off")
        rows = await _candidates(wanted.fingerprint, wanted.image, limit)
    return {row["id"]: row["bits"] for row in rows}


async def _candidates(fingerprint: int, but: UUID | None, limit: int) -> list[database.Row]:
    return await database.fetch(
        """SELECT id, bits FROM (
               SELECT id, bit_count((fingerprint # $1::bigint)::bit(64)) AS bits FROM image
               WHERE image_likeness(fingerprint) && $2::int[] AND fingerprint IS NOT NULL AND trashed_at IS NULL
                 AND id IS DISTINCT FROM $3 LIMIT $5) AS near
           WHERE bits <= $4 ORDER BY bits, id DESC LIMIT $6""",
        fingerprint,
        quarters_near(fingerprint),
        but,
        SIMILAR_BITS,
        _MOST_LOOKED_AT,
        limit,
    )


def quarters_near(fingerprint: int) -> Sequence[int]:
    """Each quarter of the fingerprint, as `image_likeness` of the database writes it, and with each one of its bits turned."""
    found: list[int] = []
    for at in range(_QUARTERS):
        quarter: Any = fingerprint >> at * _QUARTER_BITS & (1 << _QUARTER_BITS) - 1
        found += [at << _QUARTER_BITS | quarter ^ turned for turned in (0, *(1 << bit for bit in range(_QUARTER_BITS)))]
    return found
