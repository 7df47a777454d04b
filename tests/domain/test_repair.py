"""Each repair, alone: what it makes right, what it leaves alone, and what it says."""

from __future__ import annotations

import os
from typing import Any
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups.destination import Folder
from portal.backups.layout import object_key
from portal.backups.objects import find_objects, put_object, read_newest
from portal.entities.kinds import EntityRef
from portal.errors import Unavailable
from portal.gallery.disposal import restore_image
from portal.gallery.pins import pin_invoice
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.maintenance.quarantine import list_quarantined, undo
from portal.maintenance.repair import Selection
from portal.settings import Settings
from portal.storage.store import MARKER
from tests import samples
from tests.factories import Studio, make_entity
from tests.repairing import ADMIN, Workshop, actions, original, rendition


@pytest.fixture
def workshop(studio: Studio, config: Settings) -> Workshop:
    return Workshop(studio, config)


@pytest.fixture
async def image_id(studio: Studio) -> UUID:
    """A picture in a gallery of two."""
    ref = await make_entity(id="MUG")
    image_id = await studio.add(ref)
    await studio.add(ref)
    return image_id


async def state_of(image_id: UUID) -> dict[str, Any]:
    row = await database.fetch_row(
        "SELECT trashed_at, error, is_primary, sort_order FROM image WHERE id = $1", image_id
    )
    assert row is not None
    return dict(row)


async def only_outcome(workshop: Workshop) -> tuple[str, str]:
    """Repair, dry and then for good: both say the same of the one thing that is wrong."""
    await workshop.check()
    dry = await workshop.repair(dry_run=True)
    report = await workshop.repair()
    (planned,), (line,) = dry.outcomes, report.outcomes
    assert (planned.repair, planned.detail) == (line.repair, line.detail)
    assert planned.outcome == ("planned" if line.outcome == "repaired" else line.outcome)
    return line.repair, line.outcome


@pytest.mark.parametrize("is_changed", [True, False], ids=["changed", "missing"])
async def test_an_original_is_healed_from_the_newest_sound_copy_of_the_backups(
    workshop: Workshop, image_id: UUID, is_changed: bool
) -> None:
    key = original(image_id)
    data = (workshop.root / key).read_bytes()
    sha256 = await workshop.back_up(data, "inventory_items")
    await workshop.back_up(data, "categories")
    rotten = workshop.config.backup_dir / object_key("categories", sha256)
    rotten.write_bytes(b"rotten, and newer than the other")
    wrong = workshop.flip(key) if is_changed else b""
    if not is_changed:
        (workshop.root / key).unlink()
    assert await only_outcome(workshop) == ("heal", "repaired")
    assert (workshop.root / key).read_bytes() == data
    assert wrong in workshop.held() if is_changed else len(workshop.held()) == 0
    assert await workshop.breaches() == []
    assert await actions() == (["repair.quarantine"] if is_changed else []) + ["repair.heal"]
    told = await database.fetch_row(
        "SELECT actor, before, after FROM audit JOIN audit_change ON audit = audit.pk WHERE action = 'repair.heal'"
    )
    assert told is not None
    assert told["actor"] == ADMIN.name
    assert sha256 in told["after"]


async def test_a_renamed_original_is_found_by_its_bytes(workshop: Workshop, image_id: UUID) -> None:
    key = original(image_id)
    data = (workshop.root / key).read_bytes()
    os.rename(workshop.root / key, workshop.root / "inventory_items" / "IMG_0001.jpg")
    workshop.age("inventory_items/IMG_0001.jpg")
    report = await workshop.check_and_repair()
    assert {line.kind: (line.repair, line.outcome) for line in report.outcomes} == {
        "missing_object": ("relink", "repaired"),
        "orphaned_object": ("quarantine", "repaired"),
    }
    assert (workshop.root / key).read_bytes() == data
    assert workshop.held() == [data]
    assert await workshop.breaches() == []


async def test_the_same_bytes_of_another_picture_serve(workshop: Workshop, image_id: UUID) -> None:
    data = (workshop.root / original(image_id)).read_bytes()
    twin = await workshop.studio.add(await make_entity("categories"), data)
    (workshop.root / original(image_id)).unlink()
    assert await only_outcome(workshop) == ("relink", "repaired")
    assert (workshop.root / original(image_id)).read_bytes() == data
    (workshop.root / original(twin, entity_type="categories")).unlink()
    (workshop.root / original(image_id)).unlink()
    await workshop.back_up(data)
    await workshop.check()
    dry = await workshop.repair(dry_run=True)
    report = await workshop.repair()
    assert [line.repair for line in report.outcomes] == [line.repair for line in dry.outcomes] == ["heal", "relink"]
    assert await workshop.breaches() == []


