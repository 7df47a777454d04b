"""Room to win back: what the last dry run of a cleanup found, what the last cleanup freed, and whether one is running."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from portal import database
from portal.errors import Running
from portal.jobs import alone as turns
from portal.jobs.alone import refuse_while_running
from portal.jobs.progress import JobView, get_job
from portal.maintenance.cleanup import CLEANUP

FRESH: Final = timedelta(days=1)  # what a dry run found is offered for so long
_LAST: Final = """
    SELECT id, state, (arguments ->> 'dry_run')::boolean AS is_dry, result, error, finished_at,
           finished_at > now() - $2::interval AS is_fresh
    FROM job WHERE kind = $1 ORDER BY id DESC LIMIT 20
"""
_KINDS: Final = (
    ("Expired cache", "cached_files", "cached_bytes", "file"),
    ("Trash past its days", "trashed_images", "trashed_bytes", "picture"),
    ("Uploads never finished", "temp_files", "temp_bytes", "file"),
    ("Bytes that nobody owns", "orphaned_objects", "orphaned_bytes", "object"),
    ("Quarantine past its days", "quarantined_objects", "quarantined_bytes", "object"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One line. `unit` of `count`, in the singular."""

    label: str
    count: int
    bytes: int
    unit: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a run removed, or a dry one would have."""

    at: datetime
    kinds: list[Kind]
    rows: int
    pinned: int
    unfound: int
    missed: int
    bytes: int
    doubt: str | None

    @property
    def pieces(self) -> int:
        return sum(kind.count for kind in self.kinds) + self.rows


@dataclass(frozen=True, slots=True)
class Room:
    """`found`: of a dry run of the last day that no cleanup has followed. `running`: a job; `elsewhere`: since when a cleanup
    runs that is no job, in words. `failure`: why the last run came to nothing."""

    running: JobView | None
    elsewhere: str | None
    found: Found | None
    freed: Found | None
    failure: str | None


async def room() -> Room:
    rows = await database.fetch(_LAST, CLEANUP, FRESH)
    last = rows[0] if rows else None
    running = next((row for row in rows if row["state"] in ("queued", "running")), None)
    done = [row for row in rows if row["state"] == "succeeded" and row["result"]]
    found = done[0] if done and done[0]["is_dry"] and done[0]["is_fresh"] else None
    freed = next((row for row in done if not row["is_dry"]), None)
    return Room(
        running=await get_job(UUID(str(running["id"]))) if running else None,
        elsewhere=None if running else await _elsewhere(),
        found=_found(found) if found else None,
        freed=_found(freed) if freed else None,
        failure=_failure(last) if last else None,
    )


async def _elsewhere() -> str | None:
    try:
        await refuse_while_running(turns.CLEANUP)
    except Running as error:
        return error.message
    return None


def _failure(row: Any) -> str | None:
    if row["state"] == "cancelled":
        return "The last run was ended on its way."
    if row["state"] != "failed":
        return None
    return json.loads(row["error"])["message"] if row["error"] else "The last run failed."


def _found(row: Any) -> Found:
    result: dict[str, Any] = json.loads(row["result"])
    return Found(
        at=row["finished_at"],
        kinds=[Kind(label, result.get(count, 0), result.get(size, 0), unit) for label, count, size, unit in _KINDS],
        rows=sum(result.get("rows", {}).values()),
        pinned=result.get("pinned_images", 0),
        unfound=result.get("unfound_images", 0),
        missed=result.get("missed_objects", 0),
        bytes=result.get("bytes", 0),
        doubt=result.get("doubt"),
    )
