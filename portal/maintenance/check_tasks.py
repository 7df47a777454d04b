"""The jobs that look for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from portal.audit.actors import Actor
from portal.integrity.check import CHECK, full_check
from portal.integrity.recheck import RECHECK, recheck_open
from portal.integrity.scrub import SCRUB, scrub
from portal.jobs.progress import Report, followed
from portal.jobs.queue import Task
from portal.settings import Settings
from portal.storage.store import Store


def check_tasks(settings: Settings, store: Store) -> Mapping[str, Task]:
    grace = timedelta(minutes=settings.grace_minutes)

    async def check(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        return asdict(await full_check(store=store, grace=grace, report=report))

    async def look_again(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        return asdict(await recheck_open(store=store, report=report))

    async def read_on(arguments: dict[str, Any], actor: Actor, report: Report) -> dict[str, Any]:
        budget = timedelta(minutes=settings.scrub_minutes)
        return asdict(await scrub(store=store, grace=grace, budget=budget, report=report))

    return {
        CHECK: followed(check, unit="objects"),
        RECHECK: followed(look_again, unit="findings"),
        SCRUB: followed(read_on),
    }