@pytest.mark.parametrize("is_changed", [True, False], ids=["changed", "missing"])
async def test_a_picture_whose_original_is_nowhere_goes_to_the_trash_and_comes_back(
    workshop: Workshop, image_id: UUID, is_changed: bool
) -> None:
    key = original(image_id)
    wrong = workshop.flip(key) if is_changed else None
    (workshop.root / rendition(image_id, "card")).unlink()
    if not is_changed:
        (workshop.root / key).unlink()
    await workshop.check()
    dry = await workshop.repair(dry_run=True)
    report = await workshop.repair()
    assert [line.outcome for line in dry.outcomes] == ["planned", "gone"]
    assert [(line.repair, line.outcome) for line in report.outcomes] == [("trash", "repaired"), ("rerender", "gone")]
    assert (await state_of(image_id))["trashed_at"] is not None
    assert '"gone"' in (await state_of(image_id))["error"]
    assert await workshop.breaches() == []
    assert not (workshop.root / key).exists()
    if wrong is not None:
        (held,) = (await list_quarantined()).items
        await undo(UUID(held.id), store=workshop.store, quarantine_dir=workshop.config.quarantine_dir, actor=ADMIN)
        assert (workshop.root / key).read_bytes() == wrong
    else:
        await restore_image(image_id, actor=SYSTEM)
    now = await state_of(image_id)
    assert (now["trashed_at"], now["is_primary"], now["sort_order"]) == (None, True, 0)
    assert is_changed == (now["error"] is None)
    assert len(await workshop.breaches()) == 2, "what is in the gallery is looked after again"


async def test_nothing_is_given_up_while_the_disk_for_backups_is_away(workshop: Workshop, image_id: UUID) -> None:
    (workshop.root / original(image_id)).unlink()
    workshop.config.backup_dir.mkdir(parents=True)
    assert await only_outcome(workshop) == ("trash", "refused")
    workshop.config.backup_dir.rmdir()
    assert await only_outcome(workshop) == ("trash", "repaired")


async def test_a_pinned_picture_without_original_stays(workshop: Workshop) -> None:
    invoice = await make_entity("invoices")
    image_id = await workshop.studio.add(invoice)
    await pin_invoice(invoice, actor=SYSTEM)
    (workshop.root / original(image_id, entity_type="invoices")).unlink()
    assert await only_outcome(workshop) == ("trash", "refused")
    assert (await state_of(image_id))["trashed_at"] is None
    (reason,) = (await workshop.repair()).kinds["missing_object"].reasons
    assert f"pinned on invoice {invoice.id}" in reason


async def test_a_kept_version_without_original_is_said_and_left(workshop: Workshop, image_id: UUID) -> None:
    await workshop.studio.replace(image_id)
    (workshop.root / original(image_id, 1)).unlink()
    assert await only_outcome(workshop) == ("none", "refused")
    assert (await state_of(image_id))["trashed_at"] is None


@pytest.mark.parametrize("is_wrong", [True, False], ids=["wrong", "missing"])
async def test_a_rendition_is_made_again_byte_for_byte(workshop: Workshop, image_id: UUID, is_wrong: bool) -> None:
    await change_image(image_id, {"edits": '{"rotate": 90}', "focal_x": 0.1, "focal_y": 0.9}, actor=SYSTEM)
    await render_all(image_id, store=workshop.store, pool=workshop.studio.pool)
    sound = {key: data for key, data in workshop.objects().items() if str(image_id) in key}
    for name in ("card", "icon"):
        key = rendition(image_id, name, 1, 2)
        workshop.flip(key) if is_wrong else (workshop.root / key).unlink()
    report = await workshop.check_and_repair()
    assert [(line.repair, line.outcome) for line in report.outcomes] == [("rerender", "repaired")] * 2
    assert {key: data for key, data in workshop.objects().items() if str(image_id) in key} == sound
    assert len(workshop.held()) == (2 if is_wrong else 0)


async def test_a_kept_version_s_rendition_is_of_its_own_cut(workshop: Workshop, image_id: UUID) -> None:
    await workshop.studio.replace(image_id)
    key = rendition(image_id, "gallery", 1, 1)
    sound = (workshop.root / key).read_bytes()
    (workshop.root / key).unlink()
    assert await only_outcome(workshop) == ("rerender", "repaired")
    assert (workshop.root / key).read_bytes() == sound


