"""Changes of sizes that a backup tells of: they come with all of it; into an empty portal as they were, else those in force."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from portal import database
from portal.backups import layout
from portal.backups.destination import Destination
from portal.backups.lines import Line, read_sound_lines
from portal.backups.root import Foreign, Root
from portal.gallery.presets import changes_in_force, lock_presets, without_defaults
from portal.imaging.presets import PRESETS, Measure

_FIELDS: Final = {"name", "width", "height", "quality", "state", "decided_by", "decided_at", "ended_at"}
_STATES: Final = ("rolling", "done", "cancelled")
_MOST: Final = 10_000
_INSERT: Final = """
    INSERT INTO preset_change (name, width, height, quality, state, decided_by, decided_at, ended_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def read_sizes(destination: Destination, root: Root) -> list[Line]:
    """Oldest first. Raises Foreign, Damaged."""
    key = f"{layout.folder_of(root.id)}/{layout.SIZES}"
    if (member := root.members.get(layout.SIZES)) is None:
        return []
    found: list[Line] = []
    async for lines in read_sound_lines(destination, key, member):
        for line in lines:
            if not _is_right(line):
                raise Foreign(f"{key}, line {len(found) + 1}: this is no change of a size.")
            found.append(line)
            if len(found) > _MOST:
                raise Foreign(f"{key} tells of more than {_MOST} changes.")
    return found


def _is_right(line: Line) -> bool:
    measure = [line.get(name) for name in ("width", "height", "quality")]
    is_measure = all(isinstance(each, int) and not isinstance(each, bool) and 0 < each <= 10_000 for each in measure)
    is_named = line.get("name") in PRESETS and line.get("state") in _STATES and isinstance(line.get("decided_by"), str)
    return is_measure and is_named and set(line) <= _FIELDS and _moment(line.get("decided_at")) is not None


def _moment(value: Any) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


async def count_changes(lines: list[Line], *, is_into_empty: bool) -> int:
    """How many come, or are taken back, if they come now."""
    return len(lines) if is_into_empty else len(await _differences(lines))


async def write_sizes(lines: list[Line], *, is_into_empty: bool) -> None:
    """In the open transaction. A roll-out that was under way is over: its job is not here."""
    await lock_presets()
    if is_into_empty:
        for line in lines:
            await _insert(line)
        return
    for name, line in (await _differences(lines)).items():
        if line is None:
            await database.execute("UPDATE preset_change SET state = 'cancelled' WHERE name = $1", name)
        else:
            await _insert(line)


async def _insert(line: Line) -> None:
    state = "done" if line["state"] == "rolling" else line["state"]
    decided_at = _moment(line["decided_at"])
    ended_at = _moment(line.get("ended_at")) or decided_at
    measure = (line["width"], line["height"], line["quality"])
    await database.execute(_INSERT, line["name"], *measure, state, line["decided_by"][:200], decided_at, ended_at)


async def _differences(lines: list[Line]) -> dict[str, Line | None]:
    """By name: the change to bring into force, or None where the code's size shall be."""
    last = {line["name"]: line for line in lines if line["state"] != "cancelled"}
    measures: dict[str, Measure] = {
        name: (each["width"], each["height"], each["quality"]) for name, each in last.items()
    }
    wanted, there = without_defaults(measures), await changes_in_force()
    return {
        name: last[name] if name in wanted else None
        for name in {*wanted, *there}
        if wanted.get(name) != there.get(name)
    }
