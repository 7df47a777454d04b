"""One look: the database first, then its tables, then all that is left side by side, each within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import structlog

from portal import database
from portal.maintenance.health import (
    database_checks,
    keeping_checks,
    setting_checks,
    storage_checks,
    work_checks,
)
from portal.maintenance.health.check import Check, Found, Here, Look, Remedy

log = structlog.get_logger()

SECONDS: Final = 2.0  # for each
STATEMENTS: Final = 3  # at a time: pages need connections too


@dataclass(frozen=True, slots=True)
class Listed:
    """`asks`: needs the database, or it and our tables. `is_vital`: without its answer the portal is as good as down."""

    name: str
    title: str
    look: Look
    asks: Literal["nothing", "database", "tables"] = "tables"
    is_vital: bool = False


DATABASE: Final = Listed("database", "Database", database_checks.check_database, asks="nothing", is_vital=True)
MIGRATIONS: Final = Listed("migrations", "Tables", database_checks.check_migrations, asks="database")
REST: Final = (
    Listed("storage", "Storage", storage_checks.check_storage, asks="nothing", is_vital=True),
    Listed("space", "Free space", storage_checks.check_space, asks="nothing"),
    Listed("inodes", "Room for files", storage_checks.check_inodes, asks="nothing"),
    Listed("connections", "Connections", database_checks.check_connections, asks="database"),
    Listed("workers", "Workers", work_checks.check_workers),
    Listed("queue", "Queue", work_checks.check_queue),
    Listed("failed_jobs", "Failed jobs", work_checks.check_failed),
    Listed("findings", "Findings", keeping_checks.check_findings),
    Listed("scrub", "Scheduled check", keeping_checks.check_scrub),
    Listed("backup", "Backup", keeping_checks.check_backup),
    Listed("drill", "Drill", keeping_checks.check_drill),
    Listed("one_disk", "Backups apart", storage_checks.check_one_disk),
    Listed("requests", "Requests", work_checks.check_requests),
    Listed("cache", "Cache", work_checks.check_cache),
    Listed("clock", "Clock", database_checks.check_clock, asks="database"),
    Listed("scanner", "Virus scanner", setting_checks.check_scanner, asks="nothing"),
    Listed("certificate", "Certificate", setting_checks.check_certificate, asks="nothing"),
    Listed("secrets", "Secrets", setting_checks.check_secrets, asks="nothing"),
    Listed("address", "Address", setting_checks.check_address, asks="nothing"),
    Listed("audit", "Audit", keeping_checks.check_audit),
    Listed("database_size", "Size of the database", database_checks.check_database_size, asks="database"),
)


async def look(here: Here, seconds: float = SECONDS, rest: Sequence[Listed] = REST) -> list[Check]:
    """Every check's finding, in the list's order, within three times `seconds` whatever hangs. `since` is now."""
    room = asyncio.Semaphore(STATEMENTS)
    first = [await _one(DATABASE, replace(here, has_database=False), room, seconds)]
    here = replace(here, has_database=_is_well(first))
    first.append(await _one(MIGRATIONS, here, room, seconds))
    here = replace(here, has_tables=here.has_database and _is_well(first))
    found = await asyncio.gather(*(_one(each, here, room, seconds) for each in rest))
    return [each for each in (*first, *found) if each is not None]


def _is_well(checks: Sequence[Check | None]) -> bool:
    return all(each is not None and each.severity in ("ok", "warning") for each in checks)


async def _one(listed: Listed, here: Here, room: asyncio.Semaphore, seconds: float) -> Check | None:
    missing = _missing(listed, here)
    if missing is not None:
        return _as_check(listed, here, Found("unknown", missing))
    try:
        async with asyncio.timeout(seconds):
            if listed.asks == "nothing":
                found = await _patiently(listed, here, seconds)
            else:
                async with room:
                    found = await _patiently(listed, here, seconds)
    except TimeoutError:
        found = _no_answer(listed, seconds)
    except database.AWAY:
        found = Found("unknown", "Not known: the database went away meanwhile.")
    except Exception as error:  # a check that fails is a finding of its own, and no reason for the others to be silent
        log.warning("a health check failed", check=listed.name, error=repr(error))
        found = Found(
            "warning", "This could not be checked: see the log.", remedy=Remedy("Look into the portal's log.")
        )
    return None if found is None else _as_check(listed, here, found)


def _missing(listed: Listed, here: Here) -> str | None:
    if listed.asks != "nothing" and not here.has_database:
        return "Not known while the database is away."
    if listed.asks == "tables" and not here.has_tables:
        return "Not known before the tables are up to date."
    return None


async def _patiently(listed: Listed, here: Here, seconds: float) -> Found | None:
    with database.patience(seconds):
        return await listed.look(here)


def _no_answer(listed: Listed, seconds: float) -> Found:
    detail = f"No answer within {seconds:g} seconds."
    if listed.is_vital:
        return Found("critical", detail, remedy=Remedy("Look whether the disk, the server or the network to it hangs."))
    return Found("warning", detail, remedy=Remedy("Look what keeps the machine busy."))


def _as_check(listed: Listed, here: Here, found: Found) -> Check:
    return Check(
        listed.name,
        listed.title,
        found.severity,
        found.value,
        found.unit,
        found.detail,
        here.now(),
        found.remedy,
    )
