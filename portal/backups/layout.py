"""Names in a place for backups, relative to its root; docs/backup-format.md tells the rest.

<entity_type>/objects/<first two of sha256>/<sha256>     bytes by their SHA-256, whichever backups list them
backups/<id>/backup.jsonl                                the root of one backup, written last: without it, unfinished
backups/<id>/begun.json, README.txt                      written first
backups/<id>/audit.jsonl, sizes.jsonl                    manifests of the whole portal
backups/<id>/<entity_type>/<name>.jsonl                  manifests of one type: the NAMES below, rows and objects
temp/<anything>                                          in flight
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import Final

from portal.errors import NotFound
from portal.settings import ENTITY_TYPES

BACKUPS: Final = "backups"
OBJECTS: Final = "objects"
ROOT: Final = "backup.jsonl"
BEGUN: Final = "begun.json"
README: Final = "README.txt"
AUDIT: Final = "audit.jsonl"
SIZES: Final = "sizes.jsonl"
ENTITIES, LINES, IMAGES, VERSIONS = "entities.jsonl", "lines.jsonl", "images.jsonl", "versions.jsonl"
PINS, PINNED, EMBED_KEYS, OBJECT_LIST = "pins.jsonl", "pinned.jsonl", "embed_keys.jsonl", "objects.jsonl"
NAMES: Final = (ENTITIES, LINES, IMAGES, VERSIONS, PINS, PINNED, EMBED_KEYS, OBJECT_LIST)

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ID = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}Z-[0-9a-f]{6}", re.ASCII)
_OBJECT = re.compile(rf"({'|'.join(ENTITY_TYPES)})/{OBJECTS}/([0-9a-f]{{2}})/(\2[0-9a-f]{{62}})", re.ASCII)


def new_id(now: datetime) -> str:
    """Sorts by its time: `2026-11-23T055012Z-4f2a1b`."""
    return f"{now.astimezone(UTC):%Y-%m-%dT%H%M%SZ}-{secrets.token_hex(3)}"


def time_of_id(backup_id: str) -> datetime:
    """Raises ValueError for what is none."""
    if not _ID.fullmatch(backup_id):
        raise ValueError(f"no id of a backup: {backup_id!r}")
    return datetime.strptime(backup_id[:18], "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC)


def is_id(text: str) -> bool:
    try:
        time_of_id(text)
    except ValueError:  # also of a thirteenth month
        return False
    return True


def folder_of(backup_id: str) -> str:
    """Raises NotFound for what is no id: it may come from an address."""
    if not is_id(backup_id):
        raise NotFound("There is no backup with this id.")
    return f"{BACKUPS}/{backup_id}"


def object_key(entity_type: str, sha256: str) -> str:
    """Raises ValueError for what is no SHA-256 in hex, or no entity type."""
    if entity_type not in ENTITY_TYPES or not _SHA256.fullmatch(sha256):
        raise ValueError(f"not an object of {entity_type!r}: {sha256!r}")
    return f"{entity_type}/{OBJECTS}/{sha256[:2]}/{sha256}"


def object_of_key(key: str) -> tuple[str, str] | None:
    """Entity type and SHA-256; None for what is no object's key."""
    match = _OBJECT.fullmatch(key)
    return None if match is None else (match[1], match[3])