async def test_a_kept_version_s_rendition_is_made_though_the_present_original_is_nowhere(
    workshop: Workshop, image_id: UUID
) -> None:
    await workshop.studio.replace(image_id)
    key = rendition(image_id, "gallery", 1, 1)
    workshop.flip(key)
    (workshop.root / original(image_id, 2)).unlink()
    report = await workshop.check_and_repair()
    assert [(line.repair, line.outcome) for line in report.outcomes] == [
        ("trash", "repaired"),
        ("rerender", "repaired"),
    ]
    assert await workshop.breaches() == []


async def test_a_pinned_set_is_made_again_if_its_cut_is_known(workshop: Workshop) -> None:
    invoice = await make_entity("invoices")
    image_id = await workshop.studio.add(invoice)
    await pin_invoice(invoice, actor=SYSTEM)
    await change_image(image_id, {"focal_x": 0.2, "focal_y": 0.2}, actor=SYSTEM)
    await render_all(image_id, store=workshop.store, pool=workshop.studio.pool)
    key = rendition(image_id, "card").replace("inventory_items", "invoices")
    sound = (workshop.root / key).read_bytes()
    (workshop.root / key).unlink()
    await database.execute("UPDATE pinned_picture SET renditions = renditions - 'made_of'")
    assert await only_outcome(workshop) == ("rerender", "refused")
    made_of = '{"made_of": {"extension": "jpg", "edits": {}, "focal_point": null}}'
    await database.execute("UPDATE pinned_picture SET renditions = renditions || $1::jsonb", made_of)
    assert await only_outcome(workshop) == ("rerender", "repaired")
    assert (workshop.root / key).read_bytes() == sound


async def test_a_rendition_waits_for_its_original(workshop: Workshop, image_id: UUID) -> None:
    await workshop.studio.replace(image_id)
    (workshop.root / original(image_id, 1)).unlink()
    (workshop.root / rendition(image_id, "card", 1)).unlink()
    report = await workshop.check_and_repair()
    assert {line.kind: line.outcome for line in report.outcomes} == dict.fromkeys(
        ("missing_object", "missing_rendition"), "refused"
    )


async def test_a_rendition_that_the_row_does_not_know_of_is_made_and_noted(workshop: Workshop, image_id: UUID) -> None:
    await database.execute("UPDATE image SET renditions = renditions #- '{items,card}' WHERE id = $1", image_id)
    (workshop.root / rendition(image_id, "card")).unlink()
    assert await only_outcome(workshop) == ("rerender", "repaired")
    assert await workshop.breaches() == []


async def test_order_primary_and_job(workshop: Workshop, image_id: UUID) -> None:
    waiting = await workshop.studio.add(await make_entity("companies"), ready=False)
    await database.execute("DELETE FROM pgqueuer")
    await database.execute("UPDATE image SET is_primary = false WHERE id = $1", image_id)
    await database.execute("UPDATE image SET sort_order = 7 WHERE id = $1", image_id)
    await workshop.check()
    dry = await workshop.repair(dry_run=True)
    report = await workshop.repair()
    repairs = {line.repair: line.outcome for line in report.outcomes}
    assert repairs == dict.fromkeys(("order", "primary", "queue"), "repaired")
    assert [line.repair for line in dry.outcomes] == list(repairs)
    assert (await state_of(image_id))["sort_order"] == 1, "the order that people see stays"
    assert await database.fetch_value("SELECT count(*) FROM pgqueuer") == 1, waiting
    assert await workshop.breaches() == []


async def test_counters_are_counted_again_once_for_all(workshop: Workshop, image_id: UUID) -> None:
    await database.execute("UPDATE stored_count SET pieces = pieces + 1 WHERE part IN ('original', 'card')")
    await workshop.check()
    dry = await workshop.repair(dry_run=True)
    report = await workshop.repair()
    assert dry.repairs == report.repairs
    assert report.repairs["recount"] >= 2
    assert await workshop.breaches() == []


async def test_what_nobody_owns_goes_to_the_quarantine_and_back(workshop: Workshop) -> None:
    workshop.leave("inventory_items/notes.txt", b"whose?")
    workshop.leave("temp/0190.part", b"half")
    before = workshop.objects()
    report = await workshop.check_and_repair()
    assert {line.kind: line.outcome for line in report.outcomes} == {
        "stray_temp_file": "repaired",
        "orphaned_object": "repaired",
    }
    assert workshop.objects() == {}
    assert workshop.held() == [b"half", b"whose?"]
    for held in (await list_quarantined()).items:
        await undo(UUID(held.id), store=workshop.store, quarantine_dir=workshop.config.quarantine_dir, actor=ADMIN)
    assert workshop.objects() == before


