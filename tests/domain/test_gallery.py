"""Galleries: adding, order, primary, trash, delete; and what happens to the bytes."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, Duplicate, NoSuchEntity, NotAnImage, NotFound, RateLimited, Stale, Unavailable
from portal.gallery.disposal import delete_entity, delete_image, restore_image, trash_image
from portal.gallery.forms import PictureFields, ReceivedPicture
from portal.gallery.intake import Rules
from portal.gallery.ordering import move_image
from portal.gallery.queries import gallery_of, get_image
from portal.gallery.renditions import fail_image, render_all
from portal.gallery.service import add_image, change_image, reorder_gallery
from portal.gallery.tasks import purge_objects
from portal.imaging.presets import READY
from portal.storage.links import Links
from portal.storage.store import Store
from tests import samples
from tests.factories import EDITOR, Studio, make_entity

LINKS = Links((b"k" * 32,), frozenset({"invoices", "customers"}))


async def ids_of(ref: EntityRef) -> list[UUID]:
    return [UUID(image.id) for image in (await gallery_of(ref, links=LINKS)).items]


async def primary_of(ref: EntityRef) -> UUID | None:
    return next((UUID(i.id) for i in (await gallery_of(ref, links=LINKS)).items if i.is_primary), None)


def objects(studio: Studio) -> list[str]:
    return sorted(entry.key for entry in studio.store.walk() if not entry.key.startswith("."))


async def assert_sound(ref: EntityRef) -> None:
    images = (await gallery_of(ref, links=LINKS)).items
    assert [image.sort_order for image in images] == list(range(len(images)))
    assert sum(image.is_primary for image in images) == (1 if images else 0)


async def test_added_picture_is_stored_rendered_and_ready(studio: Studio) -> None:
    ref, data = await make_entity(), samples.jpeg(1200, 900)
    image_id = await studio.add(ref, data, filename="C:\\photos\\fjord.jpg")
    image = await get_image(image_id, LINKS)
    assert (image.status, image.width, image.height, image.filename) == ("ready", 1200, 900, "fjord.jpg")
    assert image.is_primary
    assert image.sort_order == 0
    assert set(image.renditions) == set(READY)
    assert (image.renditions["icon"].width, image.renditions["icon"].height) == (64, 64)
    assert len(objects(studio)) == 8
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'image.add'") == 1


async def test_second_upload_keeps_first_as_primary(studio: Studio) -> None:
    ref = await make_entity()
    first = await studio.add(ref)
    second = await studio.add(ref)
    assert await primary_of(ref) == first
    assert await ids_of(ref) == [first, second]


async def test_picture_added_as_primary_takes_the_star(studio: Studio) -> None:
    ref = await make_entity()
    await studio.add(ref)
    second = await studio.add(ref, fields=PictureFields(is_primary=True))
    assert await primary_of(ref) == second
    await assert_sound(ref)


async def test_twenty_equal_uploads_at_once_make_one_image(studio: Studio) -> None:
    ref, data = await make_entity(), samples.jpeg(80, 60)
    results = await asyncio.gather(*(studio.add(ref, data, ready=False) for _ in range(20)), return_exceptions=True)
    stored = [result for result in results if isinstance(result, UUID)]
    refused = [result for result in results if isinstance(result, Duplicate)]
    assert (len(stored), len(refused)) == (1, 19)
    assert {error.extra["image_id"] for error in refused} == {str(stored[0])}
    assert len([key for key in objects(studio) if not key.startswith("temp/")]) == 1


async def test_equal_bytes_may_be_kept_on_purpose(studio: Studio) -> None:
    ref, data = await make_entity(), samples.jpeg(80, 60)
    await studio.add(ref, data)
    await studio.add(ref, data, fields=PictureFields(allow_duplicate=True))
    assert len(await ids_of(ref)) == 2


async def test_refused_file_leaves_neither_row_nor_bytes(studio: Studio) -> None:
    ref = await make_entity()
    with pytest.raises(NotAnImage):
        await studio.add(ref, samples.truncated())
    assert await ids_of(ref) == []
    assert [key for key in objects(studio) if not key.startswith("temp/")] == []


async def test_unknown_entity_is_refused_before_decoding(studio: Studio) -> None:
    with pytest.raises(NoSuchEntity):
        await studio.add(EntityRef("inventory_items", "NONE"), b"not even a picture")


async def test_order_follows_the_given_ids_and_survives_moves(studio: Studio) -> None:
    ref = await make_entity()
    a, b, c = [await studio.add(ref, ready=False) for _ in range(3)]
    await reorder_gallery(ref, [c, a, b], actor=EDITOR)
    assert await ids_of(ref) == [c, a, b]
    await move_image(b, "first", actor=EDITOR)
    await move_image(c, "later", actor=EDITOR)
    assert await ids_of(ref) == [b, a, c]
    await assert_sound(ref)


@pytest.mark.parametrize("wrong", ["missing", "foreign", "twice"])
async def test_order_with_other_ids_than_the_gallery_is_a_conflict(studio: Studio, wrong: str) -> None:
    ref = await make_entity()
    a, b = [await studio.add(ref, ready=False) for _ in range(2)]
    ids = {"missing": [a], "foreign": [a, b, uuid4()], "twice": [a, a]}[wrong]
    with pytest.raises(Conflict):
        await reorder_gallery(ref, ids, actor=EDITOR)
    assert await ids_of(ref) == [a, b]


async def test_trash_hands_the_star_on_and_restore_takes_it_back(studio: Studio) -> None:
    ref = await make_entity()
    a, b, c = [await studio.add(ref) for _ in range(3)]
    await trash_image(a, actor=EDITOR, deletes_per_hour=500)
    assert await ids_of(ref) == [b, c]
    assert await primary_of(ref) == b
    await restore_image(a, actor=EDITOR)
    assert await ids_of(ref) == [a, b, c]
    assert await primary_of(ref) == a
    await assert_sound(ref)


async def test_deleted_image_is_gone_with_all_its_files(studio: Studio) -> None:
    ref = await make_entity()
    a, b = [await studio.add(ref) for _ in range(2)]
    await delete_image(a, actor=EDITOR, deletes_per_hour=500)
    await purge_objects({}, store=studio.store)
    assert await ids_of(ref) == [b]
    assert await primary_of(ref) == b
    assert all(str(a) not in key for key in objects(studio))
    with pytest.raises(NotFound):
        await delete_image(a, actor=EDITOR, deletes_per_hour=500)


async def test_deleted_entity_takes_its_pictures_along(studio: Studio) -> None:
    ref = await make_entity()
    for _ in range(2):
        await studio.add(ref)
    await delete_entity(ref, actor=EDITOR, deletes_per_hour=500)
    await purge_objects({}, store=studio.store)
    assert objects(studio) == []
    assert await database.fetch_value("SELECT count(*) FROM image") == 0
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'image.delete'") == 2


async def test_editor_is_capped_at_deletes_an_hour_and_admin_is_not(studio: Studio) -> None:
    ref = await make_entity()
    a, b, c = [await studio.add(ref, ready=False) for _ in range(3)]
    await trash_image(a, actor=EDITOR, deletes_per_hour=2)
    await delete_image(b, actor=EDITOR, deletes_per_hour=2)
    with pytest.raises(RateLimited):
        await trash_image(c, actor=EDITOR, deletes_per_hour=2)
    with pytest.raises(RateLimited):
        await delete_entity(ref, actor=EDITOR, deletes_per_hour=2)
    await trash_image(c, actor=SYSTEM, deletes_per_hour=2)
    assert await ids_of(ref) == []


async def test_stale_revision_is_refused_and_changes_nothing(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref)
    revision = (await get_image(image_id, LINKS)).revision
    await change_image(image_id, {"alt_text": "A mug"}, actor=EDITOR, revision=revision)
    with pytest.raises(Stale):
        await change_image(image_id, {"alt_text": "A cup"}, actor=EDITOR, revision=revision)
    assert (await get_image(image_id, LINKS)).alt_text == "A mug"


async def test_focal_point_makes_a_new_rendering_and_the_old_one_serves_until_then(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, samples.jpeg(900, 300))
    before = await get_image(image_id, LINKS)
    await change_image(image_id, {"focal_x": 1.0, "focal_y": 0.5}, actor=EDITOR)
    meanwhile = await get_image(image_id, LINKS)
    assert meanwhile.status == "ready"
    assert meanwhile.renditions == before.renditions
    await render_all(image_id, store=studio.store, pool=studio.pool)
    after = await get_image(image_id, LINKS)
    assert after.renditions["card"].url != before.renditions["card"].url
    await purge_objects({}, store=studio.store)
    assert len(objects(studio)) == 8


async def test_rendering_twice_at_once_keeps_one_set(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, ready=False)
    await asyncio.gather(*(render_all(image_id, store=studio.store, pool=studio.pool) for _ in range(3)))
    assert (await get_image(image_id, LINKS)).status == "ready"
    assert len(objects(studio)) == 8


async def test_image_deleted_while_it_renders_leaves_nothing(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, samples.jpeg(3000, 2000), ready=False)
    rendering = asyncio.create_task(render_all(image_id, store=studio.store, pool=studio.pool))
    await asyncio.sleep(0.02)
    await delete_image(image_id, actor=EDITOR, deletes_per_hour=500)
    await rendering
    await purge_objects({}, store=studio.store)
    assert objects(studio) == []


async def test_failed_primary_gives_way_to_a_sound_one(studio: Studio) -> None:
    ref = await make_entity()
    a = await studio.add(ref, ready=False)
    b = await studio.add(ref)
    await fail_image(a, "not_an_image", "The file ends early.")
    assert await primary_of(ref) == b
    image = await get_image(a, LINKS)
    assert (image.status, image.error) == ("failed", {"code": "not_an_image", "message": "The file ends early."})


async def test_lost_original_fails_with_a_reason(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, ready=False)
    await studio.store.delete(objects(studio))
    await render_all(image_id, store=studio.store, pool=studio.pool)
    image = await get_image(image_id, LINKS)
    assert image.status == "failed"
    assert image.error is not None
    assert image.error["code"] == "gone"


async def test_galleries_stay_sound_under_racing_changes(studio: Studio) -> None:
    """Order dense, one primary, whatever the interleaving; losers hear it."""
    ref = await make_entity()
    ids = [await studio.add(ref, ready=False) for _ in range(6)]
    chance = random.Random(7)

    async def change() -> None:
        image_id = chance.choice(ids)
        order = await ids_of(ref)
        chance.shuffle(order)
        await chance.choice(
            [
                lambda: reorder_gallery(ref, order, actor=EDITOR),
                lambda: trash_image(image_id, actor=SYSTEM, deletes_per_hour=0),
                lambda: restore_image(image_id, actor=EDITOR),
                lambda: change_image(image_id, {"is_primary": True}, actor=EDITOR),
                lambda: move_image(image_id, chance.choice(["first", "last"]), actor=EDITOR),
            ]
        )()

    results = await asyncio.gather(*(change() for _ in range(60)), return_exceptions=True)
    assert [each for each in results if each is not None and not isinstance(each, (Conflict, NotFound))] == []
    await assert_sound(ref)


async def test_visitors_see_ready_pictures_only(studio: Studio) -> None:
    ref = await make_entity()
    ready = await studio.add(ref)
    await studio.add(ref, ready=False)
    page = await gallery_of(ref, links=LINKS, public=True)
    assert [image.id for image in page.items] == [str(ready)]
    assert page.total == 1


async def test_gallery_pages_follow_the_cursor(studio: Studio) -> None:
    ref = await make_entity()
    ids = [await studio.add(ref, ready=False) for _ in range(5)]
    first = await gallery_of(ref, links=LINKS, limit=2)
    second = await gallery_of(ref, links=LINKS, limit=2, cursor=first.next)
    third = await gallery_of(ref, links=LINKS, limit=2, cursor=second.next)
    assert [UUID(i.id) for page in (first, second, third) for i in page.items] == ids
    assert (first.total, third.next) == (5, None)


async def test_stored_original_has_the_bytes_that_were_sent(studio: Studio) -> None:
    ref, data = await make_entity(), samples.png(50, 40)
    image_id = await studio.add(ref, data, filename="a.png")
    image = await get_image(image_id, LINKS)
    original = next(key for key in objects(studio) if key.endswith(".png"))
    assert hashlib.sha256(await studio.store.read(original)).hexdigest() == image.sha256


async def test_of_deletes_at_once_only_the_first_finds_the_picture(studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    tries = (delete_image(image_id, actor=SYSTEM, deletes_per_hour=0) for _ in range(6))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["NoneType"] + ["NotFound"] * 5


class LateStore(Store):
    """A disk that takes its time: nothing is put before `go`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.go = asyncio.Event()
        self.is_asked = asyncio.Event()

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        self.is_asked.set()
        await self.go.wait()
        await super().put_many(items)


