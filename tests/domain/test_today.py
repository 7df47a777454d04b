"""What needs a person today, what came lately, what runs, and what is stored."""

from __future__ import annotations

import itertools
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import SYSTEM, Actor
from portal.audit.service import record
from portal.gallery.disposal import trash_image
from portal.gallery.forms import PictureFields
from portal.gallery.service import RENDER
from portal.jobs.pauses import pause
from portal.jobs.progress import start_job
from portal.maintenance.figures import Figures
from portal.maintenance.today import MOST_JOBS, Upkeep, stories
from portal.media.usage import Usage
from portal.overview.queries import Gap, overview_of_today
from portal.settings import Settings
from portal.storage.cache import Cache
from portal.storage.links import Links
from tests.factories import EDITOR, Studio, make_entity

LINKS = Links((b"k" * 32,), frozenset({"invoices", "customers"}))


@pytest.fixture
def upkeep(config: Settings) -> Upkeep:
    return Upkeep(Figures(Usage(), Cache(config.cache_dir), config))


async def test_overview_counts_what_is_missing_and_stored(studio: Studio) -> None:
    full, half = await make_entity(), await make_entity()
    await make_entity("customers", "bare")
    ready = await studio.add(full, fields=PictureFields(alt_text="A blue mug"))
    waiting = await studio.add(half, ready=False)
    trashed = await studio.add(half, ready=False)
    await trash_image(trashed, actor=EDITOR, deletes_per_hour=10)
    today = await overview_of_today(LINKS)
    assert (today.needs.missing_pictures, today.needs.missing_alt, today.needs.failed) == (1, 1, [])
    assert (today.added_today, today.storage.trashed) == (2, 1)
    assert [image.id for image in today.recent] == [str(waiting), str(ready)]
    shares = {share.type: (share.total, share.with_pictures, share.shares["image"].percent) for share in today.kinds}
    assert shares["inventory_items"] == (2, 2, 100)
    assert shares["customers"] == (1, 0, 0)
    assert today.storage.images == 2
    stored = await database.fetch_value("SELECT sum(bytes) FROM image")
    assert today.storage.originals_bytes == stored
    ready_image = next(image for image in today.recent if image.id == str(ready))
    assert today.storage.renditions_bytes == sum(each.bytes for each in ready_image.renditions.values()) > 0


async def test_old_versions_count_among_what_is_stored_but_not_among_the_pictures(studio: Studio) -> None:
    image_id = await studio.add(await make_entity(), ready=False)
    await studio.replace(image_id)
    await studio.replace(image_id)
    await studio.replace(image_id, ready=False)  # the renditions that are shown are those of an old version: once
    storage = (await overview_of_today(LINKS)).storage
    files = [entry for entry in studio.store.walk() if not entry.key.startswith("temp/")]
    originals = sum(
        entry.bytes for entry in files if "/optimized/" not in entry.key and "/thumbnails/" not in entry.key
    )
    assert (storage.images, storage.originals_bytes) == (1, originals)
    assert storage.originals_bytes + storage.renditions_bytes == sum(entry.bytes for entry in files)


async def test_failed_pictures_are_shown_until_they_are_in_the_trash(studio: Studio) -> None:
    ref = await make_entity()
    image_id = await studio.add(ref, ready=False)
    await database.execute("UPDATE image SET status = 'failed' WHERE id = $1", image_id)
    assert [image.id for image in (await overview_of_today(LINKS)).needs.failed] == [str(image_id)]
    await trash_image(image_id, actor=EDITOR, deletes_per_hour=10)
    assert (await overview_of_today(LINKS)).needs.failed == []


async def test_gaps_are_told_by_type_the_largest_first(studio: Studio) -> None:
    for _ in range(2):
        await make_entity("customers")
    await make_entity()
    full = await make_entity("categories")
    await studio.add(full, ready=False)
    await studio.add(full, ready=False, fields=PictureFields(alt_text="A cup"))
    needs = (await overview_of_today(LINKS)).needs
    assert needs.without_picture == [
        Gap("customers", "Customers", "customer", 2),
        Gap("inventory_items", "Inventory items", "item", 1),
    ]
    assert needs.without_alt == [Gap("categories", "Categories", "category", 1)]
    assert needs.wanted == 2


async def test_only_what_came_in_the_last_day_is_new(studio: Studio) -> None:
    ref = await make_entity()
    await studio.add(ref, ready=False)
    long_ago = await studio.add(ref, ready=False)
    id_of_then = UUID(int=1_700_000_000_000 << 80)
    await database.execute("UPDATE image SET id = $2 WHERE id = $1", long_ago, id_of_then)
    assert (await overview_of_today(LINKS)).added_today == 1


async def test_pictures_and_jobs_at_work_are_told_with_their_pace(studio: Studio, upkeep: Upkeep) -> None:
    idle = await upkeep.at_work()
    assert not idle.runs
    await studio.add(await make_entity(), ready=False)
    for _ in range(MOST_JOBS + 1):
        await start_job("recheck", {}, actor=SYSTEM)
    busy = await upkeep.at_work()
    assert (busy.runs, busy.pictures, busy.is_paused, len(busy.jobs), busy.more) == (True, 1, False, MOST_JOBS, 1)
    assert busy.jobs[0].title == "Re-check of findings"
    await pause(RENDER, [RENDER], actor=SYSTEM)
    assert (await upkeep.at_work()).is_paused


async def test_only_an_admin_is_told_of_people_and_backups(studio: Studio, upkeep: Upkeep) -> None:
    await studio.add(await make_entity(), ready=False, actor=EDITOR)
    for_all, for_admins = await upkeep.today(is_admin=False), await upkeep.today(is_admin=True)
    assert (for_all.stories, for_all.proof) == ([], None)
    assert [story.line.action for story in for_admins.stories] == ["image.add"]
    assert for_admins.proof is not None
    assert for_admins.proof.state == "never"
    assert for_all.disk.total > for_all.disk.free > 0


async def test_what_one_did_over_and_over_is_one_story(db: None) -> None:
    bo = Actor("user:bo@example.com", "editor")
    deeds = [
        (EDITOR, "image.trash", 3),
        (bo, "image.trash", 1),
        (EDITOR, "session.start", 1),
        (EDITOR, "entity.add", 2),
    ]
    numbers = itertools.count()
    async with database.transaction():
        for actor, action, times in deeds:
            for _ in range(times):
                await record(actor, action, "entity", f"categories/{next(numbers)}")
    told = [(story.line.actor, story.line.action, story.times, story.pictures) for story in await stories()]
    assert told == [
        (EDITOR.name, "entity.add", 2, None),
        (bo.name, "image.trash", 1, None),
        (EDITOR.name, "image.trash", 3, "moved 3 pictures to the trash"),
    ]
