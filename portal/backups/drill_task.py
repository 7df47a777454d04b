"""The job that drills."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from portal.audit.actors import SYSTEM, Actor
from portal.backups.destination import destination_of
from portal.backups.drill import drill
from portal.backups.kinds import DRILL
from portal.errors import NotFound, Running
from portal.imaging.pool import RenderPool
from portal.jobs.progress import Later, Report, followed
from portal.jobs.queue import Task
from portal.settings import Settings

_LATER: Final = timedelta(minutes=10)


def drill_tasks(settings: Settings, pool: RenderPool) -> Mapping[str, Task]:
    async def run(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        """By schedule it waits for who removes backups, and has nothing to prove where none is; a person is told so."""
        try:
            done = await drill(
                settings=settings,
                pool=pool,
                destination=destination_of(settings),
                backup_id=arguments.get("backup_id"),
                actor=actor,
                report=report,
            )
        except Running as error:
            if actor != SYSTEM:
                raise
            raise Later(error.message, _LATER) from error
        except NotFound:
            if actor != SYSTEM:
                raise
            return {"pictures": 0}
        return done.as_result()

    return {DRILL: followed(run)}
