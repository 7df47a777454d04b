"""The trash: in which order it is read, what comes back where it was, and what an emptying leaves alone."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.entities.kinds import EntityRef
from portal.errors import FormError
from portal.gallery import trash
from portal.gallery.disposal import trash_image
from portal.gallery.pins import pin_invoice
from portal.gallery.queries import gallery_of
from portal.gallery.trash import (
    chosen_in_trash,
    restore_images,
    start_deleting,
    start_restoring,
    trash_figures,
    trash_tasks,
    trashed_images,
)
from portal.jobs.progress import get_job
from portal.paging import encode_cursor
from portal.settings import Settings
from portal.storage.links import Links
from tests.factories import EDITOR, Studio, make_entity

LINKS = Links((b"k" * 32,), frozenset({"invoices", "customers"}))
ADMIN = Actor("user:ada@example.com", "admin")


async def throw(*image_ids: UUID) -> None:
    for image_id in image_ids:
        await trash_image(image_id, actor=EDITOR, deletes_per_hour=100)


async def some(studio: Studio, ref: EntityRef, count: int, *, thrown: bool = True) -> list[UUID]:
    made = [await studio.add(ref, ready=False) for _ in range(count)]
    if thrown:
        await throw(*made)
    return made


async def shown(ref: EntityRef) -> list[UUID]:
    return [UUID(image.id) for image in (await gallery_of(ref, links=LINKS)).items]


async def in_trash() -> list[UUID]:
    found, following = await trashed_images(links=LINKS, cursor=None, limit=200)
    assert following is None
    return [UUID(each.image.id) for each in found]


async def run(job_id: UUID) -> dict[str, Any]:
    """What the worker would do; what came of it."""
    kind = (await get_job(job_id)).kind
    await trash_tasks()[kind].run({"job": str(job_id)})
    job = await get_job(job_id)
    assert job.state == "succeeded", job.error
    return job.result or {}


async def now() -> dt.datetime:
    return (await trash_figures()).as_of


async def test_each_page_goes_on_where_the_last_one_ended_also_within_one_moment(studio: Studio) -> None:
    ids = await some(studio, await make_entity(), 5)
    await database.execute("UPDATE image SET trashed_at = '2026-01-02' WHERE id = ANY($1::uuid[])", ids[1:4])
    seen: list[UUID] = []
    cursor = None
    while True:
        found, cursor = await trashed_images(links=LINKS, cursor=cursor, limit=2)
        seen += [UUID(each.image.id) for each in found]
        if cursor is None:
            break
    assert seen == [ids[4], ids[0], *sorted(ids[1:4], reverse=True)]
    for foreign in ("x", encode_cursor([2**80, str(ids[0])]), encode_cursor([1, "no id"])):
        with pytest.raises(FormError):
            await trashed_images(links=LINKS, cursor=foreign, limit=2)


async def test_some_come_back_in_the_order_that_they_had(studio: Studio) -> None:
    ref = await make_entity()
    ids = await some(studio, ref, 4, thrown=False)
    await throw(ids[0], ids[1], ids[3])
    assert await restore_images([ids[0], ids[1]], actor=EDITOR) == 2
    assert await shown(ref) == ids[:3]
    assert await in_trash() == [ids[3]]
    assert await restore_images([*ids, UUID(int=1)], actor=EDITOR) == 1
    assert (set(await shown(ref)), await in_trash()) == (set(ids), [])
    assert await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'image.restore'") == 3


async def test_what_went_in_one_moment_comes_back_in_its_order(studio: Studio) -> None:
    ref = await make_entity()
    ids = await some(studio, ref, 4, thrown=False)
    async with database.transaction():
        await throw(*ids[:3])
    assert await restore_images(ids, actor=EDITOR) == 3
    assert await shown(ref) == ids


async def test_all_come_back_but_what_was_thrown_away_since(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trash, "AT_ONCE", 2)
    one, other = await make_entity(), await make_entity()
    ids = await some(studio, one, 3)
    more = await some(studio, other, 2)
    job_id = await start_restoring(await now(), actor=EDITOR)
    late = await some(studio, one, 1)
    assert await run(job_id) == {"restored": 5}
    assert (await shown(one), await shown(other), await in_trash()) == (ids, more, late)
    assert await run(await start_restoring(await now(), actor=EDITOR)) == {"restored": 1}


async def test_an_emptying_leaves_what_is_pinned_and_what_came_since(
    studio: Studio, config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash, "AT_ONCE", 2)
    invoice, ref = await make_entity("invoices"), await make_entity()
    pinned = await studio.add(invoice)
    await pin_invoice(invoice, actor=SYSTEM)
    await throw(pinned)
    await some(studio, ref, 4)
    figures = await trash_figures()
    assert (figures.pictures, figures.pinned, figures.deletable) == (5, 1, 4)
    job_id = await start_deleting(
        None, figures.as_of + dt.timedelta(days=1), actor=ADMIN
    )  # what is to come is not there
    late = await some(studio, ref, 1)
    assert await run(job_id) == {"deleted": 4, "kept": 1}
    assert await in_trash() == [late[0], pinned]
    assert (
        await database.fetch_value(
            "SELECT count(*) FROM audit WHERE action = 'image.delete' AND actor = $1", ADMIN.name
        )
        == 4
    )
    assert await run(job_id_again := await start_deleting(None, figures.as_of, actor=ADMIN)) == {
        "deleted": 0,
        "kept": 1,
    }
    assert job_id_again != job_id


async def test_only_the_chosen_ones_go_and_none_that_left_the_trash(studio: Studio) -> None:
    ref = await make_entity()
    ids = await some(studio, ref, 3)
    assert [each.image.id for each in await chosen_in_trash([ids[0], UUID(int=1)], links=LINKS)] == [str(ids[0])]
    job_id = await start_deleting(ids[:2], await now(), actor=ADMIN)
    await restore_images([ids[1]], actor=EDITOR)
    assert await run(job_id) == {"deleted": 1, "kept": 0}
    assert (await in_trash(), await shown(ref)) == ([ids[2]], [ids[1]])
    arguments = await database.fetch_value("SELECT arguments FROM job WHERE id = $1", job_id)
    assert json.loads(arguments)["ids"] == [str(each) for each in ids[:2]]


async def test_figures_say_what_lies_there(studio: Studio) -> None:
    empty = await trash_figures()
    assert (empty.pictures, empty.bytes, empty.oldest, empty.deletable) == (0, 0, None, 0)
    image_id = await studio.add(await make_entity())
    await throw(image_id)
    figures = await trash_figures()
    stored = sum(entry.bytes for entry in studio.store.walk() if not entry.key.startswith("temp/"))
    assert (figures.pictures, figures.bytes) == (1, stored)
    assert figures.oldest == await database.fetch_value("SELECT trashed_at FROM image")
