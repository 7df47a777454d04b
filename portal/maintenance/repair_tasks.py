"""The job that repairs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from portal.audit.actors import Actor
from portal.imaging.pool import RenderPool
from portal.integrity.check import full_check
from portal.jobs.progress import Report, followed
from portal.jobs.queue import Task
from portal.maintenance.repair import REPAIR, RepairReport, Selection, repair
from portal.settings import Settings
from portal.storage.store import Store


async def check_and_repair(
    selection: Selection,
    *,
    settings: Settings,
    store: Store,
    pool: RenderPool,
    actor: Actor,
    dry_run: bool,
    report: Report,
) -> RepairReport:
    """`repair`, with the full check that it needs where nothing is open."""
    grace = timedelta(minutes=settings.grace_minutes)

    async def check(report: Report) -> None:
        await full_check(store=store, grace=grace, report=report)

    return await repair(
        selection,
        settings=settings,
        store=store,
        pool=pool,
        actor=actor,
        dry_run=dry_run,
        report=report,
        check=check,
    )


def repair_tasks(settings: Settings, store: Store, pool: RenderPool) -> Mapping[str, Task]:
    async def run(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        told = await check_and_repair(
            Selection.of(arguments),
            settings=settings,
            store=store,
            pool=pool,
            actor=actor,
            dry_run=bool(arguments.get("dry_run", True)),
            report=report,
        )
        return told.as_result()

    return {REPAIR: followed(run, unit="findings")}
