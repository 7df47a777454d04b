"""What an entity's gallery has, as triggers keep it, and the tags that were used: true after every change."""

from __future__ import annotations

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.gallery.disposal import delete_entity, delete_image, restore_image, trash_image
from portal.gallery.service import change_image
from tests import samples
from tests.factories import Studio, make_entity


async def tallies() -> list[tuple[object, ...]]:
    """As kept; and they are what counting says."""
    kept = await database.fetch("SELECT * FROM entity_tally ORDER BY entity")
    counted = await database.fetch("SELECT * FROM entity_tallied() ORDER BY entity")
    assert [tuple(row.values()) for row in kept] == [tuple(row.values()) for row in counted]
    return [tuple(row.values())[1:] for row in kept]


async def test_a_gallery_is_tallied_from_its_birth_to_its_end(studio: Studio) -> None:
    ref = await make_entity()
    assert await tallies() == [(ref.type, 0, 0, None, None)]
    first = await studio.add(ref, samples.jpeg(400, 300), ready=False)
    second = await studio.add(ref, samples.jpeg(90, 60), ready=False)
    assert await tallies() == [(ref.type, 2, 2, 400, 300)]
    await change_image(first, {"alt_text": "A mug"}, actor=SYSTEM)
    await change_image(second, {"decorative": True}, actor=SYSTEM)
    assert await tallies() == [(ref.type, 2, 0, 400, 300)]
    await change_image(first, {"edits": {"rotate": 90}}, actor=SYSTEM)
    assert await tallies() == [(ref.type, 2, 0, 300, 400)]
    await trash_image(first, actor=SYSTEM, deletes_per_hour=0)
    assert await tallies() == [(ref.type, 1, 0, 90, 60)]
    await restore_image(first, actor=SYSTEM)
    await change_image(second, {"is_primary": True, "decorative": False}, actor=SYSTEM)
    assert await tallies() == [(ref.type, 2, 1, 90, 60)]
    await delete_image(second, actor=SYSTEM, deletes_per_hour=0)
    assert await tallies() == [(ref.type, 1, 0, 300, 400)]
    await delete_entity(ref, actor=SYSTEM, deletes_per_hour=0)
    assert await tallies() == []


async def test_each_tag_is_known_from_then_on(studio: Studio) -> None:
    image_id = await studio.add(await make_entity(), ready=False)
    await change_image(image_id, {"tags": ["Blue", "mug"]}, actor=SYSTEM)
    await change_image(image_id, {"tags": ["mug", "Ærø"]}, actor=SYSTEM)
    assert {row["name"] for row in await database.fetch("SELECT name FROM tag")} == {"Blue", "mug", "Ærø"}


@pytest.mark.parametrize("statement", ["UPDATE image SET tries = tries + 1", "UPDATE image SET alt_text = NULL"])
async def test_what_tells_nothing_new_costs_no_tally(studio: Studio, statement: str) -> None:
    await studio.add(await make_entity(), ready=False)
    before = await database.fetch_value("SELECT xmin FROM entity_tally")
    await database.execute(statement)
    assert await database.fetch_value("SELECT xmin FROM entity_tally") == before
