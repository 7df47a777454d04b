"""Sizes made otherwise than the code says: decided once, rolled out in the background, taken back by a cancel.

A change is in force from the moment it is decided: what is rendered from then on is made by it. Until a picture's new set is
whole, the old one is served.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.audit.service import record
from portal.errors import Conflict, FormError, NotFound, Running
from portal.gallery.presets import changes_in_force, lock_presets, presets_in_force
from portal.imaging.presets import (
    LEAST_QUALITY,
    LEAST_SIDE,
    MOST_QUALITY,
    MOST_SIDE,
    PRESETS,
    Changes,
    Measure,
    Preset,
    presets_with,
)
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import start_job
from portal.paging import EXACT_UP_TO

ROLLOUT: Final = "preset"  # the kind of job
FIELDS: Final = ("width", "height", "quality")
_IS_OPEN: Final = "state IN ('queued', 'running')"
_RUNNING: Final = f"SELECT id, progress, created_at FROM job WHERE kind = $1 AND {_IS_OPEN} ORDER BY id LIMIT 1"  # noqa: S608 - constant condition
# The last job of each change: who tries a failed one again has a new job for the same change.
_LAST: Final = """
    SELECT DISTINCT ON (c.name) c.pk, c.name, c.width, c.height, c.quality, c.state, c.decided_by, c.decided_at,
           job.id AS job, job.state AS job_state
    FROM preset_change c
    LEFT JOIN LATERAL (SELECT id, state FROM job WHERE kind = 'preset' AND arguments ->> 'change' = c.pk::text
                       ORDER BY id DESC LIMIT 1) AS job ON true
    ORDER BY c.name, c.pk DESC
"""
_MADE_BY: Final = "coalesce(renditions #> '{made_of,presets}', '{}')"
_BEHIND: Final = f"""
    SELECT count(*) FROM (
        (SELECT 1 FROM image WHERE renditions <> '{{}}' AND {_MADE_BY} < $1::jsonb ORDER BY {_MADE_BY} LIMIT $2) UNION ALL
        (SELECT 1 FROM image WHERE renditions <> '{{}}' AND {_MADE_BY} > $1::jsonb ORDER BY {_MADE_BY} LIMIT $2)) AS other
"""  # noqa: S608 - constant expression


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels, and JPEG's quality."""

    width: int
    height: int
    quality: int


@dataclass(frozen=True, slots=True)
class PresetView:
    """`default` is the code's, `in_force` what pictures are made by now.

    `state`: default, changed, rolling (the pictures are being made anew), or stopped (that ended before its end).
    """

    name: str
    fit: str
    default: Box
    in_force: Box
    state: str
    job: str | None
    decided_by: str | None
    decided_at: dt.datetime | None

    @property
    def is_default(self) -> bool:
        return self.in_force == self.default


@dataclass(frozen=True, slots=True)
class PresetList:
    """`behind`: pictures whose renditions were made by other presets than those in force; exact up to 1000, then 1001.
    `running`: the job that makes pictures anew."""

    presets: list[PresetView]
    behind: int
    running: str | None
    progress: dict[str, Any] | None


async def list_presets() -> PresetList:
    changes = await changes_in_force()
    last = {row["name"]: row for row in await database.fetch(_LAST)}
    table = presets_with(changes)
    views = [_view(table[name], last.get(name)) for name in PRESETS]
    job = await database.fetch_row(_RUNNING, ROLLOUT)
    told = (str(job["id"]), json.loads(job["progress"])) if job else (None, None)
    return PresetList(views, await count_behind(changes), *told)


async def count_behind(changes: Changes) -> int:
    """By an index, which is why it asks for less and for more rather than for another, and in order."""
    found = await database.fetch_value(_BEHIND, json.dumps(changes), EXACT_UP_TO + 1)
    return min(found, EXACT_UP_TO + 1)


async def get_preset(name: str) -> PresetView:
    """Raises NotFound."""
    known_preset(name)
    return next(each for each in (await list_presets()).presets if each.name == name)


def known_preset(name: str) -> Preset:
    """As the code has it. Raises NotFound."""
    if name not in PRESETS:
        raise NotFound(f"There is no size of this name. The sizes are {', '.join(PRESETS)}.")
    return PRESETS[name]


def _view(preset: Preset, row: Mapping[str, Any] | None) -> PresetView:
    state = _state_of(preset, row)
    said = row if row is not None and state != "default" else {}
    return PresetView(
        name=preset.name,
        fit=preset.fit,
        default=Box(*PRESETS[preset.name].measure),
        in_force=Box(*preset.measure),
        state=state,
        job=str(row["job"]) if row is not None and row["job"] else None,
        decided_by=said.get("decided_by"),
        decided_at=said.get("decided_at"),
    )