async def test_late_run_of_a_job_does_not_take_away_what_is_live(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, ready=False)
    late = LateStore(studio.store.root)
    late_run = asyncio.create_task(render_all(image_id, store=late, pool=studio.pool))
    await late.is_asked.wait()
    await render_all(image_id, store=studio.store, pool=studio.pool)  # the lease was over, another worker did it
    await change_image(image_id, {"focal_x": 0.0, "focal_y": 0.0}, actor=EDITOR)
    late.go.set()
    await late_run
    image = await get_image(image_id, LINKS)
    assert image.status == "ready"
    live = {key for key in objects(studio) if "-v1.1" in key}
    assert len(live) == len(READY)


async def test_a_run_that_fails_after_another_succeeded_changes_nothing(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref)
    await fail_image(image_id, "failed", "The second worker was killed.")
    image = await get_image(image_id, LINKS)
    assert (image.status, image.error) == ("ready", None)


async def test_an_upload_that_cannot_be_read_again_is_no_bad_picture(studio: Studio) -> None:
    """As on a disk that is going: the client may come back with the same file."""
    received = ReceivedPicture(studio.store.root / "temp" / "gone.part", "mug.jpg", 10, "0" * 64)
    with pytest.raises(Unavailable):
        await add_image(
            await make_entity(),
            received,
            PictureFields(),
            rules=Rules(),
            store=studio.store,
            pool=studio.pool,
            actor=SYSTEM,
        )
