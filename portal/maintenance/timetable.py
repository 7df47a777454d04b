"""What runs by the clock."""

from __future__ import annotations

from collections.abc import Container

from portal.backups.kinds import BACKUP, DRILL
from portal.jobs.schedules import Schedule
from portal.maintenance.audit_jobs import PRUNE, SEAL, VERIFY
from portal.maintenance.cleanup import CLEANUP
from portal.maintenance.housekeeping import KEEP_COUNTS, NOTE_DAY, PRUNE_QUEUE
from portal.settings import Settings


def timetable(settings: Settings, kinds: Container[str]) -> list[Schedule]:
    """Those whose kind is known. What runs often is housekeeping (`is_followed=False`): no row of `job` for each run."""
    schedules = [
        Schedule("backup", "Backup", settings.backup_cron, BACKUP, {"reason": "schedule"}),
        Schedule("drill", "Drill: a restore into scratch", settings.drill_cron, DRILL),
        Schedule("cleanup", "Clean-up", settings.cleanup_cron, CLEANUP, {"dry_run": False, "by_schedule": True}),
        Schedule("scrub", "Scheduled check of files", settings.scrub_cron, "scrub"),
        Schedule("seal", "Seal the audit", "* * * * *", SEAL, is_followed=False),
        Schedule("audit_verify", "Verification of the audit", "15 5 * * *", VERIFY),
        Schedule(
            "audit_prune", "Remove lines of the audit past their days", settings.cleanup_cron, PRUNE, is_followed=False
        ),
        Schedule("keep_counts", "Fold the counters, look at the clock", "*/3 * * * *", KEEP_COUNTS, is_followed=False),
        Schedule("prune_queue", "Forget old lines of queue and timings", "20 * * * *", PRUNE_QUEUE, is_followed=False),
        Schedule("note_day", "Note what is stored for the day", "50 5,11,17,23 * * *", NOTE_DAY, is_followed=False),
    ]
    return [each for each in schedules if each.kind in kinds]
