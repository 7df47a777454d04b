"""Another file for a picture: what stays, what is kept, what comes back, and that no byte is lost or left over."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.errors import (
    DiskFull,
    FormError,
    Gone,
    NotFound,
    RateLimited,
)
from portal.gallery.disposal import delete_entity, delete_image, trash_image
from portal.gallery.queries import are_settled
from portal.gallery.service import edit_image
from portal.gallery.tasks import purge_objects
from portal.gallery.versions import KEPT, versions_of
from portal.imaging.presets import READY
from portal.integrity.fsck import fsck
from portal.settings import Settings
from portal.storage.store import TURNS
from tests import samples
from tests.factories import EDITOR, Studio, make_entity
from tests.versioning import (
    LINKS,
    TURNED,
    assert_sound,
    change,
    image_of,
    objects,
    original,
    render,
    restore,
    versions,
)


async def test_another_file_changes_the_bytes_and_what_was_wanted_of_them_alone(studio: Studio, config: Settings):
    ref = await make_entity()
    image_id = await studio.add(ref, samples.with_location(), filename="old.jpg")
    await studio.add(ref)
    await change(image_id, alt_text="A mug", tags=["front"], **TURNED)
    await render(studio, image_id)
    before = await image_of(image_id)
    data = samples.png(300, 200)
    assert await studio.replace(image_id, data, filename="C:\\new\\mug.png", actor=EDITOR)
    after = await image_of(image_id)
    assert (after.filename, after.media_type, after.width, after.height) == ("mug.png", "image/png", 300, 200)
    assert (after.version, after.revision, after.edits, after.focal_point, after.exif) == (
        2,
        before.revision + 1,
        {},
        None,
        {},
    )
    assert after.uploaded_by == EDITOR.name
    assert after.placeholder != before.placeholder
    kept = ("id", "alt_text", "tags", "is_primary", "sort_order", "status", "created_at")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert await studio.store.read(original(image_id, 2, "png")) == data
    assert after.renditions["optimized"].url.endswith("v=2.1")
    newest, oldest = await versions(image_id)
    assert (newest.version, newest.is_current, newest.replaced_at) == (2, True, None)
    assert (oldest.version, oldest.is_current, oldest.filename) == (1, False, "old.jpg")
    assert (oldest.edits, oldest.focal_point) == (before.edits, before.focal_point)
    assert oldest.renditions["optimized"].url.endswith("v=1.2")
    assert (oldest.created_at, oldest.replaced_at) == (before.created_at, newest.created_at)
    await assert_sound(studio, config)


async def test_a_replaced_file_stands_in_the_audit(studio: Studio):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id, filename="new.jpg")
    row = await database.fetch_row(
        "SELECT before, after FROM audit JOIN audit_change ON audit = audit.pk WHERE action = 'image.replace'"
    )
    assert row is not None
    said = json.loads(row["before"]), json.loads(row["after"])
    assert [each["version"] for each in said] == [1, 2]
    assert [each["filename"] for each in said] == ["picture.jpg", "new.jpg"]
    assert said[0]["sha256"] != said[1]["sha256"]


async def test_the_last_whole_renditions_are_shown_until_the_new_ones_are_there(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    before = await image_of(image_id)
    await studio.replace(image_id, ready=False)
    waiting = await image_of(image_id)
    assert (waiting.status, waiting.renditions) == ("ready", before.renditions)
    assert not await are_settled([image_id])
    newest, oldest = await versions(image_id)
    assert (newest.renditions, oldest.renditions) == ({}, before.renditions)
    await assert_sound(studio, config)
    await render(studio, image_id)
    assert (await image_of(image_id)).renditions["icon"].url.endswith("v=2.1")
    assert (await versions(image_id))[1].renditions == before.renditions
    assert await are_settled([image_id])
    await assert_sound(studio, config)


async def test_several_files_before_a_rendering_keep_the_last_whole_set_and_lose_nothing(
    studio: Studio, config: Settings
):
    image_id = await studio.add(await make_entity())
    shown = (await image_of(image_id)).renditions
    for _ in range(3):
        await studio.replace(image_id, ready=False)
    assert (await image_of(image_id)).renditions == shown
    assert [bool(each.renditions) for each in await versions(image_id)] == [False, False, False, True]
    await assert_sound(studio, config)
    await render(studio, image_id)
    assert [bool(each.renditions) for each in await versions(image_id)] == [True, False, False, True]
    await assert_sound(studio, config)


async def test_what_is_shown_stays_though_its_version_is_dropped(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    shown = (await image_of(image_id)).renditions
    for _ in range(KEPT + 1):
        await studio.replace(image_id, ready=False)
    assert [each.version for each in await versions(image_id)] == list(range(KEPT + 2, 1, -1))
    await purge_objects({}, store=studio.store)
    assert original(image_id, 1) not in objects(studio)
    assert (await image_of(image_id)).renditions == shown
    await assert_sound(studio, config)
    await render(studio, image_id)
    await assert_sound(studio, config)
    assert not [key for key in objects(studio) if "-v1." in key]


async def test_ten_old_versions_are_kept(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    for _ in range(KEPT + 1):
        await studio.replace(image_id)
    page = await versions_of(image_id, links=LINKS)
    assert ([each.version for each in page.items], page.total) == (list(range(12, 1, -1)), 11)
    assert all(set(each.renditions) == set(READY) for each in page.items)
    await assert_sound(studio, config)
    assert len(objects(studio)) == 11 * 8
    with pytest.raises(NotFound):
        await restore(image_id, 1, store=studio.store, actor=EDITOR)


async def test_dropping_old_versions_counts_among_an_editors_deletes(studio: Studio, config: Settings):
    """Else one token could take away what every picture was, eleven files each."""
    image_id = await studio.add(await make_entity(), ready=False)
    for _ in range(KEPT):
        await studio.replace(image_id, ready=False, actor=EDITOR, deletes_per_hour=0)
    before, kept = await image_of(image_id), await versions(image_id)
    with pytest.raises(RateLimited):
        await studio.replace(image_id, ready=False, actor=EDITOR, deletes_per_hour=0)
    with pytest.raises(RateLimited):
        await restore(image_id, 3, store=studio.store, actor=EDITOR, deletes_per_hour=0)
    assert (await image_of(image_id), await versions(image_id)) == (before, kept)
    assert await studio.replace(image_id, ready=False, actor=EDITOR, deletes_per_hour=1)
    with pytest.raises(RateLimited):
        await trash_image(image_id, actor=EDITOR, deletes_per_hour=1)
    assert await studio.replace(image_id, actor=SYSTEM, deletes_per_hour=0)
    row = await database.fetch_row(
        "SELECT actor, before FROM audit JOIN audit_change ON audit = audit.pk WHERE action = 'image.drop_version' ORDER BY at"
    )
    assert row is not None
    assert (row["actor"], json.loads(row["before"])["version"]) == (EDITOR.name, 1)
    await assert_sound(studio, config)


async def test_an_old_version_comes_back_with_what_was_wanted_of_it(studio: Studio, config: Settings):
    data = samples.jpeg(640, 480)
    image_id = await studio.add(await make_entity(), data, filename="first.jpg", actor=EDITOR)
    await change(image_id, caption="Blue", **TURNED)
    await render(studio, image_id)
    before = await image_of(image_id)
    await studio.replace(image_id, samples.png(), filename="second.png")
    assert await restore(image_id, 1, store=studio.store, actor=SYSTEM)
    back = await image_of(image_id)
    same = (
        "filename",
        "media_type",
        "bytes",
        "sha256",
        "width",
        "height",
        "edits",
        "focal_point",
        "exif",
        "uploaded_by",
    )
    assert [getattr(back, name) for name in same] == [getattr(before, name) for name in same]
    assert (back.version, back.caption, back.status) == (3, "Blue", "ready")
    assert await studio.store.read(original(image_id, 3)) == data
    await render(studio, image_id)
    optimized = (await image_of(image_id)).renditions["optimized"]
    assert (optimized.width, optimized.height) == (480, 640)
    assert [each.version for each in await versions(image_id)] == [3, 2, 1]
    await assert_sound(studio, config)


async def test_to_restore_what_is_there_already_changes_nothing(studio: Studio):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    assert not await restore(image_id, 2, store=studio.store, actor=EDITOR)
    assert await restore(image_id, 1, store=studio.store, actor=EDITOR)
    assert not await restore(image_id, 1, store=studio.store, actor=EDITOR)  # the button was pressed twice
    assert (await image_of(image_id)).version == 3
    await change(image_id, edits={"flip": "horizontal"})
    assert await restore(image_id, 1, store=studio.store, actor=EDITOR)  # without the flip
    assert (await image_of(image_id)).edits == {}


async def test_the_oldest_of_ten_comes_back_and_stays_where_it_was(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    for _ in range(KEPT):
        await studio.replace(image_id)
    assert await restore(image_id, 1, store=studio.store, actor=SYSTEM)
    assert [each.version for each in await versions(image_id)] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 1]
    await render(studio, image_id)
    await assert_sound(studio, config)


async def test_the_floor_of_free_space_is_kept_from_old_bytes_too(studio: Studio):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    with pytest.raises(DiskFull, match="nearly full"):
        await restore(image_id, 1, store=studio.store, actor=EDITOR, floor=2**60)
    assert (await image_of(image_id)).version == 2


async def test_an_old_version_waits_for_its_turn_at_the_disk(studio: Studio):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    async with contextlib.AsyncExitStack() as busy:
        for _ in range(TURNS):
            await busy.enter_async_context(studio.store.turn())
        waiting = asyncio.create_task(restore(image_id, 1, store=studio.store, actor=EDITOR))
        await change(image_id, caption="nobody holds the gallery meanwhile")
        await asyncio.sleep(0.2)
        assert not waiting.done()
    assert await waiting


async def test_of_restores_at_once_one_is_done(studio: Studio):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    tries = (restore(image_id, 1, store=studio.store, actor=EDITOR) for _ in range(5))
    assert sorted(await asyncio.gather(*tries)) == [False] * 4 + [True]
    assert (await image_of(image_id)).version == 3


async def test_lost_or_damaged_bytes_do_not_come_back(studio: Studio):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    path = studio.store.path_of(original(image_id, 1))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Gone, match="damaged"):
        await restore(image_id, 1, store=studio.store, actor=EDITOR)
    path.unlink()
    with pytest.raises(Gone):
        await restore(image_id, 1, store=studio.store, actor=EDITOR)
    assert (await image_of(image_id)).version == 2
    assert original(image_id, 3) not in objects(studio)


async def test_a_deleted_picture_takes_all_its_versions_along(studio: Studio, config: Settings):
    ref = await make_entity()
    first, second = await studio.add(ref), await studio.add(ref)
    for image_id in (first, second):
        await studio.replace(image_id)
        await studio.replace(image_id, samples.png(), filename="x.png", allow_duplicate=True, ready=False)
    await delete_image(first, actor=SYSTEM, deletes_per_hour=0)
    await assert_sound(studio, config)
    assert not [key for key in objects(studio) if str(first) in key]
    await delete_entity(ref, actor=SYSTEM, deletes_per_hour=0)
    await assert_sound(studio, config)
    assert objects(studio) == set()


@pytest.mark.parametrize("name", ["original", "card"])
async def test_fsck_finds_what_an_old_version_has_lost(studio: Studio, name: str):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    key = original(image_id, 1)
    if name == "card":
        (key,) = (key for key in objects(studio) if key.endswith("-v1.1-card.jpg"))
    data = await studio.store.read(key)
    await studio.store.put(key, data[:-1] + b"x")
    found = [each async for each in fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))]
    kind = "checksum_mismatch" if name == "original" else "wrong_rendition"
    assert [(each.kind, each.key, each.image_id) for each in found] == [(kind, key, str(image_id))]


async def test_edits_reach_every_rendition_and_the_original_never_changes(studio: Studio, config: Settings):
    data = samples.jpeg(640, 480)
    image_id = await studio.add(await make_entity(), data)
    before = await image_of(image_id)
    await change(image_id, edits={"rotate": 90, "crop": {"x": 0.5, "y": 0, "width": 0.5, "height": 1}})
    waiting = await image_of(image_id)
    assert (waiting.renditions, waiting.edits["rotate"]) == (before.renditions, 90)
    await render(studio, image_id)
    after = await image_of(image_id)
    optimized = after.renditions["optimized"]
    assert (optimized.width, optimized.height) == (480, 320)
    assert (after.width, after.height, after.version, after.sha256) == (640, 480, 1, before.sha256)
    assert optimized.url.endswith("v=1.2")
    assert after.placeholder != before.placeholder
    assert await studio.store.read(original(image_id, 1)) == data
    await change(image_id, edits=None)
    await render(studio, image_id)
    back = await image_of(image_id)
    assert (back.edits, back.renditions["optimized"].width) == ({}, 640)
    assert [each.bytes for each in back.renditions.values()] == [each.bytes for each in before.renditions.values()]
    await assert_sound(studio, config)


async def test_equal_edits_are_no_change(studio: Studio):
    image_id = await studio.add(await make_entity())
    await change(image_id, edits={"rotate": 180})
    revision = (await image_of(image_id)).revision
    await change(image_id, edits={"rotate": 180, "flip": None})
    assert (await image_of(image_id)).revision == revision


async def test_a_crop_of_nearly_nothing_is_refused(studio: Studio):
    image_id = await studio.add(await make_entity(), samples.jpeg(640, 480))
    with pytest.raises(FormError, match="Leave at least 16 × 16"):
        await change(image_id, edits={"crop": {"x": 0, "y": 0, "width": 0.01, "height": 1}})


async def test_quick_turns_at_once_add_up(studio: Studio):
    image_id = await studio.add(await make_entity())
    turns = (edit_image(image_id, lambda edits: edits.turned("right"), actor=EDITOR) for _ in range(3))
    await asyncio.gather(*turns)
    assert (await image_of(image_id)).edits == {"rotate": 270}
