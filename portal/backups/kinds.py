"""What jobs about backups are called."""

from __future__ import annotations

from typing import Final

BACKUP: Final = "backup"
BACKUP_VERIFY: Final = "backup_verify"
BACKUP_PRUNE: Final = "backup_prune"
RESTORE: Final = "restore"
DRILL: Final = "drill"
KINDS: Final = (BACKUP, BACKUP_VERIFY, BACKUP_PRUNE, RESTORE, DRILL)
