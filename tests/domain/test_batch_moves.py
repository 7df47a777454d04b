"""Pictures that go to another entity, or are copied there: bytes safe, galleries sound, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.entities.kinds import EntityRef
from portal.errors import NoSuchEntity
from portal.gallery.batch_work import Bench, take_back
from portal.gallery.disposal import delete_entity, delete_image, trash_image
from portal.gallery.pins import find_pin, pin_invoice
from portal.gallery.places import lock_gallery, lock_gallery_of
from portal.gallery.renditions import render_all
from portal.gallery.service import edit_image
from portal.gallery.tasks import purge_objects
from portal.gallery.versions import versions_of
from portal.imaging.edits import Edits
from portal.settings import Settings, UploadRules
from portal.storage.keys import parse_key
from portal.storage.store import Store
from tests import samples
from tests.domain.test_batch import ask, ask_in_a_request, codes, shown
from tests.factories import EDITOR, Studio, make_entity
from tests.locks import how_many_wait, somebody_waits
from tests.versioning import LINKS, assert_sound, change, image_of, objects, render, restore
from tests.waiting import eventually


@pytest.fixture
def bench(studio: Studio, config: Settings) -> Bench:
    return Bench(config.replace(free_space_bytes=0), studio.store, EDITOR)


def to(ref: EntityRef) -> dict[str, str]:
    return {"entity_type": ref.type, "entity_id": ref.id}


async def ready(studio: Studio, ref: EntityRef, count: int = 1) -> list[UUID]:
    return [await studio.add(ref) for _ in range(count)]


def types_of(studio: Studio, image_id: UUID) -> set[str]:
    parsed = [parse_key(key) for key in objects(studio)]
    return {each.entity_type for each in parsed if each is not None and each.image_id == image_id}


async def test_pictures_move_within_their_type_without_their_bytes(bench: Bench, studio: Studio, config: Settings):
    one, other = await make_entity(), await make_entity()
    ids, there = await ready(studio, one, 3), await ready(studio, other)
    before = objects(studio)
    assert codes(await ask(bench, "move", [ids[2], ids[0]], **to(other))) == ["done", "done"]
    assert await shown(one) == [(ids[1], True)]
    assert await shown(other) == [(there[0], True), (ids[2], False), (ids[0], False)]
    assert objects(studio) == before
    assert codes(await ask(bench, "move", [ids[0]], **to(other))) == ["done"]
    await assert_sound(studio, config)


async def test_to_another_type_all_that_a_picture_owns_goes_along(bench: Bench, studio: Studio, config: Settings):
    item, customer = await make_entity(), await make_entity("customers")
    [image_id, stays] = await ready(studio, item, 2)
    await studio.replace(image_id)
    await change(image_id, alt_text="A mug", focal_point={"x": 0.2, "y": 0.2})
    await render(studio, image_id)
    await purge_objects({}, store=studio.store)
    before, all_before = await image_of(image_id), len(objects(studio))
    assert codes(await ask(bench, "move", [image_id], **to(customer))) == ["done"]
    after = await image_of(image_id)
    assert (after.entity, after.is_primary, after.status) == (customer, True, "ready")
    assert (after.sha256, after.version, after.alt_text) == (before.sha256, before.version, before.alt_text)
    assert await shown(item) == [(stays, True)]
    await purge_objects({}, store=studio.store)
    assert types_of(studio, image_id) == {"customers"}
    assert len(objects(studio)) == all_before
    await assert_sound(studio, config)
    assert await restore(image_id, 1, store=studio.store, actor=EDITOR)
    await render(studio, image_id)
    assert len((await versions_of(image_id, links=LINKS)).items) == 3
    await assert_sound(studio, config)


async def test_what_comes_back_before_its_old_names_are_cleared_keeps_its_bytes(
    bench: Bench, studio: Studio, config: Settings
):
    item, customer = await make_entity(), await make_entity("customers")
    ids = await ready(studio, item, 3)
    before = await shown(item)
    done = await ask_in_a_request(bench, "move", [ids[0], ids[2]], **to(customer))
    undone = await take_back(done, bench)
    assert (undone.gallery, codes(undone.outcomes)) == (item, ["done", "done"])
    assert await shown(item) == before
    assert await shown(customer) == []
    await assert_sound(studio, config)
    assert types_of(studio, ids[0]) == {"inventory_items"}


class Slow(Store):
    """Is told when it may remove anything."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def delete(self, keys: Iterable[str]) -> int:
        self.asked.set()
        await self.may.wait()
        return await super().delete(keys)


