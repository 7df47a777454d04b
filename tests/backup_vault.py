"""A portal's backups in a folder, made and looked into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from portal.backups.create import create_backup
from portal.backups.destination import Folder
from portal.backups.layout import folder_of
from portal.backups.root import Root
from portal.backups.verify import verify_backup
from portal.settings import Settings
from tests.factories import Studio
from tests.repairing import ADMIN


class Vault:
    """Backups of this test's portal."""

    def __init__(self, studio: Studio, config: Settings) -> None:
        self.studio, self.config = studio, config
        self.root = config.backup_dir

    async def create(self, **options: Any) -> Root:
        return await create_backup(settings=self.config, store=self.studio.store, actor=ADMIN, **options)

    def lines(self, root: Root, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder(root) / name).read_text().splitlines()]

    def folder(self, root: Root) -> Path:
        return self.root / folder_of(root.id)

    def objects(self) -> set[str]:
        return {str(each.relative_to(self.root)) for each in self.root.glob("*/objects/*/*")}

    async def wrong(self, root: Root) -> list[str]:
        """What a verification of every byte says."""
        found = await verify_backup(destination=Folder(self.root), backup_id=root.id)
        return [f"{each.name}: {each.detail}" for each in found.wrong]


@pytest.fixture
def vault(studio: Studio, config: Settings) -> Vault:
    return Vault(studio, config)
