"""Pictures like one picture, over all galleries."""

from __future__ import annotations

import random

import pytest

from portal import database
from portal.errors import NotFound
from portal.gallery import likeness
from portal.gallery.disposal import trash_image
from portal.gallery.likeness import Likes, likes_of, pictures_like, quarters_near
from portal.gallery.queries import parse_image_id
from portal.storage.links import Links
from tests import samples
from tests.factories import EDITOR, Studio, make_entity

LINKS = Links((b"k" * 32,), frozenset())


def signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits


async def test_the_same_file_comes_first_then_what_looks_like_it(studio: Studio) -> None:
    one, two, three = [await make_entity(name=name) for name in ("Mug", "Bowl", "Vase")]
    mine = await studio.add(one, samples.shapes(1), ready=False)
    smaller = await studio.add(two, samples.shapes(1, 160, 120), ready=False)
    same = await studio.add(three, samples.shapes(1), ready=False)
    await studio.add(three, samples.shapes(2), ready=False)
    found = await pictures_like(await likes_of(mine), LINKS)
    assert [(each.hit.image.id, each.hit.entity_name, each.is_same_file) for each in found] == [
        (str(same), "Vase", True),
        (str(smaller), "Bowl", False),
    ]
    assert all(each.is_nearly_same for each in found)
    await trash_image(same, actor=EDITOR, deletes_per_hour=10)
    assert [each.hit.image.id for each in await pictures_like(await likes_of(mine), LINKS)] == [str(smaller)]


async def test_a_file_is_found_though_it_was_replaced_since(studio: Studio) -> None:
    image_id = await studio.add(await make_entity(), samples.shapes(3), ready=False)
    wanted = await likes_of(image_id)
    await studio.replace(image_id, samples.shapes(4), ready=False)
    found = await pictures_like(Likes(wanted.sha256, wanted.fingerprint), LINKS)
    assert [(each.hit.image.id, each.is_same_file) for each in found] == [(str(image_id), True)]


async def test_what_has_no_shape_is_found_by_its_bytes_alone(studio: Studio) -> None:
    plain = samples.save(samples.scene(64, 48).point(lambda _: 200), "PNG")
    ids = [await studio.add(await make_entity(), plain, filename="plain.png", ready=False) for _ in range(2)]
    wanted = await likes_of(ids[0])
    assert wanted.fingerprint is None
    assert [each.hit.image.id for each in await pictures_like(wanted, LINKS)] == [str(ids[1])]


async def test_all_that_differ_in_seven_bits_are_found_and_none_that_differ_in_more_than_ten(studio: Studio) -> None:
    ref = await make_entity()
    draw = random.Random(7)
    base = draw.getrandbits(64)
    bits_of: dict[str, int] = {}
    for differing in (0, 1, 3, 5, 6, 7, 7, 7, 11, 30):
        turned = base
        for bit in draw.sample(range(64), differing):
            turned ^= 1 << bit
        image_id = await studio.add(ref, ready=False)
        await database.execute("UPDATE image SET fingerprint = $2 WHERE id = $1", image_id, signed(turned))
        bits_of[str(image_id)] = differing
    found = await pictures_like(Likes("0" * 64, signed(base)), LINKS)
    assert [each.bits for each in found] == sorted(bits for bits in bits_of.values() if bits <= 7)
    assert all(bits_of[each.hit.image.id] == each.bits for each in found)
    assert len(await pictures_like(Likes("0" * 64, signed(base)), LINKS, 3)) == 3


async def test_quarters_are_written_here_as_the_database_writes_them(db: None) -> None:
    draw = random.Random(3)
    for number in [0, -1, -(2**63), 2**63 - 1, *(signed(draw.getrandbits(64)) for _ in range(20))]:
        mine = quarters_near(number)[:: likeness._QUARTER_BITS + 1]
        assert mine == await database.fetch_value("SELECT image_likeness($1)", number)


@pytest.mark.usefixtures("db")
async def test_a_picture_that_is_not_there_is_like_none() -> None:
    with pytest.raises(NotFound):
        await likes_of(parse_image_id("0190a0b0-0000-7000-8000-000000000001"))
