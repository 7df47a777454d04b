"""The jobs that verify a backup, and that remove old ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from portal.audit.actors import SYSTEM, Actor
from portal.backups.destination import destination_of
from portal.backups.kinds import BACKUP_PRUNE, BACKUP_VERIFY
from portal.backups.retention import prune_backups
from portal.backups.verify import verify_backup
from portal.errors import Running
from portal.jobs.progress import Later, Report, followed
from portal.jobs.queue import Task
from portal.settings import Settings

_LATER: Final = timedelta(minutes=10)


def upkeep_tasks(settings: Settings) -> Mapping[str, Task]:
    async def verify(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        found = await verify_backup(
            destination=destination_of(settings),
            backup_id=arguments["backup_id"],
            quick=bool(arguments.get("quick", False)),
            report=report,
        )
        return found.as_result()

    async def prune(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        """By schedule it waits until nobody works on backups; a person is told who does."""
        try:
            found = await prune_backups(
                destination=destination_of(settings),
                keep=settings.backup_keep,
                zone=settings.timezone,
                actor=actor,
                dry_run=bool(arguments.get("dry_run", True)),
                report=report,
            )
        except Running as error:
            if actor != SYSTEM:
                raise
            raise Later(error.message, _LATER) from error
        return found.as_result()

    return {BACKUP_VERIFY: followed(verify, unit="objects"), BACKUP_PRUNE: followed(prune, unit="parts")}
