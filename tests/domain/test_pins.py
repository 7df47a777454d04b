"""An invoice keeps to the pictures that it was pinned to: what that holds, what it refuses, and what goes when it ends."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.embed.shown import shown_of
from portal.entities.forms import parse_entity
from portal.entities.kinds import EntityRef
from portal.entities.service import put_entity
from portal.errors import Conflict, Forbidden, NoSuchEntity, NotFound, Pinned, RateLimited
from portal.gallery.disposal import KEPT, delete_entity, delete_image, trash_image
from portal.gallery.forms import read_metadata
from portal.gallery.pins import PinView, find_pin, find_pin_line, pin_at_first_opening, pin_invoice, unpin_invoice
from portal.gallery.renditions import render_all
from portal.gallery.service import change_image, reorder_gallery
from portal.gallery.tasks import purge_objects
from portal.gallery.versions import versions_of
from portal.integrity.fsck import fsck
from portal.maintenance.cleanup import clean_up
from portal.settings import Settings
from portal.storage.keys import original_key, rendition_key
from portal.storage.links import Links
from tests.factories import EDITOR, Studio, make_entity

LINKS = Links((b"k" * 32,), frozenset({"invoices", "customers"}))
ADMIN = Actor("user:ada@example.com", "admin")
_numbers = itertools.count(1)


async def make_invoice(*items: str | None, id: str | None = None) -> EntityRef:
    ref = EntityRef("invoices", id or f"R-{next(_numbers)}")
    lines = [{"item": item, "description": "Something", "quantity": 1} for item in items]
    await put_entity(ref, parse_entity(ref, {"name": f"Invoice {ref.id}", "lines": lines}), SYSTEM)
    return ref


async def pin_of(ref: EntityRef) -> PinView:
    found = await find_pin(ref, LINKS)
    assert found is not None
    return found


async def shows(ref: EntityRef) -> list[tuple[str | None, str, str]]:
    """Item, picture and rendition of each pinned picture."""
    return [
        (each.item, each.image.id, each.image.renditions["card"].url.partition("&v=")[2].partition("&")[0])
        for each in (await pin_of(ref)).pictures
    ]


async def edit(studio: Studio, image_id: UUID, **fields: Any) -> None:
    await change_image(image_id, read_metadata(fields), actor=EDITOR)
    await render_all(image_id, store=studio.store, pool=studio.pool)


async def unpin(ref: EntityRef, actor: Actor = EDITOR, deletes_per_hour: int = 500) -> None:
    await unpin_invoice(ref, actor=actor, deletes_per_hour=deletes_per_hour)


async def findings(studio: Studio) -> list[tuple[str, str | None]]:
    await purge_objects({}, store=studio.store)
    return [(each.kind, each.key) async for each in fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))]


def objects(studio: Studio) -> set[str]:
    return {entry.key for entry in studio.store.walk()}


async def audited(action: str) -> Sequence[Any]:
    return await database.fetch(
        """SELECT actor, subject_id, before, after FROM audit LEFT JOIN audit_change ON audit = audit.pk
           WHERE action = $1 ORDER BY audit.pk""",
        action,
    )


async def test_a_pin_keeps_bytes_order_and_choice_while_galleries_move_on(studio: Studio):
    item = await make_entity()
    front = await studio.add(item)
    invoice = await make_invoice(item.id, None, item.id)
    first, second = await studio.add(invoice), await studio.add(invoice)
    assert await pin_invoice(invoice, actor=EDITOR)
    pinned = [(None, str(first), "1.1"), (None, str(second), "1.1"), (item.id, str(front), "1.1")]
    assert await shows(invoice) == pinned
    before = (await pin_of(invoice)).pictures[2].image

    await studio.replace(front)
    await edit(studio, front, edits={"rotate": 90})
    await edit(studio, second, focal_point={"x": 0.1, "y": 0.1}, alt_text="A stain")
    other = await studio.add(item)
    await change_image(other, {"is_primary": True}, actor=EDITOR)
    await reorder_gallery(invoice, [second, first], actor=EDITOR)
    await trash_image(front, actor=EDITOR, deletes_per_hour=500)

    assert await shows(invoice) == pinned
    now = (await pin_of(invoice)).pictures
    assert now[1].image.alt_text == "A stain"  # words are about the picture, and stay live
    frozen = ("filename", "sha256", "width", "height", "edits", "placeholder", "version", "renditions")
    assert [getattr(now[2].image, name) for name in frozen] == [getattr(before, name) for name in frozen]
    assert now[1].image.placeholder is None  # of another cut by now
    assert (now[2].image.status, now[2].image.trashed_at) == ("ready", None)
    assert await findings(studio) == []


async def test_a_second_pin_changes_nothing_and_two_at_once_make_one(studio: Studio):
    item = await make_entity()
    image_id = await studio.add(item)
    invoice = await make_invoice(item.id)
    made = await asyncio.gather(*(pin_invoice(invoice, actor=EDITOR) for _ in range(6)))
    assert sorted(made) == [False] * 5 + [True]
    await studio.replace(image_id)
    assert not await pin_invoice(invoice, actor=ADMIN)
    assert await shows(invoice) == [(item.id, str(image_id), "1.1")]
    (line,) = await audited("invoice.pin")
    assert (line["actor"], line["subject_id"]) == (EDITOR.name, str(invoice))
    assert json.loads(line["after"])["pictures"] == [{"image": str(image_id), "item": item.id, "of": "1.1"}]


async def test_what_is_not_there_yet_or_not_at_all_is_not_pinned(studio: Studio):
    item = await make_entity()
    invoice = await make_invoice(item.id)
    with pytest.raises(Conflict, match="no picture"):
        await pin_invoice(invoice, actor=EDITOR)
    image_id = await studio.add(item, ready=False)
    with pytest.raises(Conflict, match="1 picture is still being rendered"):
        await pin_invoice(invoice, actor=EDITOR)
    await render_all(image_id, store=studio.store, pool=studio.pool)
    await studio.replace(image_id, ready=False)
    await pin_at_first_opening(invoice)  # harmless: the next opening does it
    assert await find_pin_line(invoice) is None
    await render_all(image_id, store=studio.store, pool=studio.pool)
    await pin_at_first_opening(invoice)
    line = await find_pin_line(invoice)
    assert line is not None
    assert (line.is_automatic, line.by, line.pictures) == (True, "system", 1)
    assert await shows(invoice) == [(item.id, str(image_id), "2.1")]
    with pytest.raises(NotFound, match="Only invoices"):
        await pin_invoice(item, actor=EDITOR)
    with pytest.raises(NoSuchEntity):
        await pin_invoice(EntityRef("invoices", "none"), actor=EDITOR)
    await pin_at_first_opening(EntityRef("invoices", "none"))


async def test_lines_of_its_items_stay_as_they_were_and_new_ones_are_live(studio: Studio):
    full, empty, later = await make_entity(), await make_entity(), await make_entity()
    image_id = await studio.add(full)
    invoice = await make_invoice(full.id, empty.id, "UNKNOWN")
    own = await studio.add(invoice)
    await pin_invoice(invoice, actor=EDITOR)
    for item in (empty, later):
        await studio.add(item)
    await studio.add(await make_entity(id="UNKNOWN"))
    await studio.add(invoice)
    await studio.replace(image_id)
    await make_invoice(full.id, empty.id, "UNKNOWN", later.id, full.id, id=invoice.id)
    shown = await shown_of(invoice, links=LINKS)
    assert shown.pinned_at is not None
    assert [image.id for image in shown.images] == [str(own)]
    assert (shown.entity.image_count, shown.entity.primary and shown.entity.primary.id) == (1, str(own))
    pictures = [line.picture for line in shown.entity.lines]
    assert [picture is not None for picture in pictures] == [True, False, False, True, True]
    assert pictures[0] == pictures[4]
    assert pictures[0] is not None
    assert pictures[3] is not None
    assert (
        "v=1.1&exp=" in pictures[0].renditions["card"].url
    )  # signed, though everybody may see the item's pictures of now
    assert "sig" not in pictures[3].renditions["card"].url
    assert (await shown_of(invoice, links=LINKS, limit=0)).images == []


async def test_when_the_last_pin_goes_what_only_it_held_goes(studio: Studio):
    item = await make_entity()
    image_id = await studio.add(item)
    one, two = await make_invoice(item.id), await make_invoice(item.id)
    for invoice in (one, two):
        await pin_invoice(invoice, actor=EDITOR)
    await edit(studio, image_id, edits={"rotate": 90})
    card = rendition_key("inventory_items", image_id, 1, 1, "card")
    assert await findings(studio) == []
    assert card in objects(studio)
    await unpin(one)
    assert await findings(studio) == []
    assert card in objects(studio)
    await unpin(two)
    assert await findings(studio) == []
    assert not any("-v1.1" in key for key in objects(studio))
    assert original_key("inventory_items", image_id, 1, "jpg") in objects(studio)
    with pytest.raises(NotFound):
        await unpin(two)
    line = (await audited("invoice.unpin"))[-1]
    before = json.loads(line["before"])
    assert (line["actor"], line["subject_id"], before["pinned_by"]) == (EDITOR.name, str(two), EDITOR.name)
    assert before["pictures"] == [{"image": str(image_id), "item": item.id, "of": "1.1"}]


async def test_a_set_that_is_shown_or_an_old_versions_own_outlives_the_pin(studio: Studio):
    item = await make_entity()
    image_id = await studio.add(item)
    invoice = await make_invoice(item.id)
    await pin_invoice(invoice, actor=EDITOR)
    before = objects(studio)
    await unpin(invoice)
    assert await findings(studio) == []
    assert objects(studio) == before
    await pin_invoice(invoice, actor=EDITOR)
    await studio.replace(image_id)
    await unpin(invoice)
    assert await findings(studio) == []
    assert before < objects(studio)


async def test_pinned_versions_are_kept_beyond_the_ten_until_they_are_unpinned(studio: Studio):
    item = await make_entity()
    image_id = await studio.add(item)
    invoice = await make_invoice(item.id)
    await pin_invoice(invoice, actor=EDITOR)
    for _ in range(KEPT + 2):
        await studio.replace(image_id)

    async def kept() -> list[tuple[int, bool]]:
        found = (await versions_of(image_id, links=LINKS)).items
        return [(each.version, each.is_pinned) for each in found if not each.is_current]

    ten = [(version, False) for version in range(KEPT + 2, 2, -1)]
    assert await kept() == [*ten, (1, True)]
    assert await findings(studio) == []
    with pytest.raises(RateLimited):
        await unpin(invoice, deletes_per_hour=0)
    assert await find_pin_line(invoice) is not None
    await unpin(invoice)
    assert await kept() == ten
    assert await findings(studio) == []
    assert not any("-v1." in key for key in objects(studio))
    assert len(await audited("image.drop_version")) == 2


async def test_what_is_pinned_is_not_deleted_and_the_reason_names_the_invoice(studio: Studio):
    item = await make_entity()
    image_id = await studio.add(item)
    invoice = await make_invoice(item.id, id="R-2026-0438")
    own = await studio.add(invoice)
    await pin_invoice(invoice, actor=EDITOR)
    for delete in (
        lambda **how: delete_image(image_id, **how),
        lambda **how: delete_image(own, **how),
        lambda **how: delete_entity(item, **how),
        lambda **how: delete_entity(invoice, **how),
    ):
        with pytest.raises(Pinned, match="pinned on invoice R-2026-0438") as refused:
            await delete(actor=ADMIN, deletes_per_hour=0)
        assert (refused.value.code, refused.value.extra) == ("pinned", {"invoices": ["R-2026-0438"]})
        with pytest.raises(Forbidden):
            await delete(actor=EDITOR, deletes_per_hour=500, force=True)
    assert len(await shows(invoice)) == 2
    assert await findings(studio) == []


async def test_an_admin_deletes_by_force_and_the_invoice_shows_the_rest(studio: Studio):
    item = await make_entity()
    image_id = await studio.add(item)
    invoice = await make_invoice(item.id)
    own = await studio.add(invoice)
    await pin_invoice(invoice, actor=EDITOR)
    await edit(studio, image_id, edits={"rotate": 90})
    await delete_image(image_id, actor=ADMIN, deletes_per_hour=0, force=True)
    assert await shows(invoice) == [(None, str(own), "1.1")]
    assert await findings(studio) == []
    assert not any(str(image_id) in key for key in objects(studio))
    (line,) = await audited("image.delete")
    assert json.loads(line["before"])["pinned_on"] == [invoice.id]
    await delete_entity(invoice, actor=ADMIN, deletes_per_hour=0, force=True)
    assert len(await audited("invoice.unpin")) == 1
    assert await findings(studio) == []
    assert objects(studio) == set()


async def test_with_the_invoice_goes_its_hold_on_items_pictures(studio: Studio):
    item = await make_entity()
    image_id = await studio.add(item)
    invoice = await make_invoice(item.id)
    await pin_invoice(invoice, actor=EDITOR)
    await edit(studio, image_id, edits={"rotate": 90})
    await delete_entity(invoice, actor=EDITOR, deletes_per_hour=500)
    assert await findings(studio) == []
    assert not any("-v1.1" in key for key in objects(studio))
    assert len(await audited("invoice.unpin")) == 1


async def test_the_trash_past_its_days_keeps_what_is_pinned_and_counts_it_apart(studio: Studio, config: Settings):
    item = await make_entity()
    pinned, other = await studio.add(item), await studio.add(item)
    invoice = await make_invoice(item.id)
    await pin_invoice(invoice, actor=EDITOR)
    for image_id in (pinned, other):
        await trash_image(image_id, actor=EDITOR, deletes_per_hour=500)
    await database.execute("UPDATE image SET trashed_at = now() - interval '99 days'")
    for dry_run in (True, False):
        report = await clean_up(
            settings=config.replace(grace_minutes=0), store=studio.store, actor=SYSTEM, dry_run=dry_run
        )
        assert (report.trashed_images, report.pinned_images, report.orphaned_objects) == (1, 1, 0)
    assert await shows(invoice) == [(item.id, str(pinned), "1.1")]
    assert await findings(studio) == []


async def test_fsck_finds_what_a_pin_has_lost(studio: Studio):
    item = await make_entity()
    image_id = await studio.add(item)
    await pin_invoice(await make_invoice(item.id), actor=EDITOR)
    await edit(studio, image_id, edits={"rotate": 90})
    card = rendition_key("inventory_items", image_id, 1, 1, "card")
    (studio.store.root / card).unlink()
    assert await findings(studio) == [("missing_rendition", card)]
    await database.execute("UPDATE pinned_picture SET version = 7")
    assert set(await findings(studio)) == {("missing_rendition", card), ("missing_version", None)}


async def test_a_pin_against_deletes_and_files_leaves_a_whole_portal(studio: Studio):
    """Whoever is first: either the picture is pinned and stays, or it is gone and not pinned."""
    for turn in range(6):
        item = await make_entity()
        image_id = await studio.add(item)
        invoice = await make_invoice(item.id)
        deeds = [
            pin_invoice(invoice, actor=EDITOR),
            delete_image(image_id, actor=EDITOR, deletes_per_hour=500),
            change_image(image_id, read_metadata({"edits": {"rotate": 90}}), actor=EDITOR),
            delete_entity(item, actor=EDITOR, deletes_per_hour=500),
        ]
        turned = deeds[turn % 4 :] + deeds[: turn % 4]
        answers = await asyncio.gather(*turned, return_exceptions=True)
        unexpected = [
            each for each in answers if isinstance(each, Exception) and not isinstance(each, Conflict | NotFound)
        ]
        assert unexpected == []
        await render_all(image_id, store=studio.store, pool=studio.pool)
        is_there = await database.fetch_value("SELECT EXISTS (SELECT 1 FROM image WHERE id = $1)", image_id)
        pin = await find_pin(invoice, LINKS)
        assert (pin is not None and len(pin.pictures) == 1) == (is_there and pin is not None)
        assert await findings(studio) == []
