"""The jobs of backups: every kind, and what runs for it. By schedule they wait for who is in their way; a person is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from portal.audit.actors import SYSTEM, Actor
from portal.backups.create import create_backup, told_of
from portal.backups.destination import destination_of
from portal.backups.drill import drill
from portal.backups.kinds import BACKUP, BACKUP_PRUNE, BACKUP_VERIFY, DRILL, RESTORE
from portal.backups.restore import restore_backup
from portal.backups.retention import prune_backups
from portal.backups.selection import Selection
from portal.backups.verify import verify_backup
from portal.entities.kinds import EntityRef, parse_ref
from portal.errors import NotFound, Running
from portal.imaging.pool import RenderPool
from portal.jobs.progress import JobReport, Later, Report, followed, start_job
from portal.jobs.queue import Task
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.store import Store

_LATER: Final = timedelta(minutes=10)


def backup_tasks(settings: Settings, store: Store, pool: RenderPool) -> Mapping[str, Task]:
    return {
        **create_tasks(settings, store),
        **drill_tasks(settings, pool),
        **restore_tasks(settings, store),
        **upkeep_tasks(settings),
    }


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


def restore_tasks(settings: Settings, store: Store) -> Mapping[str, Task]:
    async def restore(arguments: dict[str, Any], actor: Actor, report: JobReport) -> dict[str, Any]:
        """One that is taken up after a kill begins anew, unless it had switched already: then it is done."""
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
