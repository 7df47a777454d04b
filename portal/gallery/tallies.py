"""Tallies of galleries (`entity_tally`), which triggers keep: held against counting, and counted anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from portal import database
from portal.entities.kinds import EntityRef
from portal.gallery import places

COUNT_SECONDS: Final = 600.0  # a pass over a million pictures
FIGURES: Final = ("images", "unsaid", "primary_width", "primary_height")

_PAIRS: Final = ", ".join(f"k.{name} AS kept_{name}, c.{name} AS counted_{name}" for name in FIGURES)
_SAME: Final = " AND ".join(f"k.{name} IS NOT DISTINCT FROM c.{name}" for name in ("type", *FIGURES))
_MISMATCHES: Final = f"""
    SELECT e.type, e.id, k.entity IS NULL AS is_lost, {_PAIRS}
    FROM entity_tallied($1) c JOIN entity e ON e.pk = c.entity LEFT JOIN entity_tally k ON k.entity = c.entity
    WHERE k.entity IS NULL OR NOT ({_SAME}) ORDER BY e.pk
"""  # noqa: S608 - constant columns
_RETALLY: Final = f"""
    INSERT INTO entity_tally (entity, type, {", ".join(FIGURES)}) SELECT * FROM entity_tallied($1)
    ON CONFLICT (entity) DO UPDATE SET type = excluded.type, {", ".join(f"{name} = excluded.{name}" for name in FIGURES)}
"""  # noqa: S608 - constant columns


@dataclass(frozen=True, slots=True)
class TallyMismatch:
    """A gallery whose tally says something else than counting does; `kept` is None where it has none."""

    ref: EntityRef
    kept: dict[str, Any] | None
    counted: dict[str, Any]

    @property
    def detail(self) -> str:
        kept = "is not there" if self.kept is None else f"says {_words(self.kept)}"
        return f"counted {_words(self.counted)}; the tally {kept}"


async def tally_mismatches(gallery: places.LockedGallery | None = None) -> list[TallyMismatch]:
    """Tallies (all, or that of one gallery) against counting, in one snapshot: who changes a gallery meanwhile is in both or in
    none."""
    with database.patience(COUNT_SECONDS):
        rows = await database.fetch(_MISMATCHES, None if gallery is None else gallery.pk)
    return [
        TallyMismatch(
            EntityRef(row["type"], row["id"]),
            None if row["is_lost"] else {name: row[f"kept_{name}"] for name in FIGURES},
            {name: row[f"counted_{name}"] for name in FIGURES},
        )
        for row in rows
    ]


async def retally(gallery: places.LockedGallery) -> None:
    """Its row is held, so that nobody counts beside."""
    await database.execute(_RETALLY, gallery.pk)


def _words(figures: dict[str, Any]) -> str:
    width, height = figures["primary_width"], figures["primary_height"]
    primary = "no primary" if width is None else f"a primary of {width} × {height}"
    return f"{figures['images']} pictures, {figures['unsaid']} without alt text, {primary}"
