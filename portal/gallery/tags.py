"""Tags that were used once: those that begin so, which of them one that is written means, and those of the same gallery."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from portal import database

MOST: Final = 8  # to choose from while one types
_MOST_MEANT: Final = 50
_LOOKED_AT: Final = 500  # pictures of one gallery


async def tags_beginning(text: str, limit: int = MOST) -> list[str]:
    """In the order of the alphabet, without regard to case."""
    beginning = text.strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = await database.fetch(
        "SELECT name FROM tag WHERE lower(name) LIKE $1 ORDER BY lower(name), name LIMIT $2", f"{beginning}%", limit
    )
    return [row["name"] for row in rows]


async def tags_meant(written: str) -> list[str]:
    """However its letters are written; where there is none of this name (yet), those that begin so."""
    rows = await database.fetch("SELECT name FROM tag WHERE lower(name) = lower($1)", written)
    return [row["name"] for row in rows] or await tags_beginning(written, _MOST_MEANT)


async def tags_beside(image_id: UUID) -> list[str]:
    """What the other pictures of its gallery are tagged with, the most used first."""
    rows = await database.fetch(
        """SELECT name FROM (SELECT unnest(tags) AS name FROM image
               WHERE entity = (SELECT entity FROM image WHERE id = $1) AND trashed_at IS NULL AND id <> $1
               LIMIT $2) AS beside
           GROUP BY name ORDER BY count(*) DESC, name LIMIT $3""",
        image_id,
        _LOOKED_AT,
        MOST,
    )
    return [row["name"] for row in rows]
