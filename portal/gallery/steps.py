"""A picture's history in people's words: who did what, and which texts stood before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from portal.audit import words
from portal.audit.queries import AuditEntry, history_of
from portal.gallery.seen import said_of

_TEXTS: Final = ("alt_text", "caption", "tags")
_LONGEST: Final = 160


@dataclass(frozen=True, slots=True)
class Rewording:
    """Either may be empty; cut where it is long."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    actor: str
    action: str
    detail: str
    icon: str
    rewordings: tuple[Rewording, ...] = ()


_ICONS: Final = {
    "image.add": "upload",
    "image.describe": "pencil",
    "image.primary": "star",
    "image.trash": "trash",
    "image.restore": "undo-2",
    "image.replace": "refresh-cw",
    "image.rerender": "refresh-cw",
    "image.retry": "refresh-cw",
    "image.move": "folder-output",
}


async def steps_of(image_id: str) -> list[Step]:
    """Newest first."""
    return [_step(entry) for entry in await history_of("image", image_id)]


def _step(entry: AuditEntry) -> Step:
    after = entry.after or {}
    action, detail = words.said_of_itself(entry.action), ""
    rewordings: tuple[Rewording, ...] = ()
    if entry.action == "image.describe":
        fields = ", ".join(dict.fromkeys(words.field_of(name) for name in after))
        action, detail = said_of(after) or (action, fields)
        rewordings = _rewordings(entry.before or {}, after)
    elif entry.action == "image.replace":
        detail = after.get("filename", "")
    elif entry.action == "image.restore_version":
        detail = f"version {after['restored']}" if "restored" in after else ""
    icon = _ICONS.get(entry.action, "rotate-ccw-clock")
    return Step(entry.at, words.who(entry.actor), action, detail, icon, rewordings)


def _rewordings(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Rewording, ...]:
    return tuple(
        Rewording(words.field_of(name), _text(before.get(name)), _text(after[name]))
        for name in _TEXTS
        if name in after and before.get(name) != after[name]
    )


def _text(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()}…"
