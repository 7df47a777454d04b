"""Jobs in words: kinds, what one is about, how long it takes, why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from portal.maintenance.health.words import size

KINDS: Final = {
    "render": "Renditions",
    "purge": "Removal of deleted files",
    "rerender": "Make renditions again",
    "trash_restore": "Restore out of the trash",
    "trash_empty": "Deletion out of the trash",
    "cleanup": "Clean-up",
    "check": "Full check",
    "recheck": "Re-check of findings",
    "scrub": "Scheduled check of files",
    "repair": "Repair",
    "preset": "Roll-out of a size",
    "keep_counts": "Keeping of counters",
    "prune_queue": "Removal of old queue lines",
    "note_day": "Note of the day",
    "seal": "Sealing of the audit",
    "audit_verify": "Verification of the audit",
    "audit_prune": "Removal of the audit's old lines",
    "backup": "Backup",
    "backup_verify": "Verification of a backup",
    "backup_prune": "Removal of old backups",
    "restore": "Restore from a backup",
    "texts": "Texts out of a CSV",
    "drill": "Drill: a restore into scratch",
}
_REASONS: Final = {
    "gone": "Original missing",
    "failed": "Given up after several tries",
    "not_an_image": "Cannot be decoded",
    "hostile_content": "Hostile content",
    "too_many_pixels": "Too many pixels",
    "too_many_frames": "Too many frames",
}
# Of a result what people ask for: its key, and the words for one and for many. Zero is said of few.
_RESULTS: Final[Mapping[str, tuple[tuple[str, str, str], ...]]] = {
    "rerender": (("pictures", "picture", "pictures"), ("failed", "failed", "failed")),
    "preset": (("pictures", "picture", "pictures"), ("failed", "failed", "failed")),
    "trash_restore": (("restored", "picture restored", "pictures restored"),),
    "trash_empty": (
        ("deleted", "picture deleted for good", "pictures deleted for good"),
        ("kept", "stays", "stay"),
    ),
    "check": (
        ("pictures", "picture read", "pictures read"),
        ("findings", "finding", "findings"),
        ("new", "of them new", "of them new"),
        ("gone", "no longer true", "no longer true"),
    ),
    "recheck": (("looked_at", "finding looked at", "findings looked at"), ("gone", "no longer true", "no longer true")),
    "repair": (
        ("planned", "would be repaired", "would be repaired"),
        ("repaired", "repaired", "repaired"),
        ("refused", "cannot be", "cannot be"),
        ("gone", "no longer true", "no longer true"),
    ),
    "backup": (
        ("images", "picture", "pictures"),
        ("copied_objects", "object copied", "objects copied"),
        ("lost", "lost", "lost"),
    ),
    "backup_verify": (
        ("objects", "object", "objects"),
        ("faults", "file wrong", "files wrong"),
        ("lost", "lost before", "lost before"),
    ),
    "backup_prune": (
        ("removed", "backup removed", "backups removed"),
        ("unfinished", "unfinished", "unfinished"),
        ("objects", "object freed", "objects freed"),
    ),
    "texts": (
        ("changed", "picture changed", "pictures changed"),
        ("refused", "line left out", "lines left out"),
    ),
    "drill": (("pictures", "picture proven", "pictures proven"), ("lost", "lost before", "lost before")),
    "audit_verify": (
        ("lines", "line as sealed", "lines as sealed"),
        ("unsealed", "not sealed yet", "not sealed yet"),
        ("breaches", "breach", "breaches"),
    ),
}
_SAME: Final = {"scrub": "check"}
_SAID_AT_ZERO: Final = ("pictures", "findings", "lines")
_NUMBERS: Final = 4  # of another result, said beside it


def kind_in_words(kind: str) -> str:
    return KINDS.get(kind, kind.replace("_", " ").replace("-", " ").capitalize())


def reason_in_words(code: str) -> str:
    return _REASONS.get(code, code.replace("_", " ").capitalize())


def job_in_words(kind: str, arguments: Mapping[str, Any]) -> str:
    """ "Make renditions again: all pictures", "Clean-up, dry run"."""
    said = kind_in_words(kind)
    if kind == "rerender":
        return f"{said}: {_which(arguments)}"
    return f"{said}, dry run" if arguments.get("dry_run") is True else said


def _which(arguments: Mapping[str, Any]) -> str:
    ids, kind, failed = arguments.get("ids"), arguments.get("entity_type"), arguments.get("failed")
    if ids:
        return "one picture" if len(ids) == 1 else f"{len(ids):,} pictures"
    if failed:
        return f"failed pictures, “{reason_in_words(str(failed))}”"
    of = f" of {str(kind).replace('_', ' ')}" if kind else ""
    of += f" {arguments['entity_id']}" if arguments.get("entity_id") else ""
    return f"{'pictures that lack some' if arguments.get('which') == 'missing' else 'all pictures'}{of}"


def time_left(seconds: float | None) -> str:
    """ "about 40 s left", "about 3 minutes left"; empty where it is not known."""
    if seconds is None:
        return ""
    return f"about {_duration(seconds)} left"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)}\N{NO-BREAK SPACE}s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    if seconds < 36 * 3600:
        return f"{round(seconds / 3600)} hours"
    return f"{round(seconds / 86400)} days"


def ago(seconds: float) -> str:
    return f"{_duration(seconds)} ago" if seconds >= 1 else "now"


def pause_in_words(seconds: float) -> str:
    """ "40 s", and of what waits for long "3 hours": until it is tried again."""
    return f"{max(round(seconds), 1)} s" if seconds < 120 else _duration(seconds)


def due_in_words(when: datetime | None) -> str:
    """ "tomorrow 03:00"; in the time zone that it carries."""
    if when is None:
        return ""
    days = (when.date() - datetime.now(when.tzinfo).date()) / timedelta(days=1)
    day = {0: "today", 1: "tomorrow"}.get(int(days), f"{when:%-d %b}")
    return f"{day} {when:%H:%M}"


def rate_in_words(per_second: float) -> str:
    """ "8.2/s"; where that were hardly any, "12/min"."""
    if per_second <= 0:
        return ""
    return f"{per_second:.1f}/s" if per_second >= 0.5 else f"{per_second * 60:.0f}/min"


def result_in_words(kind: str, result: Mapping[str, Any] | None) -> str:
    """What came of it: "1,204 pictures · 3 failed", "2.6 MB freed"; of other kinds their numbers as they are named."""
    told = result or {}
    if kind == "cleanup" and "bytes" in told:
        return f"{size(told['bytes'])} {'could go' if told.get('dry_run') else 'freed'}"
    wanted = _RESULTS.get(_SAME.get(kind, kind))
    if wanted:
        said = [(told.get(key, 0), one, many) for key, one, many in wanted if told.get(key) or key in _SAID_AT_ZERO]
        return " · ".join(f"{value:,} {one if value == 1 else many}" for value, one, many in said) or "Nothing to do"
    numbers = [
        (name, value)
        for name, value in told.items()
        if isinstance(value, int) and not isinstance(value, bool) and value
    ]
    return " · ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in numbers[:_NUMBERS])
