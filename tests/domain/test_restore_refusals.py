"""What a restore refuses, and what goes wrong on its way: the portal is then exactly what it was."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import functools
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from portal import database
from portal.backups import layout, rows, staging, switch
from portal.backups.plan import Counts, Selection
from portal.backups.root import Damaged, Foreign, Member, Root
from portal.backups.upgrades import upgrade_from
from portal.entities.kinds import EntityRef
from portal.errors import DiskFull, Forbidden, NotFound, Running, Unavailable
from portal.gallery.tasks import purge_objects
from portal.imaging.formats import clean_filename
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.jobs.keeping import IN_PLACE
from portal.jobs.progress import Cancelled
from portal.jobs.standstill import Standstill, find_standstill
from portal.storage.disk import Disk
from tests import samples
from tests.factories import make_entity
from tests.locks import OURS
from tests.restoring import MUG, Bench, furnish, objects_now

Change = Callable[[dict[str, Any]], Any]


def rewrite(
    bench: Bench, root: Root, manifest: str, change: Change, entity_type: str = "inventory_items", **facts: Any
) -> Root:
    """The first line of a manifest says something else, and the root bears it out, as a forger would have it."""
    name = f"{entity_type}/{manifest}"
    place = bench.config.backup_dir / layout.folder_of(root.id) / name
    first, *rest = place.read_bytes().splitlines(keepends=True)
    line = json.loads(first)
    more = change(line)
    data = json.dumps(line).encode() + b"\n" + b"".join(rest) + (more or b"")
    place.write_bytes(data)
    member = Member(hashlib.sha256(data).hexdigest(), len(data), len(data.splitlines()))
    forged = dataclasses.replace(root, members={**root.members, name: member}, **facts)
    (place.parent.parent / layout.ROOT).write_bytes(forged.encoded())
    return forged


async def refused(bench: Bench, root: Root, kind: type[Exception] = Foreign, **options: Any) -> str:
    before = await bench.state()
    with pytest.raises(kind) as caught:
        await bench.ask(root, dry_run=False, **options)
    assert await bench.state() == before
    assert not await database.fetch_value("SELECT EXISTS (SELECT FROM portal_state WHERE name = 'restore')")
    return str(caught.value)


def says(**values: Any) -> Change:
    return lambda line: line.update(values)


def of_set(line: dict[str, Any]) -> None:
    line["renditions"]["items"]["../../etc"] = line["renditions"]["items"]["card"]


def once_more(**values: Any) -> Change:
    return lambda line: json.dumps(line | values).encode() + b"\n"


ALL = [kind.manifest for kind in rows.OF_TYPE]
HOSTILE: list[tuple[str, Change, str]] = [
    (layout.IMAGES, says(extension="../../../etc/cron.d/x"), "extension"),
    (layout.IMAGES, says(id="../../x"), "id"),
    (layout.IMAGES, says(sha256="../x"), "sha256"),
    (layout.IMAGES, says(version=10**12), "version"),
    (layout.IMAGES, says(media_type="text/html"), "media_type"),
    (layout.IMAGES, says(status="sold"), "status"),
    (layout.IMAGES, says(width="7"), "width"),
    (layout.IMAGES, says(width=2**31 - 1, height=1), "width"),
    (layout.IMAGES, says(created_at="0002-01-01T00:00:00+00:00"), "created_at"),
    (layout.IMAGES, says(placeholder="javascript:alert(1)"), "placeholder"),
    (layout.IMAGES, says(edits={"rotate": 45}), "edits"),
    (layout.IMAGES, says(focal_x=2.0, focal_y=0.5), "focal_x"),
    (layout.IMAGES, says(caption="a\0b"), "caption"),
    (layout.IMAGES, says(attributes={"a": {"b": "\ud800"}}), "attributes"),
    (layout.IMAGES, says(created_at="yesterday"), "created_at"),
    (layout.IMAGES, says(filename="x" * 201), "filename"),
    (layout.IMAGES, says(filename="a\r\nX-Evil: 1.jpg"), "filename"),
    (layout.IMAGES, says(filename="../a.jpg"), "filename"),
    (layout.IMAGES, says(filename="gpj.\u202eexe"), "filename"),
    (layout.IMAGES, says(created_at="9999-12-31T23:59:59-14:00"), "created_at"),
    (layout.IMAGES, says(error={"code": 7}), "error"),
    (layout.IMAGES, says(exif=functools.reduce(lambda inner, _: {"a": [inner]}, range(200), {})), "exif"),
    (layout.IMAGES, says(owner="root"), "owner"),
    (layout.IMAGES, of_set, "renditions"),
    (layout.IMAGES, says(entity="BOWL"), "BOWL"),
    (layout.IMAGES, lambda line: line.pop("version"), "version"),
    (layout.ENTITIES, says(type="invoices"), "type"),
    (layout.ENTITIES, says(id="a/b"), "id"),
    (layout.ENTITIES, says(parent_type="categories"), "parent_id"),
    (layout.ENTITIES, says(total="1E+131000"), "total"),
    (layout.VERSIONS, says(extension="html"), "extension"),
    (layout.VERSIONS, says(version=77), "versions.jsonl"),
    (layout.EMBED_KEYS, says(parents=["https://a.example; script-src *"]), "parents"),
    (layout.EMBED_KEYS, says(key_hash="\\x00"), "key_hash"),
    (layout.IMAGES, says(revision=2**31 - 1), "revision"),
    (layout.IMAGES, says(rendering=10**9 - 1), "rendering"),
    (layout.IMAGES, says(last_order=-1), "last_order"),
    *((manifest, once_more(), "twice") for manifest in ALL),
    (layout.EMBED_KEYS, once_more(id=str(uuid4())), "twice"),  # another key of the same secret
]
OF_INVOICES = (layout.LINES, layout.PINS, layout.PINNED)


@pytest.fixture
async def root(bench: Bench) -> Root:
    await furnish(bench.studio)
    return await bench.back_up()


async def test_hostile_rows_are_refused_by_name_and_line(bench: Bench, root: Root) -> None:
    for manifest, change, word in HOSTILE:
        entity_type = "invoices" if manifest in OF_INVOICES else "inventory_items"
        place = bench.config.backup_dir / layout.folder_of(root.id) / entity_type / manifest
        sound = place.read_bytes()
        forged = rewrite(bench, root, manifest, lambda line, do=change: _none_but_bytes(do(line)), entity_type)
        words = await refused(bench, forged)
        assert manifest in words, words
        assert word in words, (manifest, word, words)
        assert "line 1" in words or word in ("BOWL", "twice", "versions.jsonl"), words
        place.write_bytes(sound)


async def test_no_two_lines_of_a_backup_claim_what_only_one_row_can_have(bench: Bench) -> None:
    asked = {(staging.TABLES[manifest], frozenset(columns.split(", "))) for manifest, columns in staging.UNIQUE}
    for kind in rows.OF_TYPE:
        found = await database.fetch(
            """SELECT array_agg(attname::text) AS columns, bool_or(indpred IS NOT NULL) AS is_partial
               FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
               WHERE indrelid = $1::regclass AND indisunique GROUP BY indexrelid""",
            kind.table,
        )
        for row in found:
            columns = frozenset(row["columns"])
            is_for_the_switch = columns in ({"pk"}, {"entity", "sort_order"}) or row["is_partial"]  # it gives them out
            scope = {"of_type"} if "invoice" in columns else set[str]()
            assert is_for_the_switch or (staging.TABLES[kind.manifest], columns | scope) in asked, (kind.table, columns)


async def test_what_only_the_database_knows_is_refused_and_nothing_is_touched(bench: Bench, root: Root) -> None:
    words = " ".join(str(uuid4()) for _ in range(40_000))  # more than its full text can hold
    assert "does not take" in await refused(
        bench, rewrite(bench, root, layout.IMAGES, says(alt_text=words)), on_conflict="replace"
    )


async def test_whatever_name_a_picture_may_have_here_it_may_have_in_a_backup(bench: Bench, root: Root) -> None:
    name = clean_filename("fam\U0001f468\u200d\U0001f469\u200d\U0001f467 \u0644\u0627 ½.jpg")
    assert "\u200d" in name
    plan = await bench.ask(rewrite(bench, root, layout.IMAGES, says(filename=name)), dry_run=True)
    assert plan.images.conflict == 1


def _none_but_bytes(value: Any) -> bytes | None:
    return value if isinstance(value, bytes) else None


async def test_what_rotted_is_named_before_anything_is_touched(bench: Bench, root: Root) -> None:
    image = await database.fetch_row("SELECT sha256, renditions FROM image ORDER BY id LIMIT 1")
    assert image is not None
    objects = bench.config.backup_dir / "inventory_items" / "objects"
    rotten = objects / image["sha256"][:2] / image["sha256"]
    card = json.loads(image["renditions"])["items"]["card"]["sha256"]
    rotten.write_bytes(rotten.read_bytes()[:-1] + b"\0")
    (objects / card[:2] / card).unlink()
    await bench.wipe()
    words = await refused(bench, root, Damaged)
    assert f"{image['sha256']} is not what it was" in words
    assert "Make a new backup" in words
    assert f"{card} is missing" in words
    with pytest.raises(Damaged):
        await bench.ask(root, dry_run=True)
    name = bench.config.backup_dir / layout.folder_of(root.id) / "invoices" / layout.PINS
    name.write_bytes(b"")
    assert layout.PINS in await refused(bench, root, Damaged)


def as_rendition(**facts: Any) -> Change:
    return lambda line: line["renditions"]["items"]["card"].update(facts)


async def test_what_is_no_picture_of_its_kind_is_not_brought(bench: Bench, root: Root) -> None:
    images = bench.config.backup_dir / layout.folder_of(root.id) / "inventory_items" / layout.IMAGES
    sound, page = images.read_bytes(), b"<!doctype html><script>alert(document.cookie)</script>"
    as_png = functools.partial(says, extension="png", media_type="image/png")
    for data, said in (page, says), (page, as_rendition), (samples.png(), as_rendition), (samples.jpeg(), as_png):
        facts = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        place = bench.config.backup_dir / layout.object_key("inventory_items", facts["sha256"])
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
        words = await refused(bench, rewrite(bench, root, layout.IMAGES, said(**facts)), Damaged)
        assert f"{facts['sha256']} is no picture" in words
        images.write_bytes(sound)


async def test_what_the_backup_does_not_hold_is_said(bench: Bench, root: Root) -> None:
    await refused(bench, root, NotFound, selection=Selection(entity=EntityRef("inventory_items", "NOPE")))
    await refused(bench, root, NotFound, selection=Selection(image_id=uuid4()))
    part = rewrite(bench, root, layout.ENTITIES, says(), entity_types=("inventory_items",))
    assert "invoices" in await refused(bench, part, NotFound, selection=Selection(entity_types=("invoices",)))


async def test_two_at_once_are_one(bench: Bench, root: Root) -> None:
    async with alone(turns.RESTORE):
        assert "running since" in await refused(bench, root, Running)
        assert (await bench.ask(root, dry_run=True)).images == Counts(skip=6)
    async with alone(turns.BACKUP):
        assert "A backup is running since" in await refused(bench, root, Running)


async def test_without_room_nothing_begins(bench: Bench, root: Root) -> None:
    await bench.wipe()
    bench.config = dataclasses.replace(bench.config, free_space_bytes=2**60)
    assert "no room" in await refused(bench, root, DiskFull)


class FailingDisk(Disk):
    """Its writes fail after so many of them."""

    def __init__(self, number: int, after: int) -> None:
        self.number, self.left = number, after

    def write_all(self, file: int, data: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, "as told")
        super().write_all(file, data)


async def test_a_disk_that_fails_while_bytes_come_leaves_nothing(bench: Bench, root: Root) -> None:
    await bench.wipe()
    sound = bench.store.disk
    for number, kind in ((errno.ENOSPC, DiskFull), (errno.EIO, Unavailable)):
        bench.store.disk = FailingDisk(number, after=30)
        await _breaks(bench, root, kind)
        await database.execute("DELETE FROM pgqueuer")
    bench.store.disk = sound
    await bench.restore(root)


async def test_a_fault_in_the_switch_takes_all_of_it_back(bench: Bench, root: Root, monkeypatch: Any) -> None:
    await bench.wipe()
    monkeypatch.setattr(switch, "_queue_renders", _raises(Forbidden("stop")))
    await _breaks(bench, root, Forbidden)


async def test_who_ends_it_finds_all_as_it_was(bench: Bench, root: Root) -> None:
    await bench.wipe()
    total = (await bench.ask(root, dry_run=True)).objects

    async def report(done: int, total_now: int | None) -> None:
        if done > total:
            raise Cancelled

    await _breaks(bench, root, Cancelled, report=report)


async def test_a_lost_lock_is_heard_of_before_anything_is_written(bench: Bench, root: Root) -> None:
    """Else what was brought might be purged already."""
    await bench.wipe()
    total = (await bench.ask(root, dry_run=True)).objects

    async def report(done: int, total_now: int | None) -> None:
        if done > total:
            await database.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1::bigint AND {OURS}",
                IN_PLACE,
            )

    await _breaks(bench, root, Unavailable, report=report)


async def test_what_a_killed_restore_left_makes_nobody_stand_still_while_the_next_one_only_reads(
    bench: Bench, root: Root
) -> None:
    said = json.dumps({"since": "2026-11-23T05:50:12+00:00", "by": "ana", "backup": root.id})
    await database.execute("INSERT INTO portal_state (name, value) VALUES ('restore', $1::jsonb)", said)
    seen: list[Standstill | None] = []

    async def report(done: int, total: int | None) -> None:
        seen.append(await find_standstill())

    await bench.ask(root, dry_run=False, report=report)
    assert seen[0] is None
    assert seen[-1] is not None
    assert seen[-1].by != "ana"


def _raises(error: Exception) -> Callable[..., Awaitable[None]]:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


async def _breaks(bench: Bench, root: Root, kind: type[Exception], **options: Any) -> None:
    """Rows at once, bytes with the purge that was queued before they came."""
    before = await bench.state()
    with pytest.raises(kind):
        await bench.ask(root, dry_run=False, **options)
    assert await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'purge'")
    await purge_objects({}, store=bench.store)
    assert await bench.state() == before
    assert not await database.fetch_value("SELECT EXISTS (SELECT FROM portal_state WHERE name = 'restore')")


async def test_a_name_that_somebody_takes_meanwhile_is_left_to_them(bench: Bench, root: Root) -> None:
    """A file that is being added lies there already; its row comes later."""
    image = await database.fetch_value("SELECT id FROM image WHERE version = 3")
    await bench.studio.replace(image)
    theirs = bench.store.path_of(f"inventory_items/{str(image)[-2:]}/{image}-v5.jpg")
    theirs.write_bytes(b"theirs")
    done = await bench.ask(root, dry_run=False, on_conflict="replace")
    assert done.images == Counts(replace=1, skip=5, conflict=1)
    assert theirs.read_bytes() == b"theirs"
    assert await database.fetch_value("SELECT version FROM image WHERE id = $1", image) == 6


async def test_what_people_add_meanwhile_stays(bench: Bench, root: Root) -> None:
    """Uploads go on beside the restore: each is before the switch or after it, none is lost."""
    await bench.wipe()
    bowl = await make_entity(id="BOWL")
    mug = await make_entity(id=MUG.id)
    added: list[Any] = []

    async def upload() -> None:
        for number in range(12):
            added.append(await bench.studio.add((bowl, mug)[number % 2], ready=False))

    await asyncio.gather(bench.ask(root, dry_run=False, on_conflict="replace"), upload())
    rows = await database.fetch("SELECT id FROM image")
    assert set(added) <= {row["id"] for row in rows}
    assert len(rows) == 12 + 6
    await bench.render_rest()
    assert await bench.breaches() == []


async def test_pictures_that_were_lost_already_are_left_out_and_counted(bench: Bench) -> None:
    made = await furnish(bench.studio)
    (lost,) = [key for key in objects_now(bench.store) if f"{made['face']}-v1.jpg" in key]
    (card,) = [key for key in objects_now(bench.store) if f"{made['edited']}-v1.2-card.jpg" in key]
    for key in (lost, card):
        bench.store.path_of(key).unlink()
    root = await bench.back_up()
    assert root.lost == 2
    await bench.wipe()
    plan = await bench.ask(root, dry_run=False)
    assert (plan.left_out, plan.images) == (1, Counts(create=5))
    await bench.render_rest()
    assert await bench.breaches() == []


async def test_a_pin_that_shows_what_no_line_brings_is_left_out_and_told(bench: Bench, root: Root) -> None:
    def of_another(line: dict[str, Any]) -> None:
        line["version"], line["renditions"]["of"] = 9, "9.1"

    forged = rewrite(bench, root, layout.PINNED, of_another, "invoices")
    await bench.wipe()
    plan = await bench.restore(forged)
    assert plan.pins == Counts(skip=1, conflict=1)
    assert "neither there nor comes along" in plan.examples[0].detail


async def test_older_lines_are_brought_up_to_date() -> None:
    steps = {
        -1: lambda manifest, line: line | {"caption": line["title"]},
        0: lambda manifest, line: {name: value for name, value in line.items() if name != "title"},
    }
    assert upgrade_from(-1, steps, to=1)("images.jsonl", {"title": "Mug"}) == {"caption": "Mug"}
    with pytest.raises(Foreign, match="schema -2"):
        upgrade_from(-2, steps, to=1)
    with pytest.raises(Foreign, match="schema 2"):
        upgrade_from(2, steps, to=1)
    assert upgrade_from(1)("images.jsonl", {"title": "Mug"}) == {"title": "Mug"}


async def test_a_column_that_is_newer_than_the_backup_has_its_default(bench: Bench, root: Root) -> None:
    forged = rewrite(bench, root, layout.IMAGES, lambda line: (line.pop("decorative"), line.pop("tags"), None)[2])
    await bench.wipe()
    await bench.restore(forged)
    assert not await database.fetch_value("SELECT bool_or(decorative) FROM image")
