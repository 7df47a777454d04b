"""Counters of what is stored: triggers add differences to `stored_count`, whoever wants a figure sums them.

Parts: `original`, the name of each rendition, `compressible` (originals that have their large rendition), `version`
(originals that were replaced) and `version_set` (their renditions), both of status `old` and in the month they were added,
and `shared`: renditions of an old version that a picture shows until its new ones are made, counted under both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from portal import database
from portal.jobs import alone as turns
from portal.jobs.alone import alone

COUNT_SECONDS: Final = 600.0  # a pass over a million pictures
_KEY: Final = "entity_type, month, status, is_trashed, part"
# Differences come and go while this runs: what it does not see, it neither takes nor sums.
_FOLD: Final = f"""
    WITH many AS (SELECT {_KEY} FROM stored_count GROUP BY {_KEY}
                  HAVING count(*) > 1 OR (sum(pieces) = 0 AND sum(bytes) = 0)),
         taken AS (DELETE FROM stored_count USING many
                   WHERE stored_count.entity_type = many.entity_type AND stored_count.month = many.month
                     AND stored_count.status = many.status AND stored_count.is_trashed = many.is_trashed
                     AND stored_count.part = many.part
                   RETURNING stored_count.*),
         added AS (INSERT INTO stored_count ({_KEY}, pieces, bytes)
                   SELECT {_KEY}, sum(pieces), sum(bytes) FROM taken GROUP BY {_KEY} HAVING sum(pieces) <> 0 OR sum(bytes) <> 0
                   RETURNING 1)
    SELECT (SELECT count(*) FROM taken) - (SELECT count(*) FROM added)
"""  # noqa: S608 - constant columns
_RECOUNT: Final = f"""
    WITH gone AS (DELETE FROM stored_count)
    INSERT INTO stored_count ({_KEY}, pieces, bytes) SELECT * FROM stored_counted()
"""  # noqa: S608 - constant columns
_MISMATCHES: Final = """
    SELECT entity_type, month, status, is_trashed, part,
           sum(kept)::bigint AS kept, sum(counted)::bigint AS counted, sum(kept_bytes)::bigint AS kept_bytes,
           sum(counted_bytes)::bigint AS counted_bytes
    FROM (SELECT entity_type, month, status, is_trashed, part,
                 pieces AS kept, 0 AS counted, bytes AS kept_bytes, 0 AS counted_bytes FROM stored_count
          UNION ALL SELECT entity_type, month, status, is_trashed, part, 0, pieces, 0, bytes FROM stored_counted()) AS both_ways
    GROUP BY entity_type, month, status, is_trashed, part
    HAVING sum(kept) <> sum(counted) OR sum(kept_bytes) <> sum(counted_bytes)
    ORDER BY entity_type, month, part, status, is_trashed
"""


@dataclass(frozen=True, slots=True)
class Count:
    """`month`: the first day of that in which the picture was added, in UTC."""

    entity_type: str
    month: date
    status: str
    is_trashed: bool
    part: str
    pieces: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CounterMismatch:
    """A counter that says something else than counting does."""

    entity_type: str
    month: date
    status: str
    is_trashed: bool
    part: str
    kept: int
    counted: int
    kept_bytes: int
    counted_bytes: int

    @property
    def name(self) -> str:
        """The counter's own."""
        return f"counters/{self.entity_type}/{self.month:%Y-%m}/{self._where}/{self.part}"

    @property
    def _where(self) -> str:
        return f"{self.status} in the trash" if self.is_trashed else self.status

    @property
    def detail(self) -> str:
        return (
            f"{self.entity_type} of {self.month:%Y-%m}, {self._where}, {self.part}: counted {self.counted} ({self.counted_bytes}"
            f" bytes), the counter says {self.kept} ({self.kept_bytes} bytes)"
        )


async def stored_counts() -> list[Count]:
    """Exact at the moment of asking, and quick however many pictures there are."""
    rows = await database.fetch(
        f"""SELECT {_KEY}, sum(pieces)::bigint, sum(bytes)::bigint FROM stored_count
            GROUP BY {_KEY} HAVING sum(pieces) <> 0 OR sum(bytes) <> 0"""  # noqa: S608 - constant columns
    )
    return [Count(*row.values()) for row in rows]


async def fold_counts() -> int:
    """Sum up differences, beside writers; how many rows fewer there are. Raises Running."""
    async with alone(turns.COUNTING):
        with database.patience(COUNT_SECONDS):
            return await database.fetch_value(_FOLD)


async def recount() -> list[CounterMismatch]:
    """Count all that is stored, beside writers, and keep that; what was wrong before. Raises Running."""
    async with alone(turns.COUNTING):
        found = await counter_mismatches()
        if found:
            with database.patience(COUNT_SECONDS):
                await database.execute(_RECOUNT)
        return found


async def counter_mismatches() -> list[CounterMismatch]:
    """Counters against counting, both in one snapshot: who writes meanwhile is in both or in none."""
    with database.patience(COUNT_SECONDS):
        rows = await database.fetch(_MISMATCHES)
    return [CounterMismatch(*row.values()) for row in rows]
