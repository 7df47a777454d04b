"""The jobs of backups: every kind, and what runs for it."""

from __future__ import annotations

from collections.abc import Mapping

from portal.backups.create_task import create_tasks
from portal.backups.drill_task import drill_tasks
from portal.backups.restore_task import restore_tasks
from portal.backups.upkeep_tasks import upkeep_tasks
from portal.imaging.pool import RenderPool
from portal.jobs.queue import Task
from portal.settings import Settings
from portal.storage.store import Store


def backup_tasks(settings: Settings, store: Store, pool: RenderPool) -> Mapping[str, Task]:
    return {
        **create_tasks(settings, store),
        **drill_tasks(settings, pool),
        **restore_tasks(settings, store),
        **upkeep_tasks(settings),
    }
