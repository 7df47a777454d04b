"""The demo shop is whole, adds up, and comes in by the portal's own verbs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups.folder_in import FolderIn, Offered
from portal.demo import SHOP, fill_demo
from portal.entities.imports import import_rows
from portal.errors import Conflict
from portal.settings import Settings
from portal.storage.links import Links
from tests.factories import Studio, make_entity

LINKS = Links((b"k" * 32,), frozenset())


def shop() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SHOP / "entities.jsonl").read_text("utf-8").splitlines()]


def pictures() -> list[Offered]:
    with FolderIn(SHOP) as folder:
        return list(folder.offered())


def test_every_invoice_of_the_demo_adds_up() -> None:
    invoices = [row for row in shop() if row["type"] == "invoices"]
    assert len(invoices) == 8
    for invoice in invoices:
        net = sum(Decimal(line["quantity"]) * Decimal(line["unit_price"]) for line in invoice["lines"])
        said = invoice["attributes"]
        assert net == Decimal(said["net"])
        assert net + Decimal(said["vat"]) == Decimal(invoice["total"])


def test_everything_that_the_demo_points_at_exists() -> None:
    there = {(row["type"], row["id"]) for row in shop()}
    assert len(there) == len(shop())
    parents = {(row["parent"]["type"], row["parent"]["id"]) for row in shop() if "parent" in row}
    items = {("inventory_items", line["item"]) for row in shop() for line in row.get("lines", []) if "item" in line}
    assert parents | items | {(row.ref.type, row.ref.id) for row in pictures() if row.ref} <= there


def test_every_demo_picture_is_named_once_and_has_its_alt_text() -> None:
    assert sorted(row.path for row in pictures()) == sorted(path.name for path in SHOP.glob("*.jpg"))
    assert all(row.said["alt_text"] for row in pictures())


async def test_demo_refuses_a_portal_that_holds_something(studio: Studio, config: Settings) -> None:
    await make_entity()
    with pytest.raises(Conflict, match="empty portal"):
        await fill_demo(config, studio.store, studio.pool, LINKS)
    assert await database.fetch_value("SELECT count(*) FROM entity") == 1


@pytest.mark.usefixtures("db")
async def test_demo_shop_passes_the_import() -> None:
    report = await import_rows((SHOP / "entities.jsonl").read_bytes(), "jsonl", SYSTEM, strict=True)
    assert (report.errors, report.repeated, report.created) == ([], [], len(shop()))


async def test_demo_is_ready_when_it_returns_though_no_worker_runs(studio: Studio, config: Settings) -> None:
    report = await fill_demo(config, studio.store, studio.pool, LINKS)
    assert (report.entities, report.images, report.failed) == (len(shop()), len(pictures()), [])
    assert await database.fetch_value("SELECT count(*) FROM image WHERE status = 'ready'") == report.images
    galleries = len({row.ref for row in pictures()})
    assert await database.fetch_value("SELECT count(*) FROM image WHERE is_primary") == galleries
    assert not list(config.temp_dir.glob("*.part"))