async def test_what_comes_back_while_its_old_names_are_just_cleared_keeps_its_bytes(
    bench: Bench, studio: Studio, config: Settings
):
    item, customer = await make_entity(), await make_entity("customers")
    [image_id] = await ready(studio, item)
    done, store = await ask_in_a_request(bench, "move", [image_id], **to(customer)), Slow(studio.store.root)
    purge = asyncio.create_task(purge_objects({}, store=store))
    await store.asked.wait()
    undo = asyncio.create_task(take_back(done, bench))
    await eventually(lambda: undo.done() or somebody_waits())
    store.may.set()
    assert codes((await undo).outcomes) == ["done"]
    await purge
    await assert_sound(studio, config)
    assert types_of(studio, image_id) == {"inventory_items"}


async def test_undo_leaves_what_went_on_to_a_third_gallery(bench: Bench, studio: Studio):
    one, other, third = await make_entity(), await make_entity(), await make_entity()
    ids = await ready(studio, one, 2)
    done = await ask_in_a_request(bench, "move", ids, **to(other))
    await ask(bench, "move", ids[:1], **to(third))
    assert sorted(codes((await take_back(done, bench)).outcomes)) == ["done", "stale"]
    assert await shown(third) == [(ids[0], True)]
    assert await shown(one) == [(ids[1], True)]


class Interrupted(Store):
    """Something else is done between the bytes of a rendering and their row."""

    def __init__(self, root: Path, between: Callable[[], Awaitable[object]]) -> None:
        super().__init__(root)
        self.between = between

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        await super().put_many(items)
        await self.between()


async def test_a_rendering_under_way_does_not_end_under_the_old_name(bench: Bench, studio: Studio, config: Settings):
    item, customer = await make_entity(), await make_entity("customers")
    image_id = await studio.add(item, ready=False)
    store = Interrupted(studio.store.root, lambda: ask(bench, "move", [image_id], **to(customer)))
    await render_all(image_id, store=store, pool=studio.pool)
    assert (await image_of(image_id)).renditions == {}
    await render(studio, image_id)
    assert (await image_of(image_id)).status == "ready"
    await purge_objects({}, store=studio.store)
    assert types_of(studio, image_id) == {"customers"}
    await database.execute("DELETE FROM pgqueuer")
    await assert_sound(studio, config)


async def test_a_late_second_run_of_a_rendering_leaves_nothing_under_the_old_name(
    bench: Bench, studio: Studio, config: Settings
):
    item, customer = await make_entity(), await make_entity("customers")
    image_id = await studio.add(item, ready=False)

    async def ready_and_gone() -> None:
        await render(studio, image_id)
        await ask(bench, "move", [image_id], **to(customer))
        await purge_objects({}, store=studio.store)

    await render_all(image_id, store=Interrupted(studio.store.root, ready_and_gone), pool=studio.pool)
    await assert_sound(studio, config)
    assert types_of(studio, image_id) == {"customers"}
    assert (await image_of(image_id)).status == "ready"


async def test_a_rendering_that_ends_just_as_its_picture_moves_leaves_nothing(
    bench: Bench, studio: Studio, config: Settings
):
    item, customer = await make_entity(), await make_entity("customers")
    image_id = await studio.add(item, ready=False)
    is_rendered, is_moved, may_end, may_commit = (asyncio.Event() for _ in range(4))

    async def move() -> None:
        await is_rendered.wait()
        async with database.transaction():
            await ask(bench, "move", [image_id], **to(customer))
            is_moved.set()
            await may_commit.wait()

    async def hold(gallery: EntityRef, is_held: asyncio.Event, is_over: asyncio.Event) -> None:
        await is_moved.wait()
        async with database.transaction():
            await lock_gallery(gallery)
            is_held.set()
            await is_over.wait()

    async def until_all_wait() -> None:
        is_rendered.set()
        await may_end.wait()

    async def waits(for_locks: int) -> bool:
        return await how_many_wait() >= for_locks

    has_old, has_new, leaves_old, leaves_new = (asyncio.Event() for _ in range(4))
    store = Interrupted(studio.store.root, until_all_wait)
    rendering = asyncio.create_task(render_all(image_id, store=store, pool=studio.pool))
    steps = [move(), hold(item, has_old, leaves_old), hold(customer, has_new, leaves_new)]
    others = [asyncio.create_task(each) for each in steps]
    await eventually(lambda: waits(2))
    may_end.set()
    await eventually(lambda: waits(3))  # the rendering comes after who waits for the old gallery
    may_commit.set()
    await asyncio.gather(has_old.wait(), has_new.wait())
    leaves_old.set()
    await eventually(lambda: rendering.done() or waits(1))
    leaves_new.set()
    await asyncio.gather(rendering, *others)
    await render(studio, image_id)
    await database.execute("DELETE FROM pgqueuer")
    await assert_sound(studio, config)


