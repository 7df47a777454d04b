"""R12: damage of every kind, at random, behind the portal's back. One pass finds all of it, and nothing else."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from uuid_utils.compat import uuid7

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery.disposal import trash_image
from portal.integrity.check import full_check
from portal.integrity.findings import list_findings
from portal.integrity.fsck import fsck
from portal.integrity.scrub import scrub
from portal.storage.keys import original_key, parse_key
from tests import samples
from tests.factories import Studio, make_entity, write

NOW = timedelta(0)
HOUR = timedelta(hours=1)
Breach = tuple[str, str | None, str | None]
KINDS = {
    "missing_object",
    "checksum_mismatch",
    "missing_rendition",
    "wrong_rendition",
    "orphaned_object",
    "stray_temp_file",
    "no_primary",
    "order_not_dense",
    "no_job",
}


@dataclass
class Vandal:
    """Breaks things, and notes what a check has to say then."""

    studio: Studio
    random: random.Random
    model: set[Breach] = field(default_factory=set)

    async def spoil(self, key: str) -> None:
        """Remove, cut, flip or replace one object of a picture."""
        parsed = parse_key(key)
        assert parsed is not None
        data = await self.studio.store.read(key)
        way = self.random.choice(["remove", "cut", "flip", "empty"])
        if way == "remove":
            await self.studio.store.delete([key])
        else:
            await self.studio.store.put(key, self._spoiled(data, way))
        lost = "missing_object" if parsed.is_original else "missing_rendition"
        changed = "checksum_mismatch" if parsed.is_original else "wrong_rendition"
        self.model.add((lost if way == "remove" else changed, key, str(parsed.image_id)))

    def _spoiled(self, data: bytes, way: str) -> bytes:
        if way == "cut":
            return data[: self.random.randrange(1, len(data))]
        if way == "empty":
            return b""
        place = self.random.randrange(len(data))
        return data[:place] + bytes([data[place] ^ (1 << self.random.randrange(8))]) + data[place + 1 :]

    async def leave(self) -> None:
        """Bytes that nobody owns, and a temporary file of two hours ago."""
        data = self.random.randbytes(100)
        for key in (original_key("companies", uuid7(), 1, "png"), "invoices/thumbs.db"):
            await self.studio.store.put(key, data)
            self.model.add(("orphaned_object", key, None))
        path = self.studio.store.root / "temp" / f"{self.random.randrange(10**6)}.part"
        write(path, data)
        long_ago = path.stat().st_mtime - 7200
        os.utime(path, (long_ago, long_ago))
        self.model.add(("stray_temp_file", f"temp/{path.name}", None))

    async def break_rows(self) -> None:
        ref = await make_entity("invoices")
        for _ in range(3):
            await self.studio.add(ref)
        await database.execute(
            """UPDATE image SET sort_order = sort_order + 5
               WHERE NOT is_primary AND entity IN (SELECT pk FROM entity WHERE id = $1)""",
            ref.id,
        )
        self.model.add(("order_not_dense", str(ref), None))
        ref = await make_entity("customers")
        await self.studio.add(ref)
        await database.execute(
            "UPDATE image SET is_primary = false WHERE entity IN (SELECT pk FROM entity WHERE id = $1)", ref.id
        )
        self.model.add(("no_primary", str(ref), None))
        waits = await self.studio.add(await make_entity("companies"), ready=False)
        await database.execute(
            "DELETE FROM pgqueuer WHERE convert_from(payload, 'UTF8') LIKE '%' || $1 || '%'", str(waits)
        )
        self.model.add(("no_job", None, str(waits)))


async def add_pictures(studio: Studio) -> None:
    """Two galleries: one picture plain, one in the trash, one with an older version."""
    for _ in range(2):
        ref = await make_entity()
        _, trashed, replaced = [await studio.add(ref) for _ in range(3)]
        await studio.replace(replaced, samples.png(90, 60), filename="other.png")
        await trash_image(trashed, actor=SYSTEM, deletes_per_hour=0)


def _in_order(key: str) -> tuple[object, ...]:
    """The same in each run: ids differ, but not their order."""
    parsed = parse_key(key)
    assert parsed is not None
    return parsed.image_id, parsed.version, parsed.rendering or 0, parsed.name or ""


async def found_open() -> set[Breach]:
    page = await list_findings(state="open", limit=200)
    assert page.next is None
    return {(each.kind, each.key, each.image_id) for each in page.items}


@pytest.mark.parametrize("seed", range(3))
async def test_one_pass_finds_all_damage_and_nothing_else(studio: Studio, seed: int) -> None:
    vandal = Vandal(studio, random.Random(seed))
    await add_pictures(studio)
    await database.execute("DELETE FROM pgqueuer")
    objects = sorted((entry.key for entry in studio.store.walk() if parse_key(entry.key)), key=_in_order)
    originals = [key for key in objects if "/thumbnails/" not in key and "/optimized/" not in key]
    spoiled = {*vandal.random.sample(objects, 12), *vandal.random.sample(originals, 3)}
    for key in sorted(spoiled):
        await vandal.spoil(key)
    await vandal.leave()
    await vandal.break_rows()
    report = await full_check(store=studio.store, grace=NOW)
    assert await found_open() == vandal.model
    assert report.new == report.findings == len(vandal.model)
    streamed = {
        (each.kind, each.key, each.image_id)
        async for each in fsck(store=studio.store, pool=studio.pool, grace=NOW, temp_grace=HOUR)
    }
    assert streamed == vandal.model
    assert {each.kind for each in (await list_findings(limit=200)).items} <= KINDS
    await database.execute("DELETE FROM finding")
    assert (await scrub(store=studio.store, grace=NOW, budget=HOUR)).is_whole
    assert await found_open() == vandal.model
