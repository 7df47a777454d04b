"""Many pictures at once: an outcome for each, galleries that stay sound, what somebody did taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.audit.service import request_id
from portal.entities.kinds import EntityRef
from portal.errors import Conflict, Forbidden, FormError, NotFound
from portal.gallery import batch_undo
from portal.gallery.batch import Outcome
from portal.gallery.batch_forms import read_batch
from portal.gallery.batch_work import Bench, run_batch, take_back
from portal.gallery.disposal import delete_image, restore_image, trash_image
from portal.gallery.forms import MAX_TAGS
from portal.gallery.pins import pin_invoice
from portal.gallery.queries import gallery_of
from portal.gallery.service import change_image
from portal.settings import Settings
from tests.factories import EDITOR, Studio, make_entity
from tests.versioning import LINKS, assert_sound, change, image_of

ADMIN = Actor("user:ada@example.com", "admin")


@pytest.fixture
def bench(studio: Studio, config: Settings) -> Bench:
    return Bench(config.replace(free_space_bytes=0), studio.store, EDITOR)


async def ask(bench: Bench, action: str, ids: Sequence[UUID], **more: Any) -> list[Outcome]:
    return await run_batch(*read_batch({"ids": [str(each) for each in ids], "action": action, **more}), bench)


async def ask_in_a_request(bench: Bench, action: str, ids: Sequence[UUID], **more: Any) -> str:
    mark = request_id.set(uuid4().hex[:16])
    try:
        await ask(bench, action, ids, **more)
        return request_id.get() or ""
    finally:
        request_id.reset(mark)


def codes(outcomes: Sequence[Outcome]) -> list[str]:
    return [each.error.code if each.error else "done" for each in outcomes]


async def shown(ref: EntityRef) -> list[tuple[UUID, bool]]:
    images = (await gallery_of(ref, links=LINKS)).items
    assert [image.sort_order for image in images] == list(range(len(images)))
    return [(UUID(image.id), image.is_primary) for image in images]


async def gallery(studio: Studio, count: int, type: str = "inventory_items") -> tuple[EntityRef, list[UUID]]:
    ref = await make_entity(type)
    return ref, [await studio.add(ref, ready=False) for _ in range(count)]


async def test_tags_are_added_once_taken_off_and_never_too_many(bench: Bench, studio: Studio):
    _, [first, second, full] = await gallery(studio, 3)
    await change(first, tags=["front", "blue"])
    await change(full, tags=[f"t{n}" for n in range(MAX_TAGS)])
    assert codes(await ask(bench, "tag", [first, second, full], tags=["blue", "studio"])) == [
        "done",
        "done",
        "bad_field",
    ]
    assert (await image_of(first)).tags == ["front", "blue", "studio"]
    assert (await image_of(second)).tags == ["blue", "studio"]
    before = (await image_of(second)).revision
    assert codes(await ask(bench, "tag", [second], tags=["blue"])) == ["done"]
    assert (await image_of(second)).revision == before
    await ask(bench, "untag", [first, second], tags=["blue"])
    assert [(await image_of(each)).tags for each in (first, second)] == [["front", "studio"], ["studio"]]
    assert (
        await database.fetch_value(
            "SELECT count(*) FROM audit WHERE action = 'image.describe' AND actor = $1", EDITOR.name
        )
        == 6
    )


async def test_alt_texts_are_written_to_all_to_some_or_only_where_none_is(bench: Bench, studio: Studio):
    _, [first, second, third] = await gallery(studio, 3)
    await change(first, alt_text="A mug")
    await ask(
        bench, "describe", [first, second, third], alt_text="Mugs", texts={str(third): "A bowl"}, only_missing=True
    )
    assert [(await image_of(each)).alt_text for each in (first, second, third)] == ["A mug", "Mugs", "A bowl"]
    await ask(bench, "describe", [first, second], decorative=True, alt_text=None)
    assert [((await image_of(each)).alt_text, (await image_of(each)).decorative) for each in (first, second)] == [
        (None, True)
    ] * 2


async def test_trash_takes_many_out_and_restore_puts_each_back_in_its_place(
    bench: Bench, studio: Studio, config: Settings
):
    ref, ids = await gallery(studio, 5)
    before = await shown(ref)
    gone = [ids[3], ids[0], ids[1]]
    assert codes(await ask(bench, "trash", [*gone, uuid4()])) == ["done", "done", "done", "not_found"]
    assert await shown(ref) == [(ids[2], True), (ids[4], False)]
    assert codes(await ask(bench, "trash", gone)) == ["done"] * 3
    assert codes(await ask(bench, "restore", gone)) == ["done"] * 3
    assert await shown(ref) == before
    for each in gone:
        assert codes(await ask(bench, "trash", [each])) == ["done"]
    for each in reversed(gone):
        await restore_image(each, actor=SYSTEM)
    assert await shown(ref) == before
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'image.trash'") == 6
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'image.restore'") == 6


async def test_what_is_thrown_away_in_bulk_comes_back_alone_too(bench: Bench, studio: Studio):
    ref, ids = await gallery(studio, 4)
    await ask(bench, "trash", ids[:3])
    await restore_image(ids[2], actor=SYSTEM)
    await restore_image(ids[0], actor=SYSTEM)
    assert [each for each, _ in await shown(ref)] == [ids[0], ids[3], ids[2]]


async def test_an_editor_stays_within_the_hour_and_deletes_nothing_for_good(
    bench: Bench, studio: Studio, config: Settings
):
    _, ids = await gallery(studio, 3)
    few = Bench(config.replace(deletes_per_hour=2), studio.store, EDITOR)
    assert codes(await ask(few, "trash", ids)) == ["rate_limited"] * 3
    assert codes(await ask(few, "trash", ids[:2])) == ["done"] * 2
    with pytest.raises(Forbidden):
        await ask(few, "delete", ids)
    admin = Bench(config.replace(deletes_per_hour=2), studio.store, ADMIN)
    assert codes(await ask(admin, "delete", ids)) == ["done"] * 3
    assert codes(await ask(admin, "delete", ids)) == ["not_found"] * 3


async def test_pinned_pictures_stay_and_the_others_are_deleted_with_their_bytes(studio: Studio, config: Settings):
    ref = await make_entity("invoices")
    ids = [await studio.add(ref) for _ in range(2)]
    await pin_invoice(ref, actor=SYSTEM)
    late = await studio.add(ref)
    admin = Bench(config, studio.store, ADMIN)
    assert codes(await ask(admin, "delete", [*ids, late])) == ["pinned", "pinned", "done"]
    assert [each for each, _ in await shown(ref)] == ids
    assert codes(await ask(admin, "delete", ids, force=True)) == ["done", "done"]
    await assert_sound(studio, config)


async def test_rerender_wants_each_anew_and_queues_it(bench: Bench, studio: Studio):
    ref = await make_entity()
    ids = [await studio.add(ref) for _ in range(2)]
    assert codes(await ask(bench, "rerender", ids)) == ["done", "done"]
    assert [row["rendering"] for row in await database.fetch("SELECT rendering FROM image ORDER BY id")] == [2, 2]
    waiting = await database.fetch_value("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'render' AND priority < 0")
    assert waiting == 2


async def test_pictures_of_several_galleries_have_their_outcomes_in_the_order_asked(bench: Bench, studio: Studio):
    (one, [a, b]), (other, [c]) = await gallery(studio, 2), await gallery(studio, 1)
    outcomes = await ask(bench, "trash", [c, a, c, b])
    assert [each.image_id for each in outcomes] == [c, a, b]
    assert await shown(one) == await shown(other) == []


async def test_what_a_request_did_is_undone_once_and_by_nobody_else(bench: Bench, studio: Studio, config: Settings):
    ref, ids = await gallery(studio, 3)
    before = await shown(ref)
    done = await ask_in_a_request(bench, "trash", ids[:2])
    with pytest.raises(NotFound):
        await take_back(done, Bench(config, studio.store, ADMIN))
    for _ in range(2):
        undone = await take_back(done, bench)
        assert undone.gallery == ref
        assert await shown(ref) == before
    with pytest.raises(NotFound):
        await take_back("0" * 16, bench)


async def test_undo_leaves_what_is_gone_and_what_somebody_threw_away_since(bench: Bench, studio: Studio):
    ref, ids = await gallery(studio, 4)
    done = await ask_in_a_request(bench, "trash", ids[:3])
    await delete_image(ids[0], actor=ADMIN, deletes_per_hour=0)
    assert codes((await take_back(done, bench)).outcomes) == ["not_found", "done", "done"]
    await trash_image(ids[1], actor=ADMIN, deletes_per_hour=0)
    undone = await take_back(done, bench)
    assert (undone.gallery, codes(undone.outcomes)) == (ref, ["not_found", "stale", "done"])
    assert {each for each, _ in await shown(ref)} == set(ids[2:])


async def test_what_changed_too_many_is_not_taken_back_at_once(
    bench: Bench, studio: Studio, monkeypatch: pytest.MonkeyPatch
):
    _, ids = await gallery(studio, 2)
    monkeypatch.setattr(batch_undo, "MOST", 1)
    done = await ask_in_a_request(bench, "tag", ids, tags=["front"])
    with pytest.raises(Conflict):
        await take_back(done, bench)


async def test_undo_takes_words_back_but_not_what_somebody_wrote_since(bench: Bench, studio: Studio):
    _, [first, second] = await gallery(studio, 2)
    await change(first, tags=["blue"], alt_text="A mug")
    done = await ask_in_a_request(bench, "tag", [first, second], tags=["front"])
    await change(second, tags=["front", "mine"])
    assert codes((await take_back(done, bench)).outcomes) == ["done", "stale"]
    assert [(await image_of(each)).tags for each in (first, second)] == [["blue"], ["front", "mine"]]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"action": "tag", "tags": ["a"]}, "ids"),
        ({"action": "tag", "ids": [], "tags": ["a"]}, "ids"),
        ({"action": "tag", "ids": ["no"], "tags": ["a"]}, "ids"),
        ({"action": "tag", "ids": [str(uuid4())] * 1001, "tags": ["a"]}, "ids"),
        ({"action": "burn", "ids": [str(uuid4())]}, "action"),
        ({"action": ["tag"], "ids": [str(uuid4())]}, "action"),
        ({"action": "tag", "ids": [str(uuid4())], "tags": []}, "tags"),
        ({"action": "tag", "ids": [str(uuid4())], "tags": "a"}, "tags"),
        ({"action": "trash", "ids": [str(uuid4())], "tags": ["a"]}, "tags"),
        ({"action": "move", "ids": [str(uuid4())]}, "entity_id"),
        ({"action": "move", "ids": [str(uuid4())], "entity_type": "mugs", "entity_id": "1"}, "entity_id"),
        ({"action": "describe", "ids": [str(uuid4())]}, "alt_text"),
        ({"action": "describe", "ids": [str(uuid4())], "alt_text": "x" * 501}, "alt_text"),
        ({"action": "describe", "ids": [str(uuid4())], "texts": {"no": "x"}}, "ids"),
        ({"action": "delete", "ids": [str(uuid4())], "force": 1}, "force"),
    ],
)
def test_what_cannot_be_asked_is_said_by_its_field(sent: dict[str, Any], field: str):
    with pytest.raises(FormError) as caught:
        read_batch(sent)
    assert field in caught.value.errors


async def test_a_gallery_that_is_all_in_the_trash_has_no_primary(bench: Bench, studio: Studio):
    ref, ids = await gallery(studio, 2)
    await ask(bench, "trash", ids)
    assert await database.fetch_value("SELECT count(*) FROM image WHERE is_primary") == 0
    await trash_image(ids[0], actor=SYSTEM, deletes_per_hour=0)
    await ask(bench, "restore", ids[1:])
    assert await shown(ref) == [(ids[1], True)]
    await change_image(ids[1], {"caption": "back"}, actor=SYSTEM)
