"""Pictures out to a plain folder and in from one: what went out comes in the same, and what is hostile stays out."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from portal import database
from portal.backups.folders import FolderExport, FolderImport, export_folder, import_folder
from portal.entities.imports import import_rows
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, DiskFull, FormError, NoSuchEntity, Running
from portal.gallery.disposal import trash_image
from portal.gallery.forms import PictureFields
from portal.gallery.service import change_image
from portal.integrity.fsck import fsck
from portal.jobs.alone import IMPORT, RESTORE, alone
from portal.settings import Settings
from portal.storage.keys import original_key
from portal.storage.store import Store
from tests import samples
from tests.factories import EDITOR, Studio, make_entity

MUG = EntityRef("inventory_items", "MUG-1")
SAID = """
    SELECT entity.type, entity.id AS entity_id, entity.name, entity.attributes AS of_entity, entity.total::text, image.filename,
           image.sha256, image.alt_text, image.decorative, image.caption, image.tags, image.is_primary, image.sort_order,
           image.focal_x, image.focal_y, image.edits, image.attributes
    FROM entity LEFT JOIN image ON image.entity = entity.pk AND trashed_at IS NULL
    ORDER BY entity.type, entity.id, image.sort_order
"""
LINES = "SELECT position, item, description, quantity::text, unit_price::text FROM invoice_line ORDER BY position"


async def everything() -> list[dict[str, Any]]:
    return [dict(row) for row in [*await database.fetch(SAID), *await database.fetch(LINES)]]


async def empty_portal(studio: Studio, config: Settings) -> tuple[Studio, Settings]:
    """Another one, of the same database."""
    await database.execute("DELETE FROM image")
    await database.execute("DELETE FROM entity")
    other = config.replace(data_dir=config.data_dir / "other", storage_dir=config.data_dir / "other" / "images")
    store = Store(other.storage_dir)
    await store.open_root()
    return Studio(store, studio.pool), other


async def take_in(
    studio: Studio, config: Settings, folder: Path, *, dry_run: bool = False, lanes: int = 2
) -> FolderImport:
    told = await import_folder(
        settings=config.replace(workers=lanes),
        store=studio.store,
        pool=studio.pool,
        folder=folder,
        dry_run=dry_run,
        actor=EDITOR,
    )
    assert not list(config.replace(storage_dir=studio.store.root).temp_dir.iterdir())
    return told


async def give_out(studio: Studio, folder: Path, **scope: Any) -> FolderExport:
    return await export_folder(store=studio.store, folder=folder, actor=EDITOR, **scope)


async def breaches(studio: Studio) -> list[str]:
    return [each.kind async for each in fsck(store=studio.store, pool=studio.pool, grace=timedelta())]


def figures(told: FolderImport) -> tuple[int, int, int, int]:
    return told.added, told.there, told.refused, told.made


def listed(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "pictures.csv").read_text("utf-8-sig"), newline="")))


def write_list(folder: Path, header: str, *rows: Sequence[str]) -> None:
    with (folder / "pictures.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(), *rows])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "plain"
    made.mkdir()
    return made


async def furnish(studio: Studio) -> None:
    """Galleries with all that may be said of pictures, ids that disks do not like, an invoice, something in the trash."""
    shop = [
        {"type": "inventory_items", "id": "MUG-1", "name": "=Mug", "attributes": {"a": [1, None]}},
        {
            "type": "inventory_items",
            "id": "mug-1",
            "name": "'=another mug",
            "parent": {"type": "categories", "id": "a:b~"},
        },
        {"type": "categories", "id": "a:b~", "name": "Cups, “fine”\u00e9"},
        {"type": "companies", "id": "con", "name": "Nothing to see"},
        {
            "type": "invoices",
            "id": "RE-1",
            "name": "Invoice",
            "total": "12.50",
            "lines": [{"item": "MUG-1", "description": "Mug", "quantity": "2.50", "unit_price": "5.00"}],
        },
    ]
    told = await import_rows("\n".join(json.dumps(each) for each in shop).encode(), "jsonl", EDITOR)
    assert told.errors == []
    await studio.add(MUG, filename="a.jpg", ready=False)
    fields = PictureFields("=1+1", "'-line\nanother", ("red, or", "blue"), is_primary=True)
    image_id = await studio.add(MUG, samples.png(90, 60), filename="b:c.png", fields=fields, ready=False)
    edits = json.dumps({"rotate": 90, "crop": {"x": 0.25, "y": 0.0, "width": 0.5, "height": 1.0}})
    changes = {"edits": edits, "focal_x": 0.25, "focal_y": 0.75, "decorative": True, "attributes": '{"shot": "front"}'}
    await change_image(image_id, changes, actor=EDITOR)
    gone = await studio.add(MUG, filename="gone.jpg", ready=False)
    await trash_image(gone, actor=EDITOR, deletes_per_hour=500)
    await studio.add(MUG, filename="c.jpg", ready=False)
    for ref in (EntityRef("inventory_items", "mug-1"), EntityRef("categories", "a:b~"), EntityRef("invoices", "RE-1")):
        await studio.add(ref, ready=False)


async def test_what_went_out_comes_in_the_same(studio: Studio, config: Settings, tmp_path: Path) -> None:
    await furnish(studio)
    before = await everything()
    out = await give_out(studio, tmp_path / "out")
    assert (out.entities, out.pictures, out.lost) == (5, 6, [])
    paths = [row["path"] for row in listed(tmp_path / "out")]
    assert len({path.casefold() for path in paths}) == 6
    assert "categories/a%3Ab%7E/01-picture.jpg" in paths
    other, there = await empty_portal(studio, config)
    tried = await take_in(other, there, tmp_path / "out", dry_run=True)
    assert await everything() == []
    told = await take_in(other, there, tmp_path / "out")
    assert asdict(tried) | {"dry_run": False} == asdict(told)
    assert (figures(told), told.entities.created) == ((6, 0, 0, 0), 5)
    assert await everything() == before
    assert await breaches(other) == []
    rows = await database.fetch(
        "SELECT action, after FROM audit_change AS c JOIN audit ON audit.pk = c.audit ORDER BY audit.pk"
    )
    assert [row["action"] for row in rows if row["action"].startswith("folder")] == ["folder.export", "folder.import"]
    assert json.loads(rows[-1]["after"]) == {"added": 6, "there": 0, "refused": 0}


async def test_an_import_that_runs_again_adds_nothing_but_what_is_missing(
    studio: Studio, config: Settings, tmp_path: Path
) -> None:
    await furnish(studio)
    await give_out(studio, tmp_path / "out")
    told = await take_in(studio, config, tmp_path / "out")
    assert (figures(told), told.entities.unchanged) == ((0, 6, 0, 0), 5)
    image_id = await database.fetch_value("SELECT id FROM image WHERE filename = 'b:c.png'")
    await trash_image(image_id, actor=EDITOR, deletes_per_hour=500)
    assert figures(await take_in(studio, config, tmp_path / "out", dry_run=True)) == (1, 5, 0, 0)
    assert figures(await take_in(studio, config, tmp_path / "out")) == (1, 5, 0, 0)


async def test_a_gallery_or_a_type_goes_out_alone(studio: Studio, tmp_path: Path) -> None:
    await furnish(studio)
    assert (await give_out(studio, tmp_path / "one", entity=MUG)).pictures == 3
    assert {row["entity_id"] for row in listed(tmp_path / "one")} == {"MUG-1"}
    assert (await give_out(studio, tmp_path / "two", entity_types=("categories", "companies"))).entities == 2
    with pytest.raises(NoSuchEntity):
        await give_out(studio, tmp_path / "three", entity=EntityRef("categories", "none"))


async def test_a_lost_original_is_named_and_all_others_go_out(studio: Studio, tmp_path: Path) -> None:
    lost, rotten, sound = [await studio.add(await make_entity(id=f"M-{n}"), ready=False) for n in range(3)]
    (studio.store.root / original_key("inventory_items", lost, 1, "jpg")).unlink()
    place = studio.store.root / original_key("inventory_items", rotten, 1, "jpg")
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    told = await give_out(studio, tmp_path / "out")
    assert (told.pictures, told.lost_in_all) == (1, 2)
    assert [(each.image_id, each.path) for each in told.lost] == [
        (lost, "inventory_items/M-0/01-picture.jpg"),
        (rotten, "inventory_items/M-1/01-picture.jpg"),
    ]
    assert [row["entity_id"] for row in listed(tmp_path / "out")] == ["M-2"]
    files = [path.name for path in (tmp_path / "out").rglob("*.jpg")]
    assert files == ["01-picture.jpg"]
    assert await database.fetch_value("SELECT id FROM image WHERE id = $1", sound)


async def test_nothing_is_written_into_a_folder_that_holds_something(studio: Studio, folder: Path) -> None:
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        await give_out(studio, folder)
    with pytest.raises(Conflict, match="among the portal's own pictures"):
        await give_out(studio, studio.store.root / "out")
    assert os.listdir(folder) == ["mine.txt"]


async def test_an_export_that_never_ended_is_not_taken_for_one(
    studio: Studio, config: Settings, tmp_path: Path
) -> None:
    await furnish(studio)
    await give_out(studio, tmp_path / "out")
    (tmp_path / "out" / "pictures.csv").rename(tmp_path / "out" / "pictures.csv.part")
    with pytest.raises(Conflict, match="never came to its end"):
        await take_in(studio, config, tmp_path / "out")


async def test_hostile_and_wrong_lines_are_named_and_hold_up_no_other(
    studio: Studio, config: Settings, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.jpg").write_bytes(samples.jpeg(70, 50))
    (folder / "deep").mkdir()
    (folder / "good.jpg").write_bytes(samples.jpeg())
    (folder / "deep" / "good.png").write_bytes(samples.png())
    (folder / "text.jpg").write_text("no picture")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "away").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.jpg")
    if os.geteuid() == 0:
        os.mknod(folder / "device.jpg", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    else:
        (folder / "device.jpg").mkdir()
    (folder / "big.jpg").write_bytes(bytes(config.uploads.max_bytes + 1))
    at = ("inventory_items", "MUG-1", "", "", "", "")
    wrong = {
        "../secret.jpg": (at, "leads out"),
        str(tmp_path / "secret.jpg"): (at, "leads out"),
        "deep/../../secret.jpg": (at, "leads out"),
        "link.jpg": (at, "no plain file"),
        "away/secret.jpg": (at, "without leaving the folder"),
        "pipe.jpg": (at, "no plain file"),
        "device.jpg": (at, "no plain file"),
        "deep": (at, "no plain file"),
        "none.jpg": (at, "no such file"),
        "good.jpg/x.jpg": (at, "without leaving the folder"),
        "text.jpg": (at, "picture"),
        "big.jpg": (at, "larger than"),
        "good.jpg": (("nonsense", *at[1:]), "no type"),
        "./good.jpg": (("inventory_items", "a/b", *at[2:]), "nothing with this id"),
        "deep/good.png": ((*at[:2], "f" * 64, *at[3:]), "SHA-256 differs"),
        "deep//good.png": ((*at[:3], "2", "", ""), "focal_point"),
        "deep/./good.png": ((*at[:4], '{"rotate": 45}', ""), "edits"),
        "././good.jpg": ((*at[:5], "perhaps"), "is_primary"),
    }
    entities = [{"type": [], "id": {}}, {"type": "inventory_items"}, {"type": "customers", "id": "7", "name": "Ana"}]
    (folder / "entities.jsonl").write_text("\n".join([*map(json.dumps, entities), "[" * 100_000]))
    columns = "path entity_type entity_id sha256 focal_x edits is_primary colour"
    rows = [(path, *cells, "red") for path, (cells, _) in wrong.items()]
    taken = [("good.jpg", *at, "red"), ("deep\\good.png", *at, "red"), ("good.jpg", "one cell")]
    write_list(folder, columns, *rows, *taken)
    for dry_run in (True, False):
        told = await take_in(studio, config, folder, dry_run=dry_run)
        said = [(each.line, each.path, each.reason) for each in told.refusals]
        assert [(line, path) for line, path, _ in said] == [*((n, path) for n, path in enumerate(wrong, 2)), (22, "")]
        assert [r for (_, _, r), (_, why) in zip(said, wrong.values(), strict=False) if why not in r] == []
        assert (figures(told), told.ignored) == ((2, 0, 19, 1), ("colour",))
        assert (told.entities.created, told.entities.refused) == (1, 3)
    names = await database.fetch("SELECT filename, is_primary FROM image ORDER BY sort_order")
    assert [(row["filename"], row["is_primary"]) for row in names] == [("good.jpg", True), ("good.png", False)]
    assert await breaches(studio) == []


async def test_folders_alone_are_enough_and_count_as_people_do(studio: Studio, config: Settings, folder: Path) -> None:
    mugs = folder / "inventory_items" / "MUG-1"
    mugs.mkdir(parents=True)
    for number in (10, 2, 1):
        (mugs / f"{number}.jpg").write_bytes(samples.distinct(number))
    (mugs / ".DS_Store").write_bytes(b"a mac")
    (mugs / "Thumbs.db").write_bytes(b"a window")
    (mugs / "notes.txt").write_bytes(b"notes")
    (mugs / "9-link.jpg").symlink_to(mugs / "1.jpg")
    (folder / "inventory_items" / "RE 2026").mkdir()
    (folder / "inventory_items" / "loose.jpg").write_bytes(samples.jpeg())
    (folder / "invoices").mkdir()
    (folder / "invoices" / "RE%3A1").mkdir()
    shutil.copy(mugs / "1.jpg", folder / "invoices" / "RE%3A1" / "scan.jpg")
    (folder / "photos").mkdir()
    told = await take_in(studio, config, folder)
    assert figures(told) == (4, 0, 5, 2)
    assert {each.path for each in told.refusals} == {
        "inventory_items/MUG-1/notes.txt",
        "inventory_items/MUG-1/9-link.jpg",
        "inventory_items/RE 2026",
        "inventory_items/loose.jpg",
        "photos",
    }
    rows = await database.fetch(
        """SELECT entity.id, entity.name, filename, is_primary FROM image JOIN entity ON entity.pk = image.entity
           ORDER BY type, sort_order"""
    )
    assert [tuple(row) for row in rows] == [
        ("MUG-1", "MUG-1", "1.jpg", True),
        ("MUG-1", "MUG-1", "2.jpg", False),
        ("MUG-1", "MUG-1", "10.jpg", False),
        ("RE:1", "RE:1", "scan.jpg", True),
    ]
    assert figures(await take_in(studio, config, folder)) == (0, 4, 5, 0)


async def test_names_that_are_no_text_and_folders_that_cannot_be_read(
    studio: Studio, config: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1", "2", "\udcfe"):  # a byte of no text
        (folder / "customers" / name).mkdir(parents=True)
    (folder / "customers" / "1" / "\udcff.jpg").write_bytes(samples.jpeg())
    (folder / "customers" / "1" / "\udcff.txt").write_bytes(b"no picture")
    open_really = os.open

    def open_all_but_one(path: Any, *arguments: Any, **options: Any) -> int:
        if path == "2":
            raise PermissionError(13, "Permission denied")
        return open_really(path, *arguments, **options)

    monkeypatch.setattr(os, "open", open_all_but_one)
    told = await take_in(studio, config, folder)
    assert figures(told) == (1, 0, 3, 1)
    assert {each.path for each in told.refusals} == {"customers/2", "customers/?", "customers/1/?.txt"}


@pytest.mark.parametrize("cell", ["[" * 100_000, "[1]", '["a", null]'])
async def test_tags_of_any_kind_hold_up_nothing(studio: Studio, config: Settings, folder: Path, cell: str) -> None:
    (folder / "a.jpg").write_bytes(samples.jpeg())
    write_list(folder, "path entity_type entity_id tags", ["a.jpg", "customers", "7", cell])
    told = await take_in(studio, config, folder)
    assert (told.added, told.refused) == (0, 1)
    assert told.refusals[0].reason.startswith("tags: ")


async def test_a_csv_of_another_system_with_semicolons_its_own_order_and_names(
    studio: Studio, config: Settings, folder: Path
) -> None:
    for number in (1, 2, 3):
        (folder / f"{number}.jpg").write_bytes(samples.distinct(number))
    lines = ["File;Type;Id;Name;sort_order;is_primary;tags", "1.jpg;customers;7;Ana Berg;30;;a,b"]
    lines += ["2.jpg;customers;7;Ana Berg;10;yes;", "3.jpg;customers;7;;20;;"]
    (folder / "list.csv").write_bytes(("\r\n".join(lines) + "\r\n").encode("utf-8-sig"))
    assert figures(await take_in(studio, config, folder)) == (3, 0, 0, 1)
    rows = await database.fetch(
        "SELECT filename, name, is_primary, tags FROM image JOIN entity ON pk = entity ORDER BY sort_order"
    )
    assert [tuple(row) for row in rows] == [
        ("2.jpg", "Ana Berg", True, []),
        ("3.jpg", "Ana Berg", False, []),
        ("1.jpg", "Ana Berg", False, ["a", "b"]),
    ]


async def test_what_cannot_be_read_at_all_is_said_in_a_sentence(studio: Studio, config: Settings, folder: Path) -> None:
    with pytest.raises(Conflict, match="cannot be read as a folder"):
        await take_in(studio, config, folder / "none")
    write_list(folder, "path entity_id", ["a.jpg", "1"])
    with pytest.raises(FormError, match="entity_type"):
        await take_in(studio, config, folder)
    (folder / "pictures.csv").write_bytes(b"path,entity_type,entity_id\na\xff.jpg,customers,1\n")
    with pytest.raises(FormError, match="UTF-8"):
        await take_in(studio, config, folder)
    (folder / "pictures.csv").unlink()
    (folder / "pictures.csv").symlink_to("/etc/passwd")
    with pytest.raises(Conflict, match="no plain file"):
        await take_in(studio, config, folder)
    (folder / "pictures.csv").unlink()
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("path,entity_type,entity_id\n")
    with pytest.raises(Conflict, match=r"Which of a\.csv, b\.csv"):
        await take_in(studio, config, folder)


async def test_an_import_ends_where_the_disk_is_nearly_full(studio: Studio, config: Settings, folder: Path) -> None:
    (folder / "customers" / "1").mkdir(parents=True)
    (folder / "customers" / "1" / "a.jpg").write_bytes(samples.jpeg())
    with pytest.raises(DiskFull, match="nearly full"):
        await take_in(studio, config.replace(free_space_bytes=2**60), folder)


@pytest.mark.parametrize("turn", [IMPORT, RESTORE], ids=lambda turn: turn.name)
async def test_no_import_beside_another_one_or_a_restore(
    studio: Studio, config: Settings, folder: Path, turn: Any
) -> None:
    (folder / "customers" / "1").mkdir(parents=True)
    (folder / "customers" / "1" / "a.jpg").write_bytes(samples.jpeg())
    async with alone(turn):
        with pytest.raises(Running, match="running since"):
            await take_in(studio, config, folder)
    assert await everything() == []