async def test_what_is_no_more_true_is_left_alone(workshop: Workshop, image_id: UUID) -> None:
    """Found, and made right by somebody else before the repair."""
    key = original(image_id)
    data = (workshop.root / key).read_bytes()
    (workshop.root / key).unlink()
    workshop.leave("inventory_items/notes.txt", b"whose?")
    await workshop.check()
    (workshop.root / key).write_bytes(data)
    (workshop.root / "inventory_items/notes.txt").unlink()
    before = workshop.objects()
    report = await workshop.repair()
    assert {line.outcome for line in report.outcomes} == {"gone"}
    assert workshop.objects() == before
    assert await actions() == []
    assert await database.fetch_value("SELECT count(*) FROM finding WHERE state = 'gone'") == 2


async def test_what_was_written_just_now_is_left_alone(workshop: Workshop) -> None:
    workshop.leave("inventory_items/notes.txt", b"whose?")
    await workshop.check()
    (workshop.root / "inventory_items/notes.txt").write_bytes(b"somebody is at it")
    assert [line.outcome for line in (await workshop.repair()).outcomes] == ["refused"]


async def adopted(workshop: Workshop, ref: EntityRef | None) -> str:
    (finding,) = await workshop.check()
    selection = Selection((UUID(finding.id),), adopt_into=ref, is_adoption=True)
    (dry,) = (await workshop.repair(dry_run=True, selection=selection)).outcomes
    (line,) = (await workshop.repair(selection=selection)).outcomes
    assert (dry.repair, dry.detail) == (line.repair, line.detail)
    return line.outcome


async def test_an_orphaned_original_is_adopted_by_the_entity_that_is_named(workshop: Workshop) -> None:
    ref = await make_entity(id="MUG")
    data = samples.jpeg(90, 60)
    workshop.leave(original(uuid4()), data)
    assert await adopted(workshop, ref) == "repaired"
    row = await database.fetch_row("SELECT id, sha256, sort_order, uploaded_by FROM image")
    assert row is not None
    assert (row["sort_order"], row["uploaded_by"]) == (0, ADMIN.name)
    assert (workshop.root / original(row["id"])).read_bytes() == data
    assert workshop.held() == [data]
    workshop.leave(original(uuid4()), data)
    assert await adopted(workshop, ref) == "repaired", "it is there already: as after a kill between the two steps"
    assert await database.fetch_value("SELECT count(*) FROM image") == 1


async def test_adoption_asks_the_key_whose_it_is_and_verifies(workshop: Workshop, image_id: UUID) -> None:
    workshop.leave(original(image_id, 9), samples.jpeg(90, 60))
    assert await adopted(workshop, None) == "repaired"
    assert await database.fetch_value("SELECT count(*) FROM image") == 3
    workshop.leave(original(image_id, 10), b"no picture at all")
    assert await adopted(workshop, None) == "refused"
    (workshop.root / original(image_id, 10)).unlink()
    workshop.leave(original(uuid4()), samples.jpeg(90, 61))
    assert await adopted(workshop, None) == "refused", "nobody said whose"


async def test_nothing_is_touched_while_a_disk_is_away(workshop: Workshop, image_id: UUID) -> None:
    (workshop.root / original(image_id)).unlink()
    await workshop.check()
    (workshop.root / MARKER).unlink()
    with pytest.raises(Unavailable):
        await workshop.repair()
    (workshop.root / MARKER).touch()
    assert (await state_of(image_id))["trashed_at"] is None


async def test_the_room_of_backups_finds_what_was_put_there(config: Settings) -> None:
    backups = Folder(config.backup_dir)
    assert await find_objects(backups, "0" * 64) == []
    await backups.open_root()
    data = samples.jpeg()
    sha256 = await put_object(backups, "invoices", data)
    assert await put_object(backups, "customers", data) == sha256
    assert {held.key.split("/")[0] for held in await find_objects(backups, sha256)} == {"invoices", "customers"}
    (config.backup_dir / object_key("invoices", sha256)).write_bytes(b"rotten")
    newest = await read_newest(backups, sha256)
    assert newest is not None
    assert newest[1] == data
    await put_object(backups, "invoices", data)
    assert (config.backup_dir / object_key("invoices", sha256)).read_bytes() == data, "what was rotten is replaced"
    with pytest.raises(ValueError, match="not an object"):
        object_key("invoices", "../..")
