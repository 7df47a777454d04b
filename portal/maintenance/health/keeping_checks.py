"""Could everything be brought back, and is what is stored still what was stored?"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from portal import database
from portal.backups.drill_mark import drill_mark
from portal.backups.marks import Mark, marks
from portal.integrity.check import CHECK
from portal.integrity.findings import open_by_kind
from portal.integrity.scrub import SCRUB, scrub_state
from portal.jobs.schedules import OFF
from portal.maintenance.health import thresholds
from portal.maintenance.health.check import Found, Here, Remedy, Severity
from portal.maintenance.health.evidence import evidence_of, has_pictures, time_of
from portal.maintenance.health.thresholds import BACKUP, DRILL
from portal.maintenance.health.words import count, span

LOSSES: Final = frozenset({"unmounted_root", "missing_object", "checksum_mismatch", "missing_version", "audit_chain"})


async def check_backup(here: Here) -> Found:
    """By when the last one was made, and by what the last verification of each has found."""
    verified = await marks()
    newest = max(verified, default=None)
    if newest is not None and verified[newest].wrong:
        return _damaged(newest, verified[newest], "critical")
    aged = await _aged_backup(here)
    older = max((each for each in verified if verified[each].wrong), default=None)
    if older is not None and aged.severity == "ok":
        return _damaged(older, verified[older], "warning")
    return aged


def _damaged(backup_id: str, mark: Mark, severity: Severity) -> Found:
    first = f": {mark.first[0]}{' first' if mark.wrong > 1 else ''}" if mark.first else ""
    detail = f"Backup {backup_id} is damaged: {count(mark.wrong, 'file')} wrong{first}."
    words = "Make a new backup: it writes damaged objects anew. Then verify this one again, and look at the disk that it lies on."
    return Found(severity, detail[:600], mark.wrong, "wrong", _back_up(words))


async def _aged_backup(here: Here) -> Found:
    good_at = time_of(await evidence_of("backup"), "good_at")
    if good_at is not None:
        age = _age(here, good_at)
        severity = BACKUP.judge(age / 3600)
        remedy = None if severity == "ok" else _back_up("Make a backup now, and look why the last one failed.")
        return Found(severity, f"The last good one is {span(age)} old.", round(age), "s", remedy)
    if not await has_pictures():
        return Found("unknown", "Not yet: there are no pictures to back up.")
    return Found("warning", "No backup yet that the portal knows of.", remedy=_back_up("Make a backup now."))


def _back_up(words: str) -> Remedy:
    return Remedy(words, "Make a backup", "backups:create", "post", role="admin")


async def check_drill(here: Here) -> Found:
    """A backup that could not be restored is none, whatever was proven before."""
    mark = await drill_mark()
    if mark.has_failed and not mark.was_tried:
        remedy = _run_a_drill(
            "Make room, then run a drill; or restore a backup into another portal, to know that it can be."
        )
        return Found("warning", mark.message, remedy=remedy)
    if mark.has_failed:
        words = "Look at what it says, make a new backup, then run a drill again."
        return Found("critical", f"The last drill failed: {mark.message}"[:600], remedy=_run_a_drill(words))
    if mark.good_at is None:
        return Found("unknown", "Not yet: no backup was restored into scratch to prove it.")
    age = _age(here, mark.good_at)
    severity = DRILL.judge(age / 86_400)
    remedy = None if severity == "ok" else _run_a_drill("Restore the last backup into scratch, to know that it can be.")
    detail = f"Proven {span(age)} ago. Restored into scratch: {count(mark.pictures, 'picture')}, 0 differences."
    return Found(severity, detail, round(age), "s", remedy)


def _run_a_drill(words: str) -> Remedy:
    return Remedy(words, "Run a drill", "backups:drill", "post", role="admin")


async def check_scrub(here: Here) -> Found:
    """A run that reads bytes against their checksums: the nightly scrub, or a full check."""
    if here.settings.scrub_cron == OFF:
        return Found(
            "unknown", "Not scheduled (PORTAL_SCRUB_CRON is off): changed bytes are found by a full check alone."
        )
    ran_at = await _last_scrub()
    begun = ran_at or await database.fetch_value("SELECT created_at FROM image ORDER BY id LIMIT 1")
    if begun is None:
        return Found("unknown", "Not yet: there are no pictures to read.")
    age = _age(here, begun)
    severity = thresholds.SCRUB.judge(age / 86_400)
    if ran_at is None and severity == "ok":
        return Found("unknown", "Not yet: the first run is by schedule, within a day.")
    detail = f"The last run ended {span(age)} ago." if ran_at else f"None has run, in {span(age)} with pictures."
    words = "Check all now, and look why the schedule does not run: is there a worker?"
    remedy = Remedy(words, "Check all now", "maintenance:check", "post", {"how": "full"}, "admin")
    return Found(severity, detail, round(age), "s", None if severity == "ok" else remedy)


async def _last_scrub() -> datetime | None:
    """Of the scrub's own state, and of jobs that came to their end."""
    begun = (await scrub_state()).day
    done = await database.fetch_value(
        "SELECT max(finished_at) FROM job WHERE kind = ANY($1::text[]) AND state = 'succeeded'", [SCRUB, CHECK]
    )
    return max((each for each in (begun, done) if each is not None), default=None)


async def check_findings(here: Here) -> Found:
    """Open ones; those by which bytes are lost, unless they are healed, call somebody."""
    found = await open_by_kind()
    if not found:
        return Found("ok", "Nothing that a check found is open.", 0, "open")
    lost = sum(number for kind, number in found.items() if kind in LOSSES)
    severity = "critical" if lost else "warning"
    said = (
        f"; {'one loses' if lost == 1 else f'{lost:,} lose'} bytes unless healed" if lost else "; no original is lost"
    )
    remedy = Remedy("Look at the evidence, then apply the proposed repairs.", "See findings", "maintenance:show")
    total = sum(found.values())
    return Found(severity, f"{count(total, 'finding')} open{said}.", total, "open", remedy)


async def check_audit(here: Here) -> Found:
    """By what the last verification left."""
    left = await evidence_of("audit_verify")
    at = time_of(left, "at")
    if at is None:
        return Found("unknown", "Not yet: the chain of the audit was not verified.")
    ago = span(_age(here, at))
    if left.get("is_whole"):
        return Found("ok", f"The chain of the audit is whole, verified {ago} ago.", 0, "breaches")
    first = next(iter(left.get("first") or []), {})
    words = "Compare with a backup: lines were changed or removed by somebody with access to the database."
    detail = str(first.get("detail") or "The chain of the audit has a gap")[:300]
    remedy = Remedy(words, "Open the audit", "maintenance:audit", role="admin")
    return Found("critical", f"{detail} (verified {ago} ago).", left.get("breaches"), "breaches", remedy)


def _age(here: Here, when: datetime) -> float:
    return max((here.now() - when).total_seconds(), 0)
