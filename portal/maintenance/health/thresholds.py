"""Every number at which a check warns or calls somebody, in one table, with why; docs/operations.md shows the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from portal.maintenance.health.check import Severity


@dataclass(frozen=True, slots=True)
class Threshold:
    """`unit` of both numbers; with `below`, values under them trip it, else values from them on."""

    what: str
    warning: float | None
    critical: float | None
    unit: str
    why: str
    below: bool = False

    def judge(self, value: float) -> Severity:
        if self._trips(value, self.critical):
            return "critical"
        return "warning" if self._trips(value, self.warning) else "ok"

    def _trips(self, value: float, limit: float | None) -> bool:
        return limit is not None and (value < limit if self.below else value >= limit)


DATABASE: Final = Threshold("Database: an answer takes", 500, None, "ms", "usual are 1 to 5; pages ask several times")
CONNECTIONS: Final = Threshold(
    "Connections: of all that the server allows", 80, 95, "%", "without a free one no process can start"
)
STORAGE: Final = Threshold(
    "Storage: write, read back, delete take", 1000, None, "ms", "each upload waits for several such"
)
SPACE: Final = Threshold(
    "Free space: times PORTAL_FREE_SPACE_MB", 2, 1, "×", "below the floor uploads are refused (507)", below=True
)
UNTIL_FULL: Final = Threshold(
    "Free space: at the pace of the last weeks full in", 30, 7, "days", "a disk takes days to order", below=True
)
INODES: Final = Threshold(
    "Room for files: free of the file system's",
    10,
    2,
    "%",
    "a picture is eight files; without one nothing is stored",
    below=True,
)
USUAL_WAIT: Final = Threshold(
    "Queue: the oldest that somebody waits for, for", 10, 60, "minutes", "renditions take seconds, a busy hour minutes"
)
BULK_WAIT: Final = Threshold(
    "Queue: the oldest of an import, for", 360, 1440, "minutes", "an import of a hundred thousand takes a night"
)
FAILED: Final = Threshold(
    "Failed jobs: of those that ended in a day, from five on",
    2,
    25,
    "%",
    "single ones are a broken file's; many are ours",
)
SILENCE: Final = Threshold("Worker: silent for", None, 60, "seconds", "each tells every few seconds that it lives")
BACKUP: Final = Threshold(
    "Backup: the last good one is", 26, 74, "hours old", "nightly, with two hours to spare; then three nights lost"
)
DRILL: Final = Threshold(
    "Drill: the last restore that was proven is", 35, None, "days old", "monthly: who never restores has no backup"
)
SCRUB: Final = Threshold("Scrub: the last run is", 3, None, "days old", "it runs daily; one night may fail")
CLOCK: Final = Threshold(
    "Clock: the database's against ours", 5, 60, "seconds", "schedules, trash and signed links go by both"
)
CACHE: Final = Threshold(
    "Cache: answered from memory or cache, of 1,000 or more in a day",
    40,
    None,
    "%",
    "below, most pictures are read or made anew",
    below=True,
)
SLOW: Final = Threshold(
    "Requests: 95 of 100 within, of 100 or more in 15 minutes",
    1000,
    5000,
    "ms",
    "people feel a second; after four the database is given up",
)
CERTIFICATE: Final = Threshold(
    "Certificate: runs out in", 21, 3, "days", "automatic renewal comes 30 days before", below=True
)

TABLE: Final = (
    DATABASE, CONNECTIONS, STORAGE, SPACE, UNTIL_FULL, INODES, USUAL_WAIT, BULK_WAIT, FAILED, SILENCE, BACKUP, DRILL, SCRUB,
    CLOCK, CACHE, SLOW, CERTIFICATE,
)  # fmt: skip

LEAST_FAILED: Final = 5  # jobs
LEAST_SERVED: Final = 1000  # pictures in a day
LEAST_REQUESTS: Final = 100  # in a quarter of an hour
