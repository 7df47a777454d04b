"""A backup is made: what is in it, what is not, and what the next one copies."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from portal import database
from portal.backups import layout
from portal.backups.create import create_backup
from portal.backups.destination import Folder
from portal.backups.layout import folder_of, object_key
from portal.backups.root import Root, decoded
from portal.backups.verify import verify_backup
from portal.settings import Settings
from tests.factories import Studio, make_entity
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

    async def wrong(self, root: Root) -> list[str]:
        found = await verify_backup(destination=Folder(self.root), backup_id=root.id)
        return [f"{each.name}: {each.detail}" for each in found.wrong]


def files_of_objects(root: Path) -> list[Path]:
    return [each for each in root.glob("*/objects/*/*") if each.is_file()]


@pytest.fixture
def vault(studio: Studio, config: Settings) -> Vault:
    return Vault(studio, config)


async def test_all_that_rows_need_is_in_it_and_every_file_is_a_member(vault: Vault) -> None:
    mug, invoice = await make_entity(), await make_entity("invoices", id="RE-1")
    first = await vault.studio.add(mug)
    await vault.studio.add(invoice)
    await vault.studio.replace(first)
    root = await vault.create()
    assert (root.entities, root.images, root.versions, root.lost) == (2, 2, 1, 0)
    assert root.objects == root.copied_objects == len(files_of_objects(vault.root))
    files = {str(each.relative_to(vault.folder(root))) for each in vault.folder(root).rglob("*") if each.is_file()}
    assert files == {*root.members, layout.ROOT}
    for name, member in root.members.items():
        assert hashlib.sha256((vault.folder(root) / name).read_bytes()).hexdigest() == member.sha256
    for line in vault.lines(root, "inventory_items/objects.jsonl"):
        data = (vault.root / object_key("inventory_items", line["sha256"])).read_bytes()
        assert hashlib.sha256(data).hexdigest() == line["sha256"]
        assert data == await vault.studio.store.read(line["key"])
    assert decoded((vault.folder(root) / layout.ROOT).read_bytes(), "root") == root
    assert await vault.wrong(root) == []


async def test_the_next_backup_of_an_unchanged_portal_copies_nothing(vault: Vault) -> None:
    await vault.studio.add(await make_entity())
    first, second = await vault.create(), await vault.create()
    assert (second.copied_objects, second.copied_bytes) == (0, 0)
    assert first.copied_objects == first.objects == second.objects > 5
    assert await vault.wrong(second) == []
    said = json.loads(await database.fetch_value("SELECT value FROM portal_state WHERE name = 'backup'"))
    assert said["id"] == second.id
    told = await database.fetch("SELECT subject_id FROM audit WHERE action = 'backup.create' ORDER BY pk")
    assert [row["subject_id"] for row in told] == [first.id, second.id]
