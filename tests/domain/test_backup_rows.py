"""What a backup says of rows: every column of every table that it holds, or a reason why not."""

from __future__ import annotations

import json

import pytest

from portal import database
from portal.backups import rows
from portal.settings import ENTITY_TYPES
from portal.tables import TABLES
from tests.factories import Studio, make_entity


@pytest.mark.parametrize("kind", rows.OF_TYPE, ids=lambda kind: kind.manifest)
def test_no_column_is_forgotten(kind: rows.Rows) -> None:
    (table,) = (each for each in TABLES if each._meta.tablename == kind.table)
    said = {column._meta.db_column_name for column in table._meta.columns}
    assert said - rows.LEFT_OUT[kind.table] - set(kind.columns) <= {"invoice"}, (
        "name the column, or say why it is left out"
    )
    assert set(kind.columns) <= said


async def test_lines_name_their_owner_and_amounts_are_text(studio: Studio) -> None:
    await studio.add(await make_entity("invoices", id="RE-1"))
    await database.execute(
        "INSERT INTO invoice_line (invoice, position, description, quantity) SELECT pk, 0, 'Mug', 1.50 FROM entity"
    )
    lines = {
        kind.manifest: [json.loads(row[0]) for row in await database.fetch(kind.select, "invoices")]
        for kind in rows.OF_TYPE
    }
    assert lines["lines.jsonl"][0]["quantity"] == "1.50"
    assert (lines["lines.jsonl"][0]["invoice"], lines["images.jsonl"][0]["entity"]) == ("RE-1", "RE-1")
    objects = [json.loads(row[0])["sha256"] for row in await database.fetch(rows.OBJECTS, "invoices")]
    assert len(objects) == len(set(objects)) > 5
    assert objects == sorted(objects)
    for entity_type in ENTITY_TYPES[:2]:
        assert not await database.fetch(rows.OBJECTS, entity_type)
    assert await database.fetch(rows.AUDIT)
    assert not await database.fetch(rows.SIZES)
