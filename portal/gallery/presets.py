"""The presets in force: the code's table with what was decided since.

Asked of the database whenever a rendering begins, and again when it ends: no process keeps it, so none can be late.
"""

from __future__ import annotations

from typing import Final

from portal import database
from portal.imaging.presets import PRESETS, Changes, Measure, Preset, presets_with

LOCK: Final = 7_310_030
# Of each name the last that was not cancelled; one whose roll-out was cancelled before it began is not in force either.
_IN_FORCE: Final = """
    SELECT DISTINCT ON (c.name) c.name, c.width, c.height, c.quality
    FROM preset_change c LEFT JOIN job ON job.id = c.job
    WHERE c.state <> 'cancelled' AND NOT (c.state = 'rolling' AND coalesce(job.state, '') = 'cancelled')
    ORDER BY c.name, c.pk DESC
"""


async def changes_in_force() -> dict[str, Measure]:
    """What is otherwise than the code's table says, by name."""
    rows = await database.fetch(_IN_FORCE)
    found: dict[str, Measure] = {row["name"]: (row["width"], row["height"], row["quality"]) for row in rows}
    return without_defaults(found)


async def presets_in_force() -> dict[str, Preset]:
    return presets_with(await changes_in_force())


async def print_box() -> tuple[int, int]:
    """In pixels: a picture that fills neither side of it is too small for print."""
    preset = (await presets_in_force())["print"]
    return preset.width, preset.height


def without_defaults(changes: Changes) -> dict[str, Measure]:
    """As sets of renditions note it: a preset that is again what the code says is no change."""
    return {
        name: measure
        for name, measure in sorted(changes.items())
        if name in PRESETS and measure != PRESETS[name].measure
    }


async def hold_presets() -> None:
    """Until the open transaction ends nobody decides otherwise; who has just decided is waited for."""
    await database.execute("SELECT pg_advisory_xact_lock_shared($1)", LOCK)


async def lock_presets() -> None:
    """Until the open transaction ends: whose set becomes whole before it is seen by us, whose later sees what we decide."""
    await database.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
