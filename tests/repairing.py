"""A portal that is damaged behind its back, checked and repaired."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from portal import database
from portal.audit.actors import Actor
from portal.backups.destination import Folder
from portal.backups.objects import put_object
from portal.integrity.check import full_check
from portal.integrity.findings import FindingView, open_findings
from portal.integrity.fsck import fsck
from portal.maintenance.repair import RepairReport, Selection, repair
from portal.settings import Settings
from portal.storage.keys import original_key, rendition_key
from portal.storage.store import Store
from tests.factories import Studio

ADMIN = Actor("user:ana@example.com", "admin")
HOURS = 3  # older than the grace


@dataclass(frozen=True)
class Workshop:
    studio: Studio
    config: Settings

    @property
    def store(self) -> Store:
        return self.studio.store

    @property
    def root(self) -> Path:
        return self.store.root

    async def check(self) -> list[FindingView]:
        await full_check(store=self.store, grace=timedelta(minutes=self.config.grace_minutes))
        return await open_findings()

    async def repair(
        self,
        *,
        dry_run: bool = False,
        selection: Selection = Selection(),  # noqa: B008 - frozen
    ) -> RepairReport:
        parts = {"settings": self.config, "store": self.store, "pool": self.studio.pool, "actor": ADMIN}
        return await repair(selection, dry_run=dry_run, **parts)

    async def check_and_repair(self) -> RepairReport:
        await self.check()
        return await self.repair()

    async def breaches(self) -> list[tuple[str, str | None]]:
        """What fsck says."""
        grace = timedelta(minutes=self.config.grace_minutes)
        return [(each.kind, each.key) async for each in fsck(store=self.store, pool=self.studio.pool, grace=grace)]

    async def back_up(self, data: bytes, entity_type: str = "inventory_items") -> str:
        backups = Folder(self.config.backup_dir)
        await backups.open_root()
        return await put_object(backups, entity_type, data)

    def flip(self, key: str) -> bytes:
        """One byte of an object changes; gives what it is now."""
        data = bytearray((self.root / key).read_bytes())
        data[len(data) // 2] ^= 1
        (self.root / key).write_bytes(data)
        return bytes(data)

    def age(self, key: str) -> None:
        then = time.time() - HOURS * 3600
        os.utime(self.root / key, (then, then))

    def leave(self, key: str, data: bytes) -> None:
        """An object that nobody knows of, older than the grace."""
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(data)
        self.age(key)

    def objects(self) -> dict[str, bytes]:
        return {entry.key: (self.root / entry.key).read_bytes() for entry in self.store.walk()}

    def held(self) -> list[bytes]:
        """What lies in the quarantine."""
        folder = self.config.quarantine_dir
        if not folder.exists():
            return []
        return sorted((folder / entry.key).read_bytes() for entry in Store(folder).walk())


def original(image_id: UUID, version: int = 1, entity_type: str = "inventory_items", extension: str = "jpg") -> str:
    return original_key(entity_type, image_id, version, extension)


def rendition(image_id: UUID, name: str, version: int = 1, rendering: int = 1) -> str:
    return rendition_key("inventory_items", image_id, version, rendering, name)


async def actions() -> list[str]:
    """Of repairs, in their order."""
    rows = await database.fetch("SELECT action FROM audit WHERE action LIKE 'repair.%' ORDER BY pk")
    return [row["action"] for row in rows]
