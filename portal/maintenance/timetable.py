"""What runs by the clock."""

from __future__ import annotations

from collections.abc import Container

from portal.jobs.schedules import Schedule
from portal.maintenance.cleanup import CLEANUP
from portal.settings import Settings


def timetable(settings: Settings, kinds: Container[str]) -> list[Schedule]:
    """Those whose kind is known. What runs often is housekeeping (`is_followed=False`): no row of `job` for each run."""
    schedules = [
        Schedule("cleanup", "Clean up", settings.cleanup_cron, CLEANUP, {"dry_run": False}),
        Schedule("scrub", "Check bytes against their checksums", settings.scrub_cron, "scrub"),
    ]
    return [each for each in schedules if each.kind in kinds]