async def test_new_edits_wanted_before_a_move_are_rendered_after_it(bench: Bench, studio: Studio, config: Settings):
    item, customer = await make_entity(), await make_entity("customers")
    [image_id] = await ready(studio, item)
    await edit_image(image_id, lambda edits: Edits(rotate=90), actor=EDITOR)
    await ask(bench, "move", [image_id], **to(customer))
    await render(studio, image_id)
    image = await image_of(image_id)
    assert (image.status, image.renditions["card"].url.partition("&v=")[2][:3]) == ("ready", "1.3")
    await database.execute("DELETE FROM pgqueuer WHERE entrypoint = 'render'")
    await assert_sound(studio, config)


async def test_a_pinned_invoice_keeps_its_pictures_wherever_they_go(bench: Bench, studio: Studio, config: Settings):
    invoice, item = await make_entity("invoices"), await make_entity()
    [image_id] = await ready(studio, invoice)
    await pin_invoice(invoice, actor=SYSTEM)
    await edit_image(image_id, lambda edits: Edits(rotate=90), actor=EDITOR)
    await render(studio, image_id)
    await ask(bench, "move", [image_id], **to(item))
    pin = await find_pin(invoice, LINKS)
    assert pin is not None
    assert [each.image.id for each in pin.pictures] == [str(image_id)]
    await purge_objects({}, store=studio.store)
    assert types_of(studio, image_id) == {"inventory_items"}
    await assert_sound(studio, config)


async def test_refused_are_duplicates_the_trash_and_what_that_type_does_not_take(
    bench: Bench, studio: Studio, config: Settings
):
    item, other, customer = await make_entity(), await make_entity(), await make_entity("customers")
    data = samples.jpeg(90, 70)
    same, thrown, fine = await studio.add(item, data), await studio.add(item), await studio.add(item)
    there = await studio.add(other, data)
    await trash_image(thrown, actor=SYSTEM, deletes_per_hour=0)
    outcomes = await ask(bench, "move", [same, thrown, fine], **to(other))
    assert codes(outcomes) == ["duplicate", "conflict", "done"]
    assert outcomes[0].error is not None
    assert outcomes[0].error.extra == {"image_id": str(there)}
    assert codes(await ask(bench, "copy", [same, thrown], **to(other))) == ["duplicate", "conflict"]
    assert codes(await ask(bench, "move", [same], allow_duplicate=True, **to(other))) == ["done"]
    small = config.replace(uploads_by_type={"customers": UploadRules(max_bytes=10)})
    refused = await ask(Bench(small, studio.store, EDITOR), "move", [fine], **to(customer))
    assert codes(refused) == ["too_large"]
    with pytest.raises(NoSuchEntity):
        await ask(bench, "move", [fine], entity_type="customers", entity_id="nobody")
    await assert_sound(studio, config)


async def test_damaged_bytes_do_not_move_and_are_not_copied(bench: Bench, studio: Studio):
    item, customer = await make_entity(), await make_entity("customers")
    damaged, sound, lost = await ready(studio, item, 3)
    await studio.store.put(f"inventory_items/{damaged.hex[-2:]}/{damaged}-v1.jpg", b"not the picture")
    await studio.store.delete([f"inventory_items/{lost.hex[-2:]}/{lost}-v1.jpg"])
    before = objects(studio)
    assert codes(await ask(bench, "move", [damaged, lost], **to(customer))) == ["gone", "gone"]
    assert codes(await ask(bench, "copy", [damaged, lost], **to(customer))) == ["gone", "gone"]
    assert objects(studio) == before
    assert (await image_of(damaged)).entity == item
    assert codes(await ask(bench, "move", [damaged, sound], **to(customer))) == ["gone", "done"]


