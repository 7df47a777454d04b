"""The job that makes a backup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portal.audit.actors import Actor
from portal.backups.create import create_backup, told_of
from portal.backups.kinds import BACKUP, BACKUP_PRUNE
from portal.jobs.progress import Report, followed, start_job
from portal.jobs.queue import Task
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.store import Store


def create_tasks(settings: Settings, store: Store) -> Mapping[str, Task]:
    async def run(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        """Killed on its way it begins anew, and finds the objects that it had copied. By schedule the old ones are removed
        after it: as long as none is made, none goes."""
        root = await create_backup(
            settings=settings,
            store=store,
            actor=actor,
            entity_types=arguments.get("entity_types") or ENTITY_TYPES,
            reason=arguments.get("reason", "asked"),
            report=report,
        )
        if root.reason == "schedule":
            await start_job(BACKUP_PRUNE, {"dry_run": False}, actor=actor)
        return told_of(root)

    return {BACKUP: followed(run, unit="objects")}
