"""The job that restores. One that is taken up after a kill begins anew, unless it had switched already: then it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from portal.audit.actors import Actor
from portal.backups.destination import destination_of
from portal.backups.kinds import RESTORE
from portal.backups.restore import restore_backup
from portal.backups.selection import Selection
from portal.entities.kinds import EntityRef, parse_ref
from portal.jobs.progress import JobReport, followed
from portal.jobs.queue import Task
from portal.settings import Settings
from portal.storage.store import Store


def restore_tasks(settings: Settings, store: Store) -> Mapping[str, Task]:
    async def restore(arguments: dict[str, Any], actor: Actor, report: JobReport) -> dict[str, Any]:
        kept = await report.kept()
        if "result" in kept:
            return kept["result"]
        destination = destination_of(settings)
        await destination.open_root()
        plan = await restore_backup(
            settings=settings,
            store=store,
            destination=destination,
            backup_id=arguments["backup_id"],
            selection=selection_of(arguments),
            on_conflict=arguments.get("on_conflict", "skip"),
            dry_run=arguments.get("dry_run", False),
            actor=actor,
            report=report,
        )
        return plan.as_result()

    return {RESTORE: followed(restore, unit="objects")}


def selection_of(arguments: Mapping[str, Any]) -> Selection:
    """As `wishes.read_restore` and the command line put it into a job."""
    types, image = arguments.get("entity_types"), arguments.get("image_id")
    return Selection(
        entity_types=None if types is None else tuple(types),
        entity=_ref(arguments.get("entity")),
        image_id=None if image is None else UUID(image),
    )


def _ref(said: Any) -> EntityRef | None:
    """`{"type", "id"}`, or `type/id`. Raises NoSuchEntity."""
    if said is None:
        return None
    if isinstance(said, str):
        said = dict(zip(("type", "id"), said.partition("/")[::2], strict=True))
    return parse_ref(said["type"], said["id"])