async def test_a_copy_is_a_picture_of_its_own_with_the_same_words(bench: Bench, studio: Studio, config: Settings):
    item, customer = await make_entity(), await make_entity("customers")
    ids = await ready(studio, item, 2)
    await change(ids[1], alt_text="A mug", tags=["front"], edits={"rotate": 90}, caption="Blue")
    done = await ask(bench, "copy", ids, **to(customer))
    assert codes(done) == ["done", "done"]
    made = [each.made for each in done if each.made]
    assert await shown(customer) == [(made[0], True), (made[1], False)]
    for each in (*made, ids[1]):
        await render(studio, each)
    copy, source = await image_of(made[1]), await image_of(ids[1])
    assert copy.status == "ready"
    assert (copy.sha256, copy.alt_text, copy.tags, copy.edits) == (source.sha256, "A mug", ["front"], source.edits)
    assert (copy.version, copy.uploaded_by, copy.filename) == (1, EDITOR.name, source.filename)
    await delete_image(ids[1], actor=SYSTEM, deletes_per_hour=0)
    await database.execute("DELETE FROM pgqueuer WHERE entrypoint = 'render'")
    await assert_sound(studio, config)
    assert await studio.store.size(f"customers/{made[1].hex[-2:]}/{made[1]}-v1.jpg") == copy.bytes


async def test_copies_are_undone_into_the_trash_but_for_those_that_were_changed(bench: Bench, studio: Studio):
    item, other = await make_entity(), await make_entity()
    ids = await ready(studio, item, 3)
    done = await ask_in_a_request(bench, "copy", ids, **to(other))
    kept, _ = (await shown(other))[1]
    await change(kept, caption="Mine")
    undone = await take_back(done, bench)
    assert undone.gallery == item
    assert sorted(codes(undone.outcomes)) == ["done", "done", "stale"]
    assert await shown(other) == [(kept, True)]
    assert [each for each, _ in await shown(item)] == ids


async def test_what_a_deleted_gallery_had_stays_where_it_was_moved_to(bench: Bench, studio: Studio):
    one, two, other = await make_entity(), await make_entity(), await make_entity()
    [gone], [back] = await ready(studio, one), await ready(studio, two)
    done = await ask_in_a_request(bench, "move", [gone, back], **to(other))
    await delete_entity(one, actor=SYSTEM, deletes_per_hour=0)
    undone = await take_back(done, bench)
    assert (undone.gallery, codes(undone.outcomes)) == (two, ["no_such_entity", "done"])
    assert (await shown(other), await shown(two)) == ([(gone, True)], [(back, True)])


async def test_moves_against_each_other_and_against_changes_end_well(bench: Bench, studio: Studio, config: Settings):
    refs = [await make_entity("inventory_items" if n < 2 else "customers") for n in range(3)]
    ids = await ready(studio, refs[0], 3)

    async def wander(image_id: UUID, path: Sequence[EntityRef]) -> None:
        for ref in path:
            await ask(bench, "move", [image_id], allow_duplicate=True, **to(ref))

    async def write(image_id: UUID) -> None:
        for n in range(6):
            async with database.transaction():
                gallery = await lock_gallery_of(image_id)
                owner = await database.fetch_value("SELECT entity FROM image WHERE id = $1", image_id)
                assert owner == gallery.pk
            await change(image_id, caption=f"{n}")

    work = [wander(each, [refs[1], refs[2], refs[0], refs[2]]) for each in ids] + [wander(ids[0], [refs[2], refs[1]])]
    results = await asyncio.gather(*work, *(write(each) for each in ids), return_exceptions=True)
    assert [each for each in results if isinstance(each, BaseException) and "very moment" not in str(each)] == []
    for ref in refs:
        assert sum(primary for _, primary in await shown(ref)) == (1 if await shown(ref) else 0)
    await assert_sound(studio, config)
