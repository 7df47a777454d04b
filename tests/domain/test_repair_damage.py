"""Nine kinds of damage at random, and "repair all": what could be saved is saved, what could not is said, nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.errors import Running
from portal.gallery.disposal import delete_image, trash_image
from portal.gallery.pins import pin_invoice
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image
from portal.gallery.tasks import purge_objects
from portal.imaging.presets import READY
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.maintenance.quarantine import list_quarantined, undo
from portal.settings import Settings
from portal.storage.keys import rendition_key
from tests import samples
from tests.drilling import Rounds
from tests.factories import Studio, make_entity
from tests.repairing import ADMIN, Workshop, original, rendition
from tests.waiting import eventually

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass
class Model:
    """What must be there after "repair all"."""

    objects: dict[str, bytes]
    held: list[bytes] = field(default_factory=list)
    trashed: set[UUID] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    order: dict[int, list[UUID]] = field(default_factory=dict)


@dataclass
class Shop:
    """A populated portal; `images` whose original may be damaged alone, `pinned` and `kept` (versions) apart."""

    images: list[UUID]
    pinned: UUID
    kept: UUID


@pytest.fixture
def workshop(studio: Studio, config: Settings) -> Workshop:
    return Workshop(studio, config)


async def populate(workshop: Workshop) -> Shop:
    """Galleries, edits, versions, a pinned invoice whose set nobody else holds, and trash."""
    studio = workshop.studio
    images = [await studio.add(ref) for ref in [await make_entity(), await make_entity()] for _ in range(5)]
    invoice = await make_entity("invoices")
    pinned = await studio.add(invoice)
    await pin_invoice(invoice, actor=SYSTEM)
    for image_id in (pinned, images[0]):
        await change_image(image_id, {"focal_x": 0.2, "focal_y": 0.8, "edits": '{"rotate": 90}'}, actor=SYSTEM)
        await render_all(image_id, store=studio.store, pool=studio.pool)
    await studio.replace(images[1])
    await trash_image(images[-1], actor=SYSTEM, deletes_per_hour=0)
    await drain(workshop)
    return Shop(images, pinned, images[1])


async def drain(workshop: Workshop) -> None:
    """What the worker would do."""
    await purge_objects({}, store=workshop.store)
    await database.execute("DELETE FROM pgqueuer")


async def galleries() -> dict[int, list[UUID]]:
    rows = await database.fetch(
        "SELECT entity, array_agg(id ORDER BY sort_order) AS ids FROM image WHERE trashed_at IS NULL GROUP BY entity"
    )
    return {row["entity"]: row["ids"] for row in rows}


class Vandal:
    """Damages a portal behind its back, and keeps the model of what a repair has to make of it."""

    def __init__(self, workshop: Workshop, shop: Shop, chance: random.Random) -> None:
        self.workshop, self.shop, self.chance = workshop, shop, chance
        self.model = Model(workshop.objects())
        self._originals = list(shop.images)
        chance.shuffle(self._originals)

    async def damage(self) -> Model:
        self.model.order = await galleries()
        kinds = [
            self.lose_original,
            self.change_original,
            self.move_original,
            self.lose_renditions,
            self.change_renditions,
            self.leave_orphan,
            self.leave_temp_file,
            self.break_rows,
            self.lose_all_copies,
        ]
        self.chance.shuffle(kinds)
        for kind in kinds:
            await kind()
        return self.model

    def _next(self) -> tuple[UUID, str]:
        """An image whose original is sound yet, and its key."""
        image_id = self._originals.pop()
        return image_id, original(image_id, 2 if image_id == self.shop.kept else 1)

    def _path(self, key: str) -> Path:
        return self.workshop.root / key

    async def lose_original(self) -> None:
        _, key = self._next()
        await self.workshop.back_up(self.model.objects[key], self.chance.choice(["inventory_items", "customers"]))
        self._path(key).unlink()

    async def change_original(self) -> None:
        _, key = self._next()
        await self.workshop.back_up(self.model.objects[key])
        if self.chance.random() < 0.5:
            self.model.held.append(self.workshop.flip(key))
        else:
            cut = self.model.objects[key][: self.chance.randrange(1, 400)]
            self._path(key).write_bytes(cut)
            self.model.held.append(cut)

    async def move_original(self) -> None:
        """By hand, to another name: of a kept version, of the pinned picture, or of any."""
        choices = [self._next()[1], original(self.shop.kept, 1), original(self.shop.pinned, 1, "invoices")]
        key = self.chance.choice(choices)
        elsewhere = f"inventory_items/moved-{self.chance.randrange(99)}.jpg"
        os.rename(self._path(key), self._path(elsewhere))
        self.workshop.age(elsewhere)
        self.model.held.append(self.model.objects[key])

    def _renditions(self) -> list[str]:
        """Sound ones: of images, of a kept version, and of a set that a pin alone holds."""
        mine = {key: data for key, data in self.model.objects.items() if "/thumbnails/" in key or "/optimized/" in key}
        return sorted(
            key for key, data in mine.items() if self._path(key).exists() and self._path(key).read_bytes() == data
        )

    async def lose_renditions(self) -> None:
        sound = self._renditions()
        of_pin = [key for key in sound if key in self._pinned_set()]
        for key in {*self.chance.sample(sound, 12), self.chance.choice(of_pin)}:
            self._path(key).unlink()

    def _pinned_set(self) -> set[str]:
        return {rendition_key("invoices", self.shop.pinned, 1, 1, name) for name in READY}

    async def change_renditions(self) -> None:
        for key in self.chance.sample(self._renditions(), 6):
            self.model.held.append(self.workshop.flip(key))

    async def leave_orphan(self) -> None:
        foreign = self.chance.choice(["inventory_items/notes.txt", original(uuid4()), original(self.shop.images[0], 7)])
        data = samples.distinct(self.chance.randrange(10**6))
        self.workshop.leave(foreign, data)
        self.model.held.append(data)

    async def leave_temp_file(self) -> None:
        data = self.chance.randbytes(self.chance.randrange(2000))
        self.workshop.leave(f"temp/{uuid4()}.part", data)
        self.model.held.append(data)

    async def break_rows(self) -> None:
        """A gap in the order, no primary, a job that is lost."""
        first, second = list(self.model.order.values())[:2]
        await database.execute("UPDATE image SET sort_order = sort_order + 5 WHERE id = $1", first[-1])
        await database.execute("UPDATE image SET is_primary = false WHERE id = ANY($1::uuid[])", second)
        waiting = await self.workshop.studio.add(await make_entity("companies"), ready=False)
        await database.execute("DELETE FROM pgqueuer")
        key = original(waiting, 1, "companies")
        self.model.objects[key] = self._path(key).read_bytes()
        self.model.order |= {pk: ids for pk, ids in (await galleries()).items() if waiting in ids}

    async def lose_all_copies(self) -> None:
        """Nothing in the store, nothing in a backup: the row goes to the trash; what was left of it is held."""
        image_id, key = self._next()
        if self.chance.random() < 0.5:
            self._path(key).unlink()
        else:
            self.model.held.append(self.workshop.flip(key))
        del self.model.objects[key]
        self.model.trashed.add(image_id)


def given_up(model: Model) -> set[str]:
    """Objects of images whose original is nowhere: their renditions are left as they are."""
    return {key for key in model.objects for image_id in model.trashed if str(image_id) in key and "-v1.jpg" not in key}


@pytest.mark.drill("R12")
async def test_repair_all_makes_of_any_damage_what_the_model_says(
    workshop: Workshop, rounds: Rounds, request: pytest.FixtureRequest
) -> None:
    for seed in range(rounds(2, 40, "portals damaged in nine ways")):
        chance = random.Random(seed)
        shop = await populate(workshop)
        model = await Vandal(workshop, shop, chance).damage()
        found = await workshop.check()
        dry = await workshop.repair(dry_run=True)
        report = await workshop.repair()
        assert report.totals["refused"] == 0, report.kinds
        assert len(found) == sum(report.totals.values())
        said = [(line.finding, line.repair, line.detail) for line in report.outcomes]
        assert [(line.finding, line.repair, line.detail) for line in dry.outcomes] == said, seed
        await compare(workshop, model, seed)
        await everything_undone(workshop, model)
        await empty(workshop)


async def compare(workshop: Workshop, model: Model, seed: int) -> None:
    assert await workshop.breaches() == [], seed
    left = given_up(model)
    there = {key: data for key, data in workshop.objects().items() if not key.startswith("temp/")}
    now = {key: data for key, data in there.items() if key not in left}
    wanted = {key: data for key, data in model.objects.items() if key not in left}
    assert now.keys() == wanted.keys(), seed
    assert now == wanted, seed
    rows = await database.fetch("SELECT id FROM image WHERE trashed_at IS NOT NULL AND error ->> 'code' = 'gone'")
    assert {row["id"] for row in rows} == model.trashed, seed
    order = {pk: [id for id in ids if id not in model.trashed] for pk, ids in model.order.items()}
    assert {pk: ids for pk, ids in (await galleries()).items() if ids} == {pk: ids for pk, ids in order.items() if ids}
    held = set(workshop.held())
    still_there = {data for key, data in there.items() if key in left}
    assert set(model.held) <= held | still_there, seed
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'repair.trash'") == len(model.trashed)


async def everything_undone(workshop: Workshop, model: Model) -> None:
    """What can go back goes back, byte for byte; what healed in between stays."""
    before = workshop.objects()
    for held in (await list_quarantined(limit=200)).items:
        if not held.is_replaced:
            await undo(UUID(held.id), store=workshop.store, quarantine_dir=workshop.config.quarantine_dir, actor=ADMIN)
            data = (workshop.root / held.key).read_bytes()
            assert hashlib.sha256(data).hexdigest() == held.sha256
    after = workshop.objects()
    assert {key: after[key] for key in before} == before


async def empty(workshop: Workshop) -> None:
    async with database.transaction():
        await database.execute("SET LOCAL portal.audit_maintenance = on")
        for table in ("finding", "quarantined", "invoice_pin", "entity", "audit_change", "audit", "pgqueuer"):
            await database.execute(f"DELETE FROM {table}")
    await workshop.store.delete(workshop.objects())
    await workshop.check()


async def test_a_dry_run_changes_nothing_at_all(workshop: Workshop) -> None:
    shop = await populate(workshop)
    await Vandal(workshop, shop, random.Random(7)).damage()
    await workshop.check()
    rows, objects = await everything(), workshop.objects()
    report = await workshop.repair(dry_run=True)
    assert report.totals["planned"] > 20
    assert await everything() == rows
    assert workshop.objects() == objects
    assert not workshop.config.quarantine_dir.exists()


async def everything() -> dict[str, list[str]]:
    """Every row of every table."""
    names = await database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    found = {}
    for row in names:
        name = row["tablename"]
        found[name] = [str(each["r"]) for each in await database.fetch(f"SELECT t::text AS r FROM {name} t ORDER BY 1")]
    return found


async def run_repair(workshop: Workshop, at: dict[str, Any]) -> asyncio.subprocess.Process:
    """In a process of its own."""
    environ = {
        **os.environ,
        "PORTAL_DATA_DIR": str(workshop.config.data_dir),
        "PORTAL_DATABASE_URL": at.get("dsn") or f"postgresql://{at['user']}@/{at['database']}?host={at['host']}",
        "PORTAL_WORKERS": "1",
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "portal", "repair", "--apply", "--json"),
        cwd=CHECKOUT,
        env={key: str(value) for key, value in environ.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_repair_that_is_killed_leaves_old_or_new_and_the_next_one_ends_it(
    workshop: Workshop, database_arguments: dict[str, Any], rounds: Rounds
) -> None:
    for seed in range(rounds(1, 10, "killed repairs")):
        shop = await populate(workshop)
        model = await Vandal(workshop, shop, random.Random(100 + seed)).damage()
        damaged = workshop.objects()
        total = len(await workshop.check())
        process = await run_repair(workshop, database_arguments)
        until = random.Random(seed).randrange(1, total - 3)

        async def is_under_way(until: int = until) -> bool:
            ended = await database.fetch_value("SELECT count(*) FROM finding WHERE state <> 'open'")
            return ended >= until

        await eventually(is_under_way)
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        for key, data in workshop.objects().items():
            if not key.startswith("temp/"):
                assert data in (damaged.get(key), model.objects.get(key)), key
        await eventually(no_repair_runs)
        report = await workshop.repair()
        assert report.totals["refused"] == 0
        await compare(workshop, model, seed)
        await empty(workshop)


async def test_people_work_on_while_a_repair_is_at_it(workshop: Workshop) -> None:
    """Files replaced, pictures turned, thrown away and deleted under its hands: nobody's work is undone, and all ends sound."""
    studio = workshop.studio
    ref = await make_entity()
    images = [await studio.add(ref) for _ in range(8)]
    for image_id in images:
        workshop.flip(rendition(image_id, "card"))
        await workshop.back_up((workshop.root / original(image_id)).read_bytes())
        workshop.flip(original(image_id))
    await workshop.check()

    async def people() -> None:
        await studio.replace(images[0])
        await trash_image(images[1], actor=SYSTEM, deletes_per_hour=0)
        await delete_image(images[7], actor=SYSTEM, deletes_per_hour=0)
        await change_image(images[6], {"edits": '{"rotate": 90}'}, actor=SYSTEM)
        await studio.replace(images[5])
        await studio.add(ref)

    await asyncio.gather(workshop.repair(), people())
    await render_all(images[6], store=studio.store, pool=studio.pool)
    await drain(workshop)
    report = await workshop.check_and_repair()
    assert report.totals["refused"] == 0
    assert await workshop.breaches() == []
    rows = await database.fetch(
        "SELECT id, version, edits::text, trashed_at FROM image WHERE id = ANY($1::uuid[])", images
    )
    now = {row["id"]: row for row in rows}
    assert (now[images[0]]["version"], now[images[5]]["version"]) == (2, 2)
    assert now[images[1]]["trashed_at"] is not None
    assert "90" in now[images[6]]["edits"]
    assert images[7] not in now


async def no_repair_runs() -> bool:
    try:
        async with alone(turns.REPAIR):
            return True
    except Running:
        return False


@pytest.mark.drill("R13")
async def test_of_two_repairs_at_once_the_second_is_told_since_when(
    workshop: Workshop, database_arguments: dict[str, Any]
) -> None:
    workshop.leave("inventory_items/notes.txt", b"whose?")
    await workshop.check()
    async with alone(turns.REPAIR):
        process = await run_repair(workshop, database_arguments)
        _, said = await process.communicate()
        assert process.returncode == 1
        assert b"A repair is running since 2" in said
        with pytest.raises(Running):
            await workshop.repair()
    process = await run_repair(workshop, database_arguments)
    told, _ = await process.communicate()
    assert process.returncode == 0
    assert b'"repaired": 1' in told
