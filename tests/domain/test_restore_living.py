"""Restore into a portal that is alive: in parts, beside what changed since, and never other bytes under a name that was out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.backups.plan import Counts, Selection
from portal.embed.keys import Scope, issue_key, list_keys, revoke_key
from portal.entities.kinds import EntityRef
from portal.gallery import batch_work
from portal.gallery.batch_forms import read_batch
from portal.gallery.batch_work import run_batch
from portal.gallery.disposal import delete_entity, delete_image, drop_old_versions, trash_image
from portal.gallery.pins import find_pin_line, unpin_invoice
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from tests.factories import EDITOR, make_entity
from tests.restoring import ADMIN, BILL, MUG, Bench, furnish

GONE: dict[str, Any] = {"actor": ADMIN, "deletes_per_hour": 500}
WHOLLY: dict[str, Any] = GONE | {"force": True}


async def row_of(image_id: UUID) -> dict[str, Any]:
    return dict(await database.fetch_row("SELECT * FROM image WHERE id = $1", image_id) or {})


async def order_of(ref: EntityRef) -> list[UUID]:
    rows = await database.fetch(
        """SELECT image.id FROM image JOIN entity ON entity.pk = image.entity
           WHERE entity.type = $1 AND entity.id = $2 AND trashed_at IS NULL ORDER BY sort_order""",
        ref.type,
        ref.id,
    )
    return [row["id"] for row in rows]


async def test_one_deleted_picture_comes_back_to_its_place(bench: Bench) -> None:
    made = await furnish(bench.studio)
    await bench.studio.add(MUG)
    before = await bench.state()
    root = await bench.back_up()
    await unpin_invoice(BILL, **GONE)
    await delete_image(made["first"], **GONE)
    await bench.render_rest()
    plan = await bench.restore(root, Selection(image_id=made["first"]), on_conflict="replace")
    assert plan.images == Counts(create=1)
    assert plan.entities == Counts(skip=1)
    assert plan.restore_point
    after = await bench.state()
    assert after["inventory_items/images.jsonl"][0] == before["inventory_items/images.jsonl"][0]
    assert after["inventory_items/versions.jsonl"] == before["inventory_items/versions.jsonl"]
    assert (await order_of(MUG))[0] == made["first"]
    assert not after["invoices/pins.jsonl"]  # an invoice's pin is the invoice's


async def test_a_deleted_entity_comes_back_with_all_that_was_its_own(bench: Bench) -> None:
    await furnish(bench.studio)
    before = await bench.state()
    root = await bench.back_up()
    await delete_entity(BILL, **WHOLLY)
    await delete_entity(MUG, **WHOLLY)
    await bench.render_rest()
    plan = await bench.restore(root, Selection(entity=MUG), on_conflict="replace")
    assert (plan.entities, plan.images, plan.embed_keys) == (Counts(create=1), Counts(create=4), Counts(0, 1, 0, 1))
    await bench.restore(root, Selection(entity=BILL))
    assert await bench.state() == before  # the key that went with its entity works again, the pin shows the same


async def test_a_key_that_somebody_withdrew_stays_withdrawn(bench: Bench) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    (key,) = (await list_keys()).items
    await revoke_key(key.id, EDITOR)
    plan = await bench.restore(root, on_conflict="replace")
    assert plan.embed_keys == Counts(skip=1, conflict=1)
    assert "withdrawn" in plan.examples[0].detail
    assert not (await list_keys()).items


async def test_a_key_that_is_there_under_another_id_is_told_and_left_alone(bench: Bench) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    await database.execute("UPDATE embed_key SET id = '01930000-0000-7000-8000-000000000001'")
    plan = await bench.restore(root, on_conflict="replace")
    assert plan.embed_keys == Counts(skip=1, conflict=1)
    assert "another id" in plan.examples[0].detail


async def test_types_are_restored_alone(bench: Bench) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    before = await bench.state()
    await delete_entity(EntityRef("customers", "ANA"), **GONE)
    await database.execute("UPDATE entity SET name = 'Other mug' WHERE id = 'MUG'")
    await bench.render_rest()
    await bench.restore(root, Selection(entity_types=("customers",)), on_conflict="replace")
    after = await bench.state()
    assert after["customers/images.jsonl"] == before["customers/images.jsonl"]
    assert after["inventory_items/entities.jsonl"] != before["inventory_items/entities.jsonl"]


async def test_what_differs_is_left_alone_and_named(bench: Bench) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    await change_image(made["first"], {"caption": "since"}, actor=EDITOR)
    await bench.studio.replace(made["old"])
    await database.execute("UPDATE entity SET name = 'Other mug' WHERE id = 'MUG'")
    before = await bench.state()
    plan = await bench.restore(root)
    assert await bench.state() == before
    assert (plan.images, plan.entities) == (Counts(skip=6, conflict=2), Counts(skip=3, conflict=1))
    said = {each.name.partition(" ")[0]: each.detail for each in plan.examples}
    assert said["inventory_items/MUG"] == "other name"
    assert said[str(made["first"])] == "other caption"
    assert "bytes" in said[str(made["old"])]


async def test_texts_are_taken_back_and_nothing_else(bench: Bench) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    was = await row_of(made["first"])
    await change_image(made["first"], {"caption": "since", "tags": ["x"]}, actor=EDITOR)
    await database.execute("UPDATE entity SET name = 'Other mug' WHERE id = 'MUG'")
    plan = await bench.restore(root, on_conflict="replace")
    now = await row_of(made["first"])
    changed = {name for name in was if was[name] != now[name]}
    assert changed == {"revision", "updated_at"}
    assert now["revision"] > was["revision"]
    assert plan.images == Counts(replace=1, skip=5, conflict=1)
    assert plan.objects == 0
    assert await database.fetch_value("SELECT name FROM entity WHERE id = 'MUG'") == "Fjord mug"


async def test_other_bytes_become_a_new_version_and_every_name_keeps_its_own(bench: Bench) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    was = await row_of(made["old"])
    await bench.studio.replace(made["old"])
    since = await row_of(made["old"])
    await bench.restore(root, on_conflict="replace")
    now = await row_of(made["old"])
    assert (now["sha256"], now["version"], now["rendering"]) == (was["sha256"], since["version"] + 1, 1)
    assert now["renditions"].replace('"5.1"', '"3.1"') == was["renditions"]
    assert now["status"] == "ready"
    kept = await database.fetch("SELECT version, sha256 FROM image_version WHERE image = $1 ORDER BY 1", made["old"])
    assert [row["version"] for row in kept] == [1, 2, 3, 4]
    assert kept[-1]["sha256"] == since["sha256"]
    again = await bench.restore(root, on_conflict="replace")
    assert again.images == Counts(skip=6)


async def test_other_edits_are_rendered_anew_under_another_name(bench: Bench) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    was = await row_of(made["edited"])
    await change_image(made["edited"], {"edits": {"flip": "horizontal"}}, actor=EDITOR)
    await render_all(made["edited"], store=bench.store, pool=bench.studio.pool)
    await bench.restore(root, on_conflict="replace")
    now = await row_of(made["edited"])
    assert (now["edits"], now["focal_x"]) == (was["edits"], was["focal_x"])
    assert now["rendering"] == was["rendering"] + 2
    assert f'"1.{now["rendering"]}"' in now["renditions"]


@pytest.mark.parametrize("on_conflict", ["skip", "replace"])
async def test_the_trash_is_left_or_taken_back(bench: Bench, on_conflict: str) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    await trash_image(made["first"], **GONE)
    await bench.restore(root, on_conflict=on_conflict)
    assert (made["first"] in await order_of(MUG)) == (on_conflict == "replace")
    row = await row_of(made["first"])
    assert row["is_primary"] == (on_conflict == "replace")


@pytest.mark.parametrize("on_conflict", ["skip", "replace"])
async def test_a_picture_that_is_in_another_gallery_stays_there(bench: Bench, on_conflict: str) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    await unpin_invoice(BILL, **GONE)
    await make_entity(id="BOWL")
    await database.execute(
        """UPDATE image SET entity = (SELECT pk FROM entity WHERE id = 'BOWL'), is_primary = true, sort_order = 0
           WHERE id = $1""",
        made["old"],
    )
    await database.execute("UPDATE image SET sort_order = 1 WHERE id = $1 AND sort_order = 2", made["edited"])
    plan = await bench.restore(root, on_conflict=on_conflict)
    assert await order_of(EntityRef("inventory_items", "BOWL")) == [made["old"]]
    assert any("inventory_items/BOWL" in each.detail for each in plan.examples)


@pytest.mark.parametrize("on_conflict", ["skip", "replace"])
async def test_who_came_since_closes_up_around_who_comes_back(bench: Bench, on_conflict: str) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    await unpin_invoice(BILL, **GONE)
    await delete_image(made["edited"], **GONE)
    new = await bench.studio.add(MUG)
    ids = [new, *(await order_of(MUG))[:-1]]
    await database.execute(
        "UPDATE image SET sort_order = p.n - 1 FROM unnest($1::uuid[]) WITH ORDINALITY AS p (id, n) WHERE image.id = p.id",
        ids,
    )
    await bench.render_rest()
    await bench.restore(root, on_conflict=on_conflict)
    first, edited, old = made["first"], made["edited"], made["old"]
    wanted = [new, edited, first, old] if on_conflict == "skip" else [first, edited, old, new]
    assert await order_of(MUG) == wanted


async def test_a_pin_comes_back_and_shows_the_same(bench: Bench) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    before = await bench.state()
    await unpin_invoice(BILL, **GONE)
    await bench.render_rest()
    plan = await bench.restore(root)
    assert plan.pins == Counts(create=1)
    after = await bench.state()
    for name in ("invoices/pins.jsonl", "invoices/pinned.jsonl"):
        assert after[name] == before[name]


@pytest.mark.parametrize("on_conflict", ["skip", "replace"])
async def test_a_pin_comes_back_to_pictures_that_went_to_another_type(bench: Bench, on_conflict: str) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    await unpin_invoice(BILL, **GONE)
    ids = [str(made[name]) for name in ("paper", "first")]
    sent = {"ids": ids, "action": "move", "entity_type": "customers", "entity_id": "ANA", "allow_duplicate": True}
    config = bench.config.replace(free_space_bytes=0)
    outcomes = await run_batch(*read_batch(sent), batch_work.Bench(config, bench.store, EDITOR))
    assert [each.error for each in outcomes] == [None, None]
    await bench.render_rest()
    plan = await bench.restore(root, on_conflict=on_conflict)
    assert plan.pins == Counts(create=1)
    assert (await find_pin_line(BILL)) is not None
    assert (await order_of(EntityRef("customers", "ANA")))[1:] == [made["paper"], made["first"]]


async def test_a_pin_whose_pictures_are_gone_is_not_half_restored(bench: Bench) -> None:
    await furnish(bench.studio)
    root = await bench.back_up()
    await delete_entity(BILL, **WHOLLY)
    await delete_entity(MUG, **WHOLLY)
    await bench.render_rest()
    plan = await bench.restore(root, Selection(entity_types=("invoices",)))
    assert plan.pins == Counts(skip=1, conflict=1)
    assert await find_pin_line(BILL) is None


async def test_what_is_kept_of_a_picture_stays_within_ten(bench: Bench) -> None:
    await make_entity(id="MUG")
    image = await bench.studio.add(MUG)
    for _ in range(6):
        await bench.studio.replace(image, ready=False)
    await bench.render_rest()
    root = await bench.back_up()
    async with database.transaction():
        await drop_old_versions("inventory_items", image, 0, **GONE)
    for _ in range(7):
        await bench.studio.replace(image, ready=False)
    await bench.render_rest()
    await bench.restore(root, on_conflict="replace")
    rows = await database.fetch("SELECT version FROM image_version ORDER BY version")
    assert [row["version"] for row in rows] == [5, 6, *range(7, 15)]


async def test_keys_are_brought_and_old_ones_replaced(bench: Bench) -> None:
    await furnish(bench.studio)
    options: dict[str, Any] = {"presets": ["card"], "parents": ["*"], "expires_at": None, "captions": True}
    id, _ = await issue_key(Scope("categories"), **options, private_types=(), actor=EDITOR)
    root = await bench.back_up()
    before = await bench.state()
    await database.execute("UPDATE embed_key SET captions = false WHERE id = $1", id)
    await database.execute("DELETE FROM embed_key WHERE id <> $1", id)
    assert (await bench.restore(root)).embed_keys == Counts(create=1, skip=1, conflict=1)
    assert (await bench.restore(root, on_conflict="replace")).embed_keys == Counts(replace=1, skip=1, conflict=1)
    assert await bench.state() == before


async def test_one_picture_brings_back_its_gallery_where_that_was_deleted(bench: Bench) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    await delete_entity(MUG, **WHOLLY)
    await bench.render_rest()
    plan = await bench.restore(root, Selection(image_id=made["old"]))
    assert (plan.entities, plan.images, plan.embed_keys) == (Counts(create=1), Counts(create=1), Counts())
    assert await order_of(MUG) == [made["old"]]
    assert (await row_of(made["old"]))["is_primary"]
    assert not (await list_keys()).items  # the keys of the gallery are the gallery's
    again = await bench.restore(root, Selection(image_id=made["old"]), on_conflict="replace")
    assert (again.images.create, again.objects, again.entities) == (0, 0, Counts(skip=1))


async def test_a_second_restore_of_the_same_has_nothing_to_do(bench: Bench) -> None:
    made = await furnish(bench.studio)
    root = await bench.back_up()
    await delete_image(made["edited"], **WHOLLY)
    await trash_image(made["first"], **GONE)
    await bench.studio.replace(made["old"])
    await unpin_invoice(BILL, **GONE)
    await bench.render_rest()
    await bench.restore(root, on_conflict="replace")
    after = await bench.state()
    again = await bench.restore(root, on_conflict="replace")
    for counts in (again.entities, again.images, again.versions, again.pins, again.embed_keys):
        assert (counts.create, counts.replace, counts.conflict) == (0, 0, 0), again.examples
    assert again.objects == 0
    assert await bench.state() == after
