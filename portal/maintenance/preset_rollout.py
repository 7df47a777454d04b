"""The job that makes all pictures by the presets in force. Killed, it goes on; cancelled, its change is taken back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from portal import database
from portal.audit.actors import Actor
from portal.errors import Running, Unavailable
from portal.gallery.presets import changes_in_force, lock_presets
from portal.gallery.rerender import Pictures, rerender
from portal.jobs.progress import Cancelled, JobReport, followed
from portal.jobs.queue import Task
from portal.maintenance.preset_changes import ROLLOUT


def preset_tasks() -> Mapping[str, Task]:
    return {ROLLOUT: followed(roll_out, is_waiting=True)}


async def roll_out(arguments: dict[str, Any], actor: Actor, report: JobReport) -> dict[str, Any]:
    """Raises Cancelled, and Unavailable while somebody else renders all pictures anew: then it is tried again."""
    made_by = json.dumps(await changes_in_force())
    try:
        done = await rerender(Pictures("all", not_made_by=made_by), report, report)
    except Cancelled:
        if arguments.get("change"):
            await _end(arguments["change"], "cancelled")
        raise
    except Running as error:
        raise Unavailable(error.message, retry_after=60) from error
    await _end(None, "done")
    return asdict(done)


async def _end(change: int | None, state: str) -> None:
    """Of one change; without one of all that were under way: each picture is made by what is in force now."""
    async with database.transaction():
        await lock_presets()
        await database.execute(
            """UPDATE preset_change c SET ended_at = now(), state = CASE WHEN EXISTS (
                   SELECT 1 FROM job WHERE job.id = c.job AND job.state = 'cancelled') THEN 'cancelled' ELSE $2 END
               WHERE c.state = 'rolling' AND ($1::bigint IS NULL OR c.pk = $1)""",
            change,
            state,
        )
