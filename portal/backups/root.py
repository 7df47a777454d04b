"""The root of a backup: what it is of, and the SHA-256 of each of its files. Written last; without it a backup is unfinished.

Two lines: a JSON object, and `{"sha256": …}` of the first line with its line end (`head -n1 backup.jsonl | sha256sum`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from portal.errors import Conflict
from portal.settings import ENTITY_TYPES

FORMAT: Final = 1  # how files lie and what the root says
SCHEMA: Final = 1  # what the lines of rows say; raised when a table changes, with an upgrade of older lines
_MEMBER: Final = re.compile(rf"(?:(?:{'|'.join(ENTITY_TYPES)})/)?[A-Za-z_]{{1,40}}\.(?:jsonl|json|txt)", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_TEXT: Final = 500
_MOST_NUMBER: Final = 2**63 - 1
_COUNTS: Final = ("entities", "images", "versions", "objects", "bytes")
_NUMBERS: Final = (*_COUNTS, "copied_objects", "copied_bytes", "lost", "format", "schema")
Reason = Literal["asked", "schedule", "restore_point", "import"]


class Damaged(Conflict):
    """What is written there is not what was written. The message names the file."""


class Foreign(Conflict):
    """Made by a newer version of the portal, or by something else. The message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of this backup; `lines` None where it has none."""

    sha256: str
    bytes: int
    lines: int | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """`begun_at` is the moment that its rows show, `created_at` when it was whole. `objects` and `bytes`: of all that it
    refers to; `copied_objects` and `copied_bytes`: what no backup before had. `lost`: objects that the store did not have any
    more, listed in objects.jsonl with `lost`. `portal`: which one made it (`identity`), where several share a place. `members`:
    by name, relative to the backup's folder.
    """

    id: str
    begun_at: datetime
    created_at: datetime
    entity_types: tuple[str, ...]
    entities: int
    images: int
    versions: int
    objects: int
    bytes: int
    copied_objects: int
    copied_bytes: int
    lost: int
    reason: Reason
    made_by: str
    portal_version: str
    portal: str = ""
    members: Mapping[str, Member] = field(default_factory=dict)
    format: int = FORMAT
    schema: int = SCHEMA

    @property
    def is_of_all(self) -> bool:
        return set(self.entity_types) == set(ENTITY_TYPES)

    def encoded(self) -> bytes:
        line = json.dumps(asdict(self), default=_time, ensure_ascii=False, sort_keys=True).encode() + b"\n"
        return line + json.dumps({"sha256": hashlib.sha256(line).hexdigest()}).encode() + b"\n"


def decoded(data: bytes, name: str) -> Root:
    """Raises Damaged, Foreign; `name` is that of the file, for their messages."""
    first, _, second = data.partition(b"\n")
    if second != json.dumps({"sha256": hashlib.sha256(first + b"\n").hexdigest()}).encode() + b"\n":
        raise Damaged(f"{name} is damaged: it does not match its own checksum.")
    try:
        said = json.loads(first)
        if said["format"] > FORMAT or said["schema"] > SCHEMA:
            version = said["portal_version"] if _is_text(said["portal_version"]) else "it does not say which"
            raise Foreign(f"{name} was written by a newer version of the portal ({version}). Update this portal first.")
        return _root(said)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Foreign(f"{name} is not the root of a backup of this portal.") from error


def _root(said: dict[str, Any]) -> Root:
    times = {name: datetime.fromisoformat(said[name]) for name in ("begun_at", "created_at")}
    members = {_name(name): Member(**each) for name, each in said["members"].items()}
    return _checked(Root(**{**said, **times, "members": members, "entity_types": tuple(said["entity_types"])}))


def _checked(root: Root) -> Root:
    """Raises ValueError for what a root of ours cannot say: lists, pages and headers show what it says."""
    held = root.members.values()
    if not all(map(_is_number, (getattr(root, name) for name in _NUMBERS))) or 0 in (root.format, root.schema):
        raise ValueError("a number is none")
    if not all(map(_is_member, held)):
        raise ValueError("a member is none")
    if not all(map(_is_text, (root.id, root.reason, root.made_by, root.portal_version, root.portal))):
        raise ValueError("a text is none")
    if not set(root.entity_types) <= set(ENTITY_TYPES) or len(set(root.entity_types)) < len(root.entity_types):
        raise ValueError("unknown entity types, or one twice")
    if not all(each.tzinfo and 1970 <= each.year < 9999 for each in (root.begun_at, root.created_at)):
        raise ValueError("a time without a zone, or one that other zones have no name for")
    return root


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_NUMBER


def _is_text(value: object) -> bool:
    """Without what could not be shown, a lone surrogate say."""
    return isinstance(value, str) and len(value) <= _MOST_TEXT and value.isprintable()


def _is_member(each: Member) -> bool:
    is_hash = isinstance(each.sha256, str) and _SHA256.fullmatch(each.sha256) is not None
    return is_hash and _is_number(each.bytes) and (each.lines is None or _is_number(each.lines))


def _name(name: str) -> str:
    """Raises ValueError for what could lead out of the backup's folder."""
    if not _MEMBER.fullmatch(name):
        raise ValueError(f"not a member: {name!r}")
    return name


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
