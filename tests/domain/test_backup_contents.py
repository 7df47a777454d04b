"""Somebody looks for a gallery or a picture in a backup: by what they remember of its name."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.backups.contents import MOST, Contents, Hit, find_in_backup, refuse_unheld
from portal.backups.destination import Folder
from portal.backups.layout import folder_of
from portal.backups.plan import Selection
from portal.backups.root import Damaged, Foreign, Root
from portal.entities.kinds import EntityRef
from portal.errors import FormError, NotFound
from portal.gallery.disposal import delete_image, trash_image
from portal.gallery.forms import PictureFields
from tests.backing_up import TYPE, forge, opened, retell
from tests.backup_vault import Vault, vault
from tests.factories import make_entity

__all__ = ["vault"]

pytestmark = pytest.mark.usefixtures("db")


async def found(folder: Path, root: Root, q: str, **options: Any) -> Contents:
    return await find_in_backup(Folder(folder), root.id, q, **options)


async def names(folder: Path, root: Root, q: str) -> list[str]:
    return [each.name for each in (await found(folder, root, q)).hits]


def told(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": TYPE, "name": "Thing", **row} for row in rows]


async def test_what_was_deleted_is_found_by_what_people_remember_of_it(vault: Vault) -> None:
    lamp = await make_entity(id="ITEM-0042", name="Blue lamp")
    bill = await make_entity("invoices", "x1", "Order of Ms. Berg")
    await database.execute("UPDATE entity SET number = 'RE-2026-17' WHERE id = 'x1'")
    await database.execute("UPDATE entity SET reference = 'SKU/77' WHERE id = 'ITEM-0042'")
    shown = await vault.studio.add(
        lamp, filename="IMG_1234.jpg", fields=PictureFields(alt_text="A lamp of Murano glass")
    )
    trashed = await vault.studio.add(lamp, filename="spare.jpg")
    kept = await vault.studio.add(bill, filename="scan.jpg")
    root = await vault.create()
    await trash_image(trashed, actor=SYSTEM, deletes_per_hour=0)
    await delete_image(shown, actor=SYSTEM, deletes_per_hour=0)
    gone, picture = (
        Hit(lamp, None, "Blue lamp", "SKU/77", 2, "yes"),
        Hit(lamp, str(shown), "IMG_1234.jpg", "A lamp of Murano glass"),
    )
    for q in ("ITEM-0042", "item-00", "0042", "blue LAMP", "lam blu", "sku/77", "77"):
        assert gone in (await found(vault.root, root, q)).hits, q
    for q in ("img_1234.jpg", "1234", "murano lamp", str(shown), str(shown)[:13]):
        assert (await found(vault.root, root, q)).hits == [picture], q
    assert (await found(vault.root, root, "lamp")).hits == [gone, picture]
    assert (await found(vault.root, root, "spare")).hits == [Hit(lamp, str(trashed), "spare.jpg", None, None, "trash")]
    assert (await found(vault.root, root, "scan")).hits == [Hit(bill, str(kept), "scan.jpg", None, None, "yes")]
    assert (await found(vault.root, root, "RE-2026")).hits == [
        Hit(bill, None, "Order of Ms. Berg", "RE-2026-17", 1, "yes")
    ]
    for q in ("lue", "lamp red", "ms murano", "filename", "inventory_items", "sha256"):
        assert await found(vault.root, root, q) == Contents([], has_more=False, is_whole=True), q
    await database.execute("DELETE FROM image")
    await database.execute("DELETE FROM entity WHERE id = 'ITEM-0042'")
    assert [each.here for each in (await found(vault.root, root, "lamp")).hits] == ["no", "no"]


async def test_letters_of_every_tongue_are_found_however_they_are_written(tmp_path: Path) -> None:
    name = 'Skål "Ærø" – чашка'
    root = retell(tmp_path, forge(tmp_path, {TYPE: []}), f"{TYPE}/entities.jsonl", told({"id": "A", "name": name}))
    for q in ("skål", "SKÅL", unicodedata.normalize("NFD", "skål"), "ærø", "чаш", "чашка skål", "– skå", '"ærø'):
        assert await names(tmp_path, root, q) == [name], q
    for q in ("skal", "кашка"):
        assert await names(tmp_path, root, q) == [], q
    for q in ("", "  ", "–", '"/\\"'):
        with pytest.raises(FormError):
            await found(tmp_path, root, q)


async def test_of_many_the_first_are_shown_and_it_says_that_there_are_more(tmp_path: Path) -> None:
    root = forge(tmp_path, {TYPE: []})
    root = retell(tmp_path, root, f"{TYPE}/entities.jsonl", told(*({"id": f"CUP-{n}"} for n in range(3000))))
    pictures = [{"id": str(uuid4()), "entity": f"CUP-{n % 7}", "filename": f"cup {n}.jpg"} for n in range(3000)]
    root = retell(tmp_path, root, f"{TYPE}/images.jsonl", pictures)
    many = await found(tmp_path, root, "cup")
    assert (len(many.hits), many.has_more, many.is_whole) == (MOST, True, True)
    assert [each.image_id is None for each in many.hits] == [True] * 10 + [False] * 10
    assert [each.pictures for each in many.hits[:9]] == [429] * 4 + [428] * 3 + [0] * 2
    few = await found(tmp_path, root, "cup-2999")
    assert ([each.entity.id for each in few.hits], few.has_more) == (["CUP-2999"], False)
    assert (await found(tmp_path, root, "up")).hits == [], "a word begins where it begins"
    assert len((await found(tmp_path, root, "thing")).hits) == MOST


async def test_it_ends_in_time_and_when_nobody_waits_any_more(tmp_path: Path) -> None:
    root = retell(tmp_path, forge(tmp_path, {TYPE: []}), f"{TYPE}/entities.jsonl", told({"id": "A"}))
    assert await found(tmp_path, root, "thing", patience=-1) == Contents([], has_more=False, is_whole=False)
    assert not (await found(tmp_path, root, "thing", is_over=lambda: True)).is_whole


async def test_a_backup_that_is_not_what_it_was_says_so(tmp_path: Path) -> None:
    await opened(tmp_path)
    root = retell(tmp_path, forge(tmp_path, {TYPE: []}), f"{TYPE}/entities.jsonl", told({"id": "A"}))
    place = tmp_path / folder_of(root.id) / TYPE / "entities.jsonl"
    sound = place.read_bytes()
    for damaged in (sound.replace(b"Thing", b"Thong"), sound[:-3], b""):
        place.write_bytes(damaged)
        with pytest.raises(Damaged, match=r"inventory_items/entities\.jsonl is damaged: expected"):
            await found(tmp_path, root, "lamp")
    place.write_bytes(b"x" * (9 * 1024 * 1024))
    with pytest.raises(Damaged, match="a line has more than"):
        await found(tmp_path, root, "lamp")
    place.unlink()
    with pytest.raises(Damaged, match="is missing"):
        await found(tmp_path, root, "lamp")
    with pytest.raises(Foreign):
        await found(tmp_path, forge(tmp_path, {}, schema=9), "lamp")
    with pytest.raises(NotFound):
        await find_in_backup(Folder(tmp_path), "../x", "lamp")


async def test_lines_that_lie_are_no_hits_and_nothing_of_them_breaks_a_page(tmp_path: Path) -> None:
    rows = told(
        {"id": "../x"}, {"id": 7}, {"id": "A", "name": "a thing \ud800\u202e\0"}, {"id": "B", "name": ["thing"]}
    )
    root = retell(tmp_path, forge(tmp_path, {TYPE: []}), f"{TYPE}/entities.jsonl", rows)
    lies = [
        {"id": "thing", "entity": "A", "filename": "thing"},
        {"id": str(uuid4()), "entity": "../x", "filename": "thing"},
    ]
    root = retell(tmp_path, root, f"{TYPE}/images.jsonl", lies)
    assert await names(tmp_path, root, "thing") == ["a thing"]


async def test_what_a_backup_does_not_hold_is_refused_before_a_restore(tmp_path: Path) -> None:
    root = retell(
        tmp_path, forge(tmp_path, {TYPE: [b"1"]}), f"{TYPE}/entities.jsonl", told({"id": "MUG-1", "parent_id": "MUG"})
    )
    (line,) = (tmp_path / folder_of(root.id) / TYPE / "images.jsonl").read_text().splitlines()
    held = UUID(line.split('"')[3])

    async def asked(**wish: Any) -> None:
        await refuse_unheld(Folder(tmp_path), root.id, Selection(**wish))

    for sound in ({}, {"entity_types": (TYPE,)}, {"entity": EntityRef(TYPE, "MUG-1")}, {"image_id": held}):
        await asked(**sound)
    for wrong in ({"entity_types": ("invoices",)}, {"entity": EntityRef(TYPE, "MUG")}, {"image_id": uuid4()}):
        with pytest.raises(NotFound, match="This backup"):
            await asked(**wrong)
    await refuse_unheld(Folder(tmp_path), root.id, Selection(image_id=uuid4()), patience=-1)  # the restore will say so
    (tmp_path / folder_of(root.id) / TYPE / "images.jsonl").write_bytes(b"{}\n")
    await asked(image_id=uuid4())  # of the damage too