def _state_of(preset: Preset, row: Mapping[str, Any] | None) -> str:
    if row is not None and row["state"] == "rolling":
        if row["job_state"] in ("queued", "running"):
            return "rolling"
        if row["job_state"] != "cancelled":
            return "stopped"
    return "default" if preset.measure == PRESETS[preset.name].measure else "changed"


def read_measure(sent: Mapping[str, Any], now: Preset) -> Measure:
    """What a form or script asks for; what it leaves out stays. Raises FormError for every field that needs another look."""
    bounds = {"width": (LEAST_SIDE, MOST_SIDE), "height": (LEAST_SIDE, MOST_SIDE)}
    bounds |= {"quality": (LEAST_QUALITY, MOST_QUALITY)}
    values, errors = _said(now.measure), dict[str, str]()
    for name, (least, most) in bounds.items():
        value = _whole(sent.get(name))
        if value is not None and least <= value <= most:
            values[name] = value
        elif sent.get(name) is not None:
            errors[name] = f"Use a whole number from {least} to {most}."
    if errors:
        raise FormError(errors)
    return values["width"], values["height"], values["quality"]


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value.strip()[:9])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


async def change_preset(name: str, measure: Measure, *, actor: Actor) -> UUID:
    """From now on pictures are made so, and a job makes those anew that are there: its id.

    Raises NotFound, Conflict where it is so already, Running while other pictures are being made anew.
    """
    known_preset(name)
    await refuse_while_running(turns.RERENDER)
    async with database.transaction():
        await lock_presets()
        await _refuse_second()
        before = (await presets_in_force())[name].measure
        if before == measure:
            raise Conflict(f"“{name}” is made so already.")
        pk = await database.fetch_value(
            """INSERT INTO preset_change (name, width, height, quality, decided_by, decided_at, state)
               VALUES ($1, $2, $3, $4, $5, now(), 'rolling') RETURNING pk""",
            *(name, *measure, actor.name),
        )
        job_id = await start_job(ROLLOUT, {"change": pk, "name": name}, actor=actor)
        await database.execute("UPDATE preset_change SET job = $2 WHERE pk = $1", pk, job_id)
        await record(actor, "preset.change", "preset", name, before=_said(before), after=_said(measure))
    return job_id


async def reset_preset(name: str, *, actor: Actor) -> UUID:
    """Raises as `change_preset` does."""
    return await change_preset(name, known_preset(name).measure, actor=actor)


async def catch_up(*, actor: Actor) -> UUID:
    """Have those pictures made anew that were made by other presets than those in force. Raises Running."""
    await refuse_while_running(turns.RERENDER)
    async with database.transaction():
        await lock_presets()
        await _refuse_second()
        job_id = await start_job(ROLLOUT, {"change": await _stopped()}, actor=actor)
        await record(actor, "preset.catch_up", "job", str(job_id))
    return job_id


async def _stopped() -> int | None:
    """The change whose roll-out ended before its end, so that its line shows the new one."""
    return await database.fetch_value("SELECT max(pk) FROM preset_change WHERE state = 'rolling'")


async def cancel_change(name: str, *, actor: Actor) -> None:
    """In force is again what was before; pictures that were made anew already stay as they are until `catch_up`.

    Raises NotFound, Conflict when nothing is rolled out.
    """
    known_preset(name)
    async with database.transaction():
        await lock_presets()
        row = await database.fetch_row(
            """UPDATE preset_change SET state = 'cancelled', ended_at = now()
               WHERE name = $1 AND state = 'rolling' RETURNING pk, width, height, quality""",
            name,
        )
        if row is None:
            raise Conflict(f"Nothing is rolled out for “{name}” (any more).")
        await database.execute(
            f"""UPDATE job SET cancel_asked_at = now() WHERE kind = $1 AND arguments ->> 'change' = $2
                AND {_IS_OPEN}""",  # noqa: S608 - constant condition
            ROLLOUT,
            str(row["pk"]),
        )
        after = (await presets_in_force())[name].measure
        before = (row["width"], row["height"], row["quality"])
        await record(actor, "preset.cancel", "preset", name, before=_said(before), after=_said(after))


def _said(measure: Measure) -> dict[str, Any]:
    return dict(zip(FIELDS, measure, strict=True))


async def _refuse_second() -> None:
    """Raises Running. Under the lock: of two that decide at once the second sees the first."""
    job = await database.fetch_row(_RUNNING, ROLLOUT)
    if job is not None:
        moment = job["created_at"].astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        raise Running(f"A change of sizes is rolled out since {moment}. Wait for it, or cancel it.")
