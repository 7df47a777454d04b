"""Advice by facts: what an original weighs more than it need, what prints how large, what stands twice, what is not described."""

from __future__ import annotations

from typing import Any

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.errors import FormError
from portal.gallery.forms import PictureFields
from portal.gallery.service import change_image
from portal.maintenance.advice import count_heavy, heavy_originals, silent_galleries, small_prints
from portal.maintenance.advice_tables import HEADERS, rows_of
from portal.maintenance.advice_twins import TwinFinder, twins
from portal.storage.links import Links
from tests import samples
from tests.factories import Studio, make_entity

LINKS = Links((b"k" * 32,), frozenset())
TOLD = PictureFields(alt_text="A mug")


async def trash(image_id: Any) -> None:
    await database.execute(
        "UPDATE image SET trashed_at = now(), sort_order = NULL, is_primary = false WHERE id = $1", image_id
    )


async def test_originals_that_weigh_much_more_than_they_need_the_most_to_win_first(studio: Studio) -> None:
    ref = await make_entity(name="Much too fine")
    fine = await studio.add(ref, samples.noisy(1500, 1000, quality=98))
    light = await studio.add(ref, samples.jpeg(3000, 2000))
    heavy = await studio.add(ref, samples.noisy(3000, 2000, quality=97))
    gone = await studio.add(ref, samples.noisy(1500, 1000, quality=97))
    await trash(gone)
    page = await heavy_originals(LINKS)
    assert [each.image.id for each in page.items] == [str(heavy), str(fine)]
    assert str(light) not in {each.image.id for each in page.items}
    first = page.items[0]
    made = first.image.renditions["optimized"]
    scale = 2400 / made.width
    assert first.bytes_enough == pytest.approx(made.bytes * scale * scale, rel=0.01)
    assert first.saved == first.bytes - first.bytes_enough > 500_000
    assert (first.why, page.items[1].why) == ("2,400 pixels are enough", "saved less finely")
    about = await count_heavy()
    assert (about.total, about.bytes, page.total) == (2, sum(each.saved for each in page.items), 2)
    one = await heavy_originals(LINKS, limit=1)
    two = await heavy_originals(LINKS, limit=1, cursor=one.next)
    assert [one.items[0].image.id, two.items[0].image.id, two.next] == [str(heavy), str(fine), None]
    with pytest.raises(FormError):
        await heavy_originals(LINKS, cursor="WzEsICJub25lIl0")


async def test_pictures_that_do_not_fill_the_print_say_how_large_they_print_sharply(studio: Studio) -> None:
    ref = await make_entity()
    small = await studio.add(ref, samples.jpeg(500, 300))
    cut = await studio.add(ref, samples.jpeg(2000, 1500))
    await studio.add(ref, samples.jpeg(1063, 300))  # as wide as the print
    await studio.add(ref, samples.jpeg(600, 803))  # as high
    edits = {"crop": {"x": 0.0, "y": 0.0, "width": 0.25, "height": 0.4}, "rotate": 90}
    await change_image(cut, {"edits": edits}, actor=SYSTEM)
    page = await small_prints(LINKS)
    assert [each.image.id for each in page.items] == [str(small), str(cut)]
    assert [(each.width, each.height) for each in page.items] == [(500, 300), (600, 500)]
    assert [(each.width_mm, each.height_mm) for each in page.items] == [(42.3, 25.4), (50.8, 42.3)]
    await database.execute(
        """INSERT INTO preset_change (name, width, height, quality, state, decided_by, decided_at)
           VALUES ('print', 550, 550, 85, 'done', 'user:admin', now())"""
    )
    assert [each.image.id for each in (await small_prints(LINKS)).items] == [str(small)]
    second = await small_prints(LINKS, limit=1, cursor=(await small_prints(LINKS, limit=1)).next)
    assert second.items == [] or second.next is None


async def test_a_file_in_several_galleries_is_a_group_and_so_are_files_that_look_the_same(studio: Studio) -> None:
    here, there = await make_entity(name="Here"), await make_entity(name="There")
    data = samples.shapes(1, quality=90)
    first = await studio.add(here, data)
    second = await studio.add(there, data)
    await studio.add(here, data, fields=PictureFields(allow_duplicate=True))
    await studio.add(there, samples.shapes(1, quality=70))  # another file of it
    alone = samples.shapes(2)
    await studio.add(here, alone)
    await studio.add(here, alone, fields=PictureFields(allow_duplicate=True))  # the same gallery: told at upload
    finder = TwinFinder()
    found = await twins(finder, "same", LINKS)
    (group,) = found.page.items
    assert [image.id for image in group.images][:2] == [str(first), str(second)]
    assert (group.galleries, group.more) == (["Here", "There", "Here"], 0)
    assert (group.saved, found.advice.total, found.advice.bytes) == (2 * len(data), 1, 2 * len(data))
    assert found.as_of is not None
    (alike,) = (await twins(finder, "alike", LINKS)).page.items
    assert len(alike.images) == 4
    await trash(second)
    assert (await twins(finder, "same", LINKS)).page.items == []


async def test_what_is_kept_of_a_long_search_is_listed_as_it_is_now(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.maintenance.advice_twins.QUICK", -1.0)  # as if it had taken long
    here, there = await make_entity(), await make_entity()
    images = [await studio.add(ref, samples.shapes(1)) for ref in (here, there)]
    finder = TwinFinder()
    before = await twins(finder, "same", LINKS)
    assert len(before.page.items) == 1
    await trash(images[0])
    after = await twins(finder, "same", LINKS)
    assert (after.page.items, after.as_of) == ([], before.as_of)


async def test_galleries_with_pictures_that_nobody_described_newest_first(studio: Studio) -> None:
    told, one, two, nice = [await make_entity(name=name) for name in ("Told", "One", "Two", "Nice")]
    await studio.add(told, fields=TOLD)
    await studio.add(one, ready=False)
    for _ in range(2):
        await studio.add(two, ready=False)
    await change_image(await studio.add(nice, ready=False), {"decorative": True}, actor=SYSTEM)
    page = await silent_galleries()
    assert [(each.name, each.missing) for each in page.items] == [("Two", 2), ("One", 1)]
    assert (page.total, page.next) == (3, None)
    first = await silent_galleries(limit=1)
    assert [each.name for each in (await silent_galleries(limit=1, cursor=first.next)).items] == ["One"]


async def test_every_list_is_a_table_too(studio: Studio) -> None:
    here, there = await make_entity(), await make_entity()
    for ref in (here, there):
        await studio.add(ref, samples.shapes(1, 200, 150))
    await studio.add(there, samples.shapes(1, 400, 300))
    await studio.add(here, samples.noisy(1500, 1000, quality=98))
    for name, header in HEADERS.items():
        rows = [row async for row in rows_of(name, TwinFinder(), LINKS)]
        assert rows, name
        assert {len(row) for row in rows} == {len(header)}
