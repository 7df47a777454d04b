"""Maintenance's jobs: every kind, and what runs for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from portal.audit.actors import Actor
from portal.gallery.rerender import RERENDER, Pictures, rerender
from portal.imaging.pool import RenderPool
from portal.jobs.progress import JobReport, Report, followed
from portal.jobs.queue import Task
from portal.maintenance.audit_jobs import audit_tasks
from portal.maintenance.check_tasks import check_tasks
from portal.maintenance.cleanup import CLEANUP, clean_up
from portal.maintenance.housekeeping import housekeeping_tasks
from portal.maintenance.preset_rollout import preset_tasks
from portal.maintenance.repair_tasks import repair_tasks
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.store import Store


def maintenance_tasks(settings: Settings, store: Store, pool: RenderPool, cache: Cache) -> Mapping[str, Task]:
    async def clean(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        how = {
            name: bool(arguments.get(name, default)) for name, default in (("dry_run", True), ("by_schedule", False))
        }
        return asdict(await clean_up(settings=settings, store=store, actor=actor, report=report, **how))

    async def make_again(arguments: dict[str, Any], actor: Actor, report: JobReport) -> dict[str, Any]:
        return asdict(await rerender(Pictures.of(arguments), report, report))

    own = {CLEANUP: followed(clean, unit="objects"), RERENDER: followed(make_again, is_waiting=True)}
    own |= repair_tasks(settings, store, pool)
    own |= housekeeping_tasks(settings, cache)
    return {**own, **audit_tasks(settings), **check_tasks(settings, store), **preset_tasks()}
