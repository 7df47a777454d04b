"""Backups for tests. `forge` writes one straight into a folder, of any time and with any bytes: no portal is asked."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from portal.backups import layout
from portal.backups.destination import Folder
from portal.backups.layout import NAMES, folder_of, object_key
from portal.backups.root import Member, Root

TYPE = "inventory_items"
NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def some_bytes(seed: int, count: int = 5) -> list[bytes]:
    """Objects that differ, the same for the same seed."""
    source = random.Random(seed)
    return [source.randbytes(source.randrange(20, 3000)) for _ in range(count)]


def forge(
    folder: Path,
    objects: dict[str, list[bytes]] | list[bytes],
    *,
    at: datetime = NOW,
    **facts: Any,
) -> Root:
    """A complete backup whose images each need one object; `facts` are the root's. Objects that are there stay."""
    held = {TYPE: objects} if isinstance(objects, list) else objects
    backup_id = layout.new_id(at)
    members: dict[str, Member] = {}
    for entity_type, pieces in held.items():
        members |= _of_type(folder, backup_id, entity_type, {sha256_of(each): each for each in pieces})
    for name in (layout.AUDIT, layout.SIZES):
        members[name] = _file(folder, backup_id, name, [])
    members[layout.README] = replace(_file(folder, backup_id, layout.README, [{"read": "me"}]), lines=None)
    pieces = [set(each) for each in held.values()]
    counts: dict[str, Any] = {
        "objects": sum(len(each) for each in pieces),
        "bytes": sum(len(data) for each in pieces for data in each),
        "images": sum(len(each) for each in pieces),
    }
    said: dict[str, Any] = {
        "id": backup_id,
        "begun_at": at,
        "created_at": at,
        "entity_types": tuple(held),
        "entities": len(held),
        "versions": 0,
        "copied_objects": 0,
        "copied_bytes": 0,
        "lost": 0,
        "reason": "schedule",
        "made_by": "system",
        "portal_version": "1.0",
        "members": members,
    }
    root = Root(**said | counts | facts)
    place = folder / folder_of(backup_id) / layout.ROOT
    place.write_bytes(root.encoded())
    os.utime(place, (at.timestamp(), at.timestamp()))
    return root


def retell(folder: Path, root: Root, name: str, lines: list[dict[str, Any]]) -> Root:
    """The same backup, sound, with other lines in this manifest."""
    told = replace(root, members={**root.members, name: _file(folder, root.id, name, lines)})
    (folder / folder_of(root.id) / layout.ROOT).write_bytes(told.encoded())
    return told


def _of_type(folder: Path, backup_id: str, entity_type: str, pieces: Mapping[str, bytes]) -> dict[str, Member]:
    for sha256, data in pieces.items():
        place = folder / object_key(entity_type, sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.write_bytes(data)
    lines: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    lines[layout.ENTITIES] = [{"type": entity_type, "id": "MUG-1", "name": "Mug"}]
    lines[layout.IMAGES] = [{"id": str(uuid4()), "entity": "MUG-1", "sha256": sha256} for sha256 in pieces]
    lines[layout.OBJECT_LIST] = [{"sha256": sha256, "bytes": len(pieces[sha256])} for sha256 in sorted(pieces)]
    return {f"{entity_type}/{name}": _file(folder, backup_id, f"{entity_type}/{name}", lines[name]) for name in NAMES}


def _file(folder: Path, backup_id: str, name: str, lines: list[dict[str, Any]]) -> Member:
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    place = folder / folder_of(backup_id) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return Member(sha256_of(data), len(data), len(lines))


async def opened(folder: Path) -> Folder:
    destination = Folder(folder)
    await destination.open_root()
    return destination


def files_of(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder, by key."""
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}
