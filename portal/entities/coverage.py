"""How much of each entity type has what it needs: pictures, a primary one, alt texts, enough pixels for print."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

from portal import database
from portal.entities.kinds import KINDS
from portal.entities.lasting import Lasting
from portal.entities.listing import PRINT_BOX, Box, gap
from portal.entities.queries import are_many


@dataclass(frozen=True, slots=True)
class Share:
    """Of `total`, `lacking` lack it."""

    total: int
    lacking: int

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all."""
        return 100 * (self.total - self.lacking) // self.total if self.total else 0


@dataclass(frozen=True, slots=True)
class Coverage:
    """One type. Who lacks a picture lacks a primary one too; alt texts are asked of galleries with pictures, the size of print of
    those with a primary picture. `unsaid`: pictures without alt text."""

    type: str
    total: int = 0
    without_picture: int = 0
    without_primary: int = 0
    without_alt: int = 0
    low_resolution: int = 0
    unsaid: int = 0

    @property
    def with_pictures(self) -> int:
        return self.total - self.without_picture

    @property
    def label(self) -> str:
        return KINDS[self.type].label

    @property
    def shares(self) -> dict[str, Share]:
        """By what a list calls `missing`."""
        return {
            "image": Share(self.total, self.without_picture),
            "primary": Share(self.total, self.without_primary),
            "alt": Share(self.with_pictures, self.without_alt),
            "low_resolution": Share(self.total - self.without_primary, self.low_resolution),
        }


async def coverage(box: Box = PRINT_BOX) -> list[Coverage]:
    """All five types in the order of the menu; where there are very many, some seconds old. `box`: that of print."""
    return await _lasting(box).get()


@lru_cache(maxsize=4)
def _lasting(box: Box) -> Lasting[list[Coverage]]:
    return Lasting(partial(_count, box), is_large=lambda found: are_many(sum(each.total for each in found)))


async def _count(box: Box) -> list[Coverage]:
    rows = await database.fetch(
        f"""SELECT t.type, count(*) AS total, count(*) FILTER (WHERE {gap("image")}), count(*) FILTER (WHERE {gap("primary")}),
                   count(*) FILTER (WHERE {gap("alt")}), count(*) FILTER (WHERE {gap("low_resolution", box)}),
                   sum(t.unsaid)
            FROM entity_tally t GROUP BY t.type"""  # noqa: S608 - constant clauses
    )
    found = {row["type"]: Coverage(*row.values()) for row in rows}
    return [found.get(name, Coverage(name)) for name in KINDS]
