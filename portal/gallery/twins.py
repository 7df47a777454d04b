"""Which pictures of a gallery a file is, byte for byte, and which it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from portal import database
from portal.entities.kinds import EntityRef
from portal.errors import FormError, NoSuchEntity, NotFound
from portal.gallery.queries import find_image
from portal.gallery.views import ImageView
from portal.imaging.fingerprint import ALIKE_BITS
from portal.storage.links import Links

MOST_HASHES: Final = 500
MOST_LOOKALIKES: Final = 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def read_hashes(sent: object) -> list[str]:
    """Raises FormError unless these are 1 to 500 SHA-256 hashes, in hex."""
    if not isinstance(sent, list) or not 1 <= len(sent) <= MOST_HASHES:
        raise FormError({"sha256": f"Send a list of 1 to {MOST_HASHES} hashes."})
    return [read_hash(each) for each in sent]


def read_hash(sent: object) -> str:
    """Raises FormError."""
    if not isinstance(sent, str) or not _SHA256.fullmatch(sent.lower()):
        raise FormError({"sha256": "A SHA-256 is 64 hexadecimal digits."})
    return sent.lower()


async def known_in(ref: EntityRef, hashes: Iterable[str]) -> dict[str, list[str]]:
    """The ids of this gallery's pictures with one of these hashes, the trash not counted. Raises NoSuchEntity."""
    gallery = await database.fetch_value("SELECT pk FROM entity WHERE type = $1 AND id = $2", ref.type, ref.id)
    if gallery is None:
        raise NoSuchEntity(f"There is no {ref}.")
    rows = await database.fetch(
        """SELECT sha256, array_agg(id::text ORDER BY sort_order) AS ids FROM image
           WHERE entity = $1 AND sha256 = ANY($2::text[]) AND trashed_at IS NULL GROUP BY sha256""",
        gallery,
        list(hashes),
    )
    return {row["sha256"]: row["ids"] for row in rows}


async def lookalikes_of(
    image_id: UUID, links: Links, *, but_copies: bool = False, limit: int = MOST_LOOKALIKES
) -> list[ImageView]:
    """Pictures of the same gallery that look like this one, the likest first; `but_copies`: without those of the same bytes.

    Raises NotFound.
    """
    row = await database.fetch_row("SELECT entity, fingerprint, sha256 FROM image WHERE id = $1", image_id)
    if row is None:
        raise NotFound("There is no picture with this id.")
    found = await database.fetch(
        """SELECT id FROM image
           WHERE entity = $1 AND id <> $2 AND trashed_at IS NULL AND sha256 <> $5
             AND bit_count((fingerprint # $3::bigint)::bit(64)) <= $4
           ORDER BY bit_count((fingerprint # $3::bigint)::bit(64)), sort_order LIMIT $6""",
        row["entity"],
        image_id,
        row["fingerprint"],
        ALIKE_BITS,
        row["sha256"] if but_copies else "",
        limit,
    )
    views = [await find_image(each["id"], links) for each in found]
    return [view for view in views if view is not None]
