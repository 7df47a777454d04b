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
    more, listed in objects.jsonl with `lost`. `members`: by name, relative to the backup's folder.
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
            raise Foreign(
                f"{name} was written by a newer version of the portal ({said['portal_version']}). Update this portal first."
            )
        return _root(said)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Foreign(f"{name} is not the root of a backup of this portal.") from error


def _root(said: dict[str, Any]) -> Root:
    times = {name: datetime.fromisoformat(said[name]) for name in ("begun_at", "created_at")}
    members = {_name(name): Member(**each) for name, each in said["members"].items()}
    return _checked(Root(**{**said, **times, "members": members, "entity_types": tuple(said["entity_types"])}))


def _checked(root: Root) -> Root:
    """Raises ValueError for what a root of ours cannot say."""
    held = root.members.values()
    numbers = [getattr(root, name) for name in _NUMBERS] + [each.bytes for each in held]
    texts = [root.id, root.reason, root.made_by, root.portal_version, *(each.sha256 for each in held)]
    if not all(isinstance(each, int) and each >= 0 for each in numbers):
        raise ValueError("a number is none")
    if not all(isinstance(each, str) for each in texts):
        raise ValueError("a text is none")
    if not set(root.entity_types) <= set(ENTITY_TYPES) or None in (root.begun_at.tzinfo, root.created_at.tzinfo):
        raise ValueError("unknown entity types, or times without a zone")
    return root


def _name(name: str) -> str:
    """Raises ValueError for what could lead out of the backup's folder."""
    if not _MEMBER.fullmatch(name):
        raise ValueError(f"not a member: {name!r}")
    return name


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
