"""Tallies that say something else than counting: found, named, counted anew, and left alone where they are right again."""

from __future__ import annotations

import asyncio

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.entities.kinds import EntityRef
from portal.gallery.disposal import restore_image, trash_image
from portal.gallery.service import change_image
from portal.gallery.tallies import tally_mismatches
from portal.integrity.fsck import check_rows
from portal.settings import Settings
from tests.factories import Studio, make_entity
from tests.repairing import Workshop, actions

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def workshop(studio: Studio, config: Settings) -> Workshop:
    return Workshop(studio, config)


@pytest.fixture
async def gallery(studio: Studio) -> EntityRef:
    ref = await make_entity("companies", "ACME")
    await studio.add(ref)
    return ref


WRONG = ["UPDATE entity_tally SET images = 9, primary_width = NULL", "DELETE FROM entity_tally"]


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_tally_is_named_and_counted_anew(workshop: Workshop, gallery: EntityRef, wrong: str) -> None:
    await make_entity("companies", "OTHER")
    await database.execute(f"{wrong} WHERE entity = (SELECT pk FROM entity WHERE id = 'ACME')")
    [breach] = [each async for each in check_rows()]
    assert (breach.kind, breach.key, breach.proposed) == ("tally_mismatch", str(gallery), "recount")
    assert "counted 1 pictures" in breach.detail
    assert breach.evidence["expected"]["images"] == 1
    [found] = await tally_mismatches()
    assert found.ref == gallery
    await workshop.check()
    assert [line.outcome for line in (await workshop.repair(dry_run=True)).outcomes] == ["planned"]
    assert [line.outcome for line in (await workshop.repair()).outcomes] == ["repaired"]
    assert await tally_mismatches() == []
    assert await actions() == ["repair.recount"]


async def test_a_tally_that_is_right_by_now_is_left_alone(workshop: Workshop, gallery: EntityRef) -> None:
    await database.execute("UPDATE entity_tally SET unsaid = 7")
    await workshop.check()
    await database.execute("UPDATE entity_tally SET unsaid = 1")
    assert [line.outcome for line in (await workshop.repair()).outcomes] == ["gone"]


async def test_tallies_are_counting_at_every_moment_of_a_busy_time(studio: Studio) -> None:
    refs = [await make_entity("customers") for _ in range(2)]
    images = [await studio.add(ref, ready=False) for ref in refs for _ in range(2)]
    is_over = asyncio.Event()

    async def work(at: int) -> None:
        for turn in range(4):
            await trash_image(images[at], actor=SYSTEM, deletes_per_hour=0)
            await restore_image(images[at], actor=SYSTEM)
            await change_image(images[at], {"alt_text": f"Turn {turn}"}, actor=SYSTEM)

    async def look() -> None:
        while not is_over.is_set():
            assert await tally_mismatches() == []

    watching = asyncio.create_task(look())
    await asyncio.gather(*(work(at) for at in range(len(images))))
    is_over.set()
    await watching
