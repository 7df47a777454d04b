"""A portal with all that a backup holds, and what of it must be the same after a restore: every row, every byte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import Actor
from portal.backups import rows
from portal.backups.create import create_backup
from portal.backups.destination import Destination, Folder
from portal.backups.plan import Plan, Selection
from portal.backups.restore import restore_backup
from portal.backups.root import Root
from portal.embed.keys import Scope, issue_key
from portal.entities.kinds import EntityRef
from portal.gallery.disposal import trash_image
from portal.gallery.forms import PictureFields
from portal.gallery.pins import pin_invoice
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.gallery.tasks import purge_objects
from portal.integrity.fsck import fsck
from portal.settings import ENTITY_TYPES, Settings
from portal.storage.store import Store
from tests.factories import EDITOR, Studio, make_entity

ADMIN: Final = Actor("user:ana@example.com", "admin")
MUG: Final = EntityRef("inventory_items", "MUG")
BILL: Final = EntityRef("invoices", "RE-1")


@dataclass
class Bench:
    """A portal, a place for its backups, and what tests do with both."""

    studio: Studio
    config: Settings
    destination: Destination

    @property
    def store(self) -> Store:
        return self.studio.store

    async def back_up(self) -> Root:
        return await create_backup(settings=self.config, store=self.store, actor=ADMIN)

    async def restore(self, root: Root, selection: Selection | None = None, **options: Any) -> Plan:
        """After a dry run, which says the same. No name stands for other bytes afterwards; fsck finds nothing."""
        before = objects_now(self.store)
        planned = await self.ask(root, selection, dry_run=True, **options)
        done = await self.ask(root, selection, dry_run=False, **options)
        assert planned.without_its_run() == done.without_its_run()
        after = objects_now(self.store)
        assert {key: after.get(key) for key in before} == before
        await self.render_rest()
        assert await self.breaches() == []
        return done

    async def ask(self, root: Root, selection: Selection | None = None, *, dry_run: bool, **options: Any) -> Plan:
        parts: dict[str, Any] = {"settings": self.config, "store": self.store, "destination": self.destination}
        options = {"actor": ADMIN} | options
        return await restore_backup(
            **parts, backup_id=root.id, selection=selection or Selection(), dry_run=dry_run, **options
        )

    async def state(self) -> dict[str, Any]:
        return await rows_now() | {"objects": objects_now(self.store)}

    async def wipe(self) -> None:
        """A fresh portal: no row, no byte."""
        async with database.transaction():
            for table in ("entity", "embed_key", "preset_change", "object_purge", "pgqueuer"):
                await database.execute(f"DELETE FROM {table}")
        for entry in list(self.store.walk()):
            self.store.path_of(entry.key).unlink()

    async def render_rest(self) -> None:
        waiting = await database.fetch(
            "SELECT id FROM image WHERE coalesce(renditions ->> 'of', '') <> version || '.' || rendering AND status <> 'failed'"
        )
        for row in waiting:
            await render_all(row["id"], store=self.store, pool=self.studio.pool)
        await purge_objects({}, store=self.store)
        await database.execute("DELETE FROM pgqueuer")

    async def breaches(self) -> list[str]:
        """What fsck says, without any grace but for drafts, which a kill leaves and a cleanup takes."""
        found = fsck(store=self.store, pool=self.studio.pool, grace=timedelta(0), temp_grace=timedelta(hours=1))
        return [f"{each.kind} {each.key} {each.image_id} {each.detail}" async for each in found]


async def rows_now() -> dict[str, list[str]]:
    """What all tables say that a backup holds, in the words of its manifests."""
    said = {
        f"{entity_type}/{kind.manifest}": await lines_of(kind.select, entity_type)
        for entity_type in ENTITY_TYPES
        for kind in rows.OF_TYPE
    }
    return said | {"sizes": await lines_of(rows.SIZES)}


async def lines_of(statement: str, *arguments: str) -> list[str]:
    rows: list[Any] = list(await database.fetch(statement, *arguments))
    return [row[0] for row in rows]


def objects_now(store: Store) -> dict[str, str]:
    entries = [each for each in store.walk() if not each.key.startswith("temp/")]
    return {each.key: hashlib.sha256((store.root / each.key).read_bytes()).hexdigest() for each in entries}


async def furnish(studio: Studio) -> dict[str, UUID]:
    """A mug with four pictures (one trashed, one edited, one with versions), an invoice that is pinned to them, keys."""
    await make_entity("inventory_items", id="MUG")
    await make_entity("invoices", id="RE-1", name="Invoice 1")
    await make_entity("customers", id="ANA", name="Ana")
    await database.execute(
        """INSERT INTO invoice_line (invoice, position, item, description, quantity, unit_price)
           SELECT pk, 0, 'MUG', 'Mug', 1.50, 12.00 FROM entity WHERE id = 'RE-1'"""
    )
    made = {
        name: await studio.add(MUG, fields=PictureFields(caption=name))
        for name in ("first", "edited", "old", "trashed")
    }
    made["paper"] = await studio.add(BILL)
    made["face"] = await studio.add(EntityRef("customers", "ANA"))
    await pin_invoice(BILL, actor=EDITOR)
    await studio.replace(made["first"])
    await studio.replace(made["old"])
    await studio.replace(made["old"])
    await change_image(made["edited"], {"edits": {"rotate": 90}, "focal_x": 0.25, "focal_y": 0.5}, actor=EDITOR)
    await render_all(made["edited"], store=studio.store, pool=studio.pool)
    await trash_image(made["trashed"], actor=EDITOR, deletes_per_hour=500)
    options: dict[str, Any] = {"presets": None, "parents": ["*"], "expires_at": None, "captions": True}
    await issue_key(Scope("inventory_items", "MUG"), **options, private_types=(), actor=EDITOR)
    await database.execute(
        """INSERT INTO preset_change (name, width, height, quality, state, decided_by, ended_at)
           VALUES ('card', 400, 300, 70, 'done', 'user:ana@example.com', now())"""
    )
    await purge_objects({}, store=studio.store)
    await database.execute("DELETE FROM pgqueuer")
    return made


@pytest.fixture
async def bench(studio: Studio, config: Settings) -> Bench:
    destination = Folder(config.backup_dir)
    await destination.open_root()
    return Bench(studio, config, destination)
