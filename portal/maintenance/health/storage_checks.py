"""Does the disk take, keep and give back; how much does it still take, and until when?"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from portal.backups.destination import Destination, destination_of
from portal.errors import Unavailable
from portal.maintenance.growth import disk_of, growth
from portal.maintenance.health.check import Found, Here, Remedy, Severity
from portal.maintenance.health.evidence import has_pictures
from portal.maintenance.health.thresholds import INODES, SPACE, STORAGE, UNTIL_FULL
from portal.maintenance.health.words import count, size
from portal.storage.probe import Changed, has_marker, round_trip
from portal.storage.store import MARKER

LEAST_FREE: Final = 64 * 1024 * 1024  # where no floor is set
FREE_SPACE: Final = Remedy("Free what can go, or enlarge the disk.", "Free space", "maintenance:show")
_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


async def check_storage(here: Here) -> Found:
    """Written, read back, compared, deleted: for real, in temp/."""
    began = time.monotonic()
    try:
        if not await here.threads.call("marker", lambda: has_marker(here.store)):
            if here.has_database and not here.has_tables:
                return Found("unknown", "Not yet: the folder for pictures is made at the first start.")
            words = f"Mount the disk. The portal knows it by the file {MARKER}; nothing is swept while that is missing."
            return Found("critical", "The disk for pictures is not mounted.", remedy=Remedy(words))
        await here.threads.call("round trip", lambda: round_trip(here.store))
    except (OSError, Changed) as error:
        return _trouble(error)
    ms = 1000 * (time.monotonic() - began)
    severity = STORAGE.judge(ms)
    remedy = None if severity == "ok" else Remedy("Look what keeps the disk busy, and whether it is failing.")
    return Found(severity, "Written, read back, compared and deleted.", round(ms, 1), "ms", remedy)


def _trouble(error: Exception) -> Found:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, Changed):
        return Found(
            "critical",
            "The disk gave back other bytes than were written.",
            remedy=Remedy("Stop the portal and have the disk checked: it cannot be trusted."),
        )
    if number in _FULL:
        return Found("critical", "The disk for pictures is full to its last byte.", remedy=FREE_SPACE)
    if number in _READ_ONLY:
        return Found(
            "critical",
            "The folder for pictures can be read, but not written.",
            remedy=Remedy(
                "Mount the disk for writing, and let the portal's user write there. Many turn read-only as they fail."
            ),
        )
    return Found(
        "critical",
        f"The disk for pictures does not do what it is asked: {os.strerror(number) if number else 'an error'}.",
        remedy=Remedy("Look into the system's log: the disk or the network to it may be failing."),
    )


async def check_space(here: Here) -> Found:
    """Of each file system that the portal writes to; what is least."""
    settings = here.settings
    folders = {
        "pictures": settings.storage_dir,
        "the database": settings.data_dir,
        "the cache": settings.cache_dir,
        **({} if settings.backup_bucket else {"backups": settings.backup_dir}),
    }
    disks = await here.threads.call("space", lambda: _free_by_disk(folders))
    if not disks:
        return Found("unknown", "The disk does not tell how much is free.")
    floor = max(settings.free_space_bytes, LEAST_FREE)
    words, free = min(disks.items(), key=lambda item: item[1])
    severity = SPACE.judge(free / floor)
    if severity == "critical" and "pictures" not in words and "database" not in words:
        severity = "warning"  # backups and the cache do without for a while
    detail = f"{size(free)} free for {words}; uploads stop below {size(floor)}."
    days = await _days(here) if "pictures" in words and here.has_tables else None
    return _with_forecast(severity, detail, free, days)


async def _days(here: Here) -> int | None:
    """Until only the reserve is free. None before two weeks are noted, and where nothing grows."""
    settings = here.settings
    disk = await here.threads.call("disk", lambda: disk_of(settings.storage_dir, settings.free_space_bytes))
    return (await growth(disk)).days_until_full


def _with_forecast(severity: Severity, detail: str, free: int, days: int | None) -> Found:
    if days is not None:
        detail += f" At the pace of the last weeks that is in {count(days, 'day')}."
        soon = UNTIL_FULL.judge(days)
        severity = "critical" if "critical" in (severity, soon) else soon if severity == "ok" else severity
    return Found(severity, detail, free, "bytes", None if severity == "ok" else FREE_SPACE)


def _free_by_disk(folders: Mapping[str, Path]) -> dict[str, int]:
    """Bytes free by the words for what lies there, one entry a file system."""
    words: dict[int, list[str]] = {}
    free: dict[int, int] = {}
    for word, folder in folders.items():
        there = _nearest(folder)
        if there is None:
            continue
        device = there.stat().st_dev
        usage = os.statvfs(there)
        words.setdefault(device, []).append(word)
        free[device] = usage.f_bavail * usage.f_frsize
    return {_joined(names): free[device] for device, names in words.items()}


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _nearest(folder: Path) -> Path | None:
    """It or the folder above it that is there: where it would be made."""
    return next((each for each in (folder, *folder.parents) if each.exists()), None)


async def check_inodes(here: Here) -> Found:
    there = _nearest(here.settings.storage_dir) or here.settings.data_dir
    usage = await here.threads.call("inodes", lambda: os.statvfs(there))
    if not usage.f_files:
        return Found("ok", "This file system does not count its files.")
    percent = 100 * usage.f_favail / usage.f_files
    severity = INODES.judge(percent)
    detail = f"Room for {usage.f_favail:,} more files."
    words = "Move the pictures to a file system with more inodes; they cannot be added."
    return Found(severity, detail, round(percent), "%", None if severity == "ok" else Remedy(words))


async def check_one_disk(here: Here) -> Found:
    """A disk that breaks takes everything on it."""
    if here.settings.backup_bucket is not None:
        return await _in_reach(destination_of(here.settings))
    uploads, backups = await here.threads.call(
        "one_disk", lambda: [_device(here.settings.storage_dir), _device(here.settings.backup_dir)]
    )
    if uploads is None or backups is None:
        return Found("unknown", "The folders are not there.")
    if uploads != backups:
        return Found("ok", "Pictures and backups lie on different disks.")
    if not await has_pictures():
        return Found("unknown", "Not yet: there are no pictures. Their backups would lie on the same disk.")
    return Found(
        "warning",
        "Pictures and backups lie on one disk: when it breaks, both are gone.",
        remedy=Remedy("Point PORTAL_BACKUP_URL at another disk or machine."),
    )


async def _in_reach(bucket: Destination) -> Found:
    """Asked for, not written to. It says soon whether it is there."""
    if not await bucket.is_away():
        return Found("ok", f"Backups lie in {bucket.words}.")
    try:
        await bucket.check()
        words = f"{bucket.words} was out of reach just now."
    except Unavailable as error:
        words = error.message
    return Found(
        "warning", words, remedy=Remedy("Until it can be asked again no backup is made there, and nothing healed.")
    )


def _device(folder: Path) -> int | None:
    there = _nearest(folder)
    return None if there is None else there.stat().st_dev
