"""Files for a picture that come at once, late, broken or while the disk fills: none is lost, and nothing is left over."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import stat
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.errors import (
    Conflict,
    DiskFull,
    Duplicate,
    NotAnImage,
    NotFound,
    Stale,
    Unavailable,
)
from portal.gallery.disposal import restore_image, trash_image
from portal.gallery.renditions import render_all
from portal.gallery.service import edit_image, refuse_duplicate
from portal.gallery.tasks import give_up_rendering, purge_objects
from portal.imaging.presets import READY
from portal.settings import Settings
from portal.storage.disk import Disk
from portal.storage.store import Store
from tests import samples
from tests.factories import EDITOR, Studio, make_entity
from tests.versioning import (
    assert_sound,
    image_of,
    objects,
    original,
    render,
    restore,
    sweep,
    versions,
)


async def test_the_same_bytes_again_change_nothing(studio: Studio):
    data = samples.jpeg()
    image_id = await studio.add(await make_entity(), data)
    before = await image_of(image_id)
    assert not await studio.replace(image_id, data, filename="again.jpg", revision=before.revision - 1)
    assert await image_of(image_id) == before
    assert len(await versions(image_id)) == 1


async def test_equal_files_at_once_make_one_version(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    data = samples.jpeg(200, 100)
    outcomes = await asyncio.gather(*(studio.replace(image_id, data, ready=False) for _ in range(6)))
    assert sorted(outcomes) == [False] * 5 + [True]
    await render(studio, image_id)
    assert (await image_of(image_id)).version == 2
    await assert_sound(studio, config)


async def test_bytes_that_a_picture_got_just_now_are_no_duplicate_of_its_own(studio: Studio):
    ref, data = await make_entity(), samples.jpeg()
    image_id = await studio.add(ref, data)
    there = (await image_of(image_id)).sha256
    pk = await database.fetch_value("SELECT pk FROM entity WHERE type = $1 AND id = $2", ref.type, ref.id)
    await refuse_duplicate(pk, there, besides=image_id)
    with pytest.raises(Duplicate):
        await refuse_duplicate(pk, there)


async def test_different_files_at_once_are_all_kept(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    pictures = [samples.distinct(number) for number in range(6)]
    await asyncio.gather(*(studio.replace(image_id, each, ready=False) for each in pictures))
    await render(studio, image_id)
    found = [await studio.store.read(original(image_id, version)) for version in range(2, 8)]
    assert sorted(found) == sorted(pictures)
    await assert_sound(studio, config)


async def test_a_file_of_another_picture_in_the_gallery_is_a_duplicate(studio: Studio):
    ref, data = await make_entity(), samples.jpeg()
    other, image_id = await studio.add(ref, data), await studio.add(ref)
    with pytest.raises(Duplicate) as refused:
        await studio.replace(image_id, data)
    assert refused.value.extra == {"image_id": str(other)}
    assert await studio.replace(image_id, data, allow_duplicate=True)


async def test_what_is_refused_leaves_all_as_it_was(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    before = await image_of(image_id)
    with pytest.raises(Stale):
        await studio.replace(image_id, revision=before.revision + 1)
    with pytest.raises(NotAnImage):
        await studio.replace(image_id, samples.truncated())
    with pytest.raises(NotFound):
        await studio.replace(UUID(int=7))
    assert await image_of(image_id) == before
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    with pytest.raises(Conflict, match="trash"):
        await studio.replace(image_id)
    with pytest.raises(Conflict, match="trash"):
        await restore(image_id, 1, store=studio.store, actor=EDITOR)
    await restore_image(image_id, actor=SYSTEM)
    assert len(await versions(image_id)) == 1
    await assert_sound(studio, config)


class FullDisk(Disk):
    """As the folder is synced."""

    def fsync(self, file: int) -> None:  # type: ignore[override]
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_disk_that_fills_up_leaves_the_file_before(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    usual, studio.store.disk = studio.store.disk, FullDisk()
    with pytest.raises(DiskFull):
        await studio.replace(image_id)
    studio.store.disk = usual
    assert original(image_id, 2) not in objects(studio)
    assert await studio.replace(image_id)
    await assert_sound(studio, config)


class SlowStore(Store):
    """A disk that takes its time, also after who waited for it was sent away."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_asked, self.go = asyncio.Event(), asyncio.Event()

    async def adopt(self, path: Path, key: str) -> None:
        self.is_asked.set()
        await self.go.wait()
        await super().adopt(path, key)


async def test_a_file_whose_sender_left_overwrites_no_later_one(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    slow = SlowStore(studio.store.root)
    left = asyncio.create_task(studio.replace(image_id, store=slow, ready=False))
    await slow.is_asked.wait()
    left.cancel()
    later = asyncio.create_task(studio.replace(image_id, samples.jpeg(222, 111), ready=False))
    await asyncio.sleep(0.2)
    assert not later.done()  # the next version's key is not free yet
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert await later
    await render(studio, image_id)
    assert ((await image_of(image_id)).version, (await image_of(image_id)).width) == (2, 222)
    await assert_sound(studio, config)


class HalfwayStore(Store):
    """Stops where the bytes lie in the store and no row knows of them."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_there, self.go = asyncio.Event(), asyncio.Event()

    async def adopt(self, path: Path, key: str) -> None:
        await super().adopt(path, key)
        self.is_there.set()
        await self.go.wait()

    async def put_new(self, key: str, data: bytes) -> None:
        await super().put_new(key, data)
        self.is_there.set()
        await self.go.wait()


@pytest.mark.parametrize("verb", ["replace", "restore"])
async def test_a_sweep_spares_bytes_that_are_about_to_become_a_version(studio: Studio, config: Settings, verb: str):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    halfway = HalfwayStore(studio.store.root)
    work: Coroutine[Any, Any, bool] = (
        studio.replace(image_id, store=halfway, ready=False)
        if verb == "replace"
        else restore(image_id, 1, store=halfway, actor=EDITOR)
    )
    task = asyncio.create_task(work)
    await halfway.is_there.wait()
    await sweep(studio, config)
    halfway.go.set()
    assert await task
    await render(studio, image_id)
    await assert_sound(studio, config)


class LateStore(Store):
    """Nothing is put before `go`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_asked, self.go = asyncio.Event(), asyncio.Event()

    async def put_many(self, items: Sequence[tuple[str, bytes]]) -> None:
        self.is_asked.set()
        await self.go.wait()
        await super().put_many(items)


@pytest.mark.parametrize("is_rendered", [True, False], ids=["after the new one", "before the new one"])
async def test_a_rendering_of_the_file_before_that_ends_late_is_thrown_away(
    studio: Studio, config: Settings, is_rendered: bool
):
    image_id = await studio.add(await make_entity(), ready=False)
    late = LateStore(studio.store.root)
    late_run = asyncio.create_task(render_all(image_id, store=late, pool=studio.pool))
    await late.is_asked.wait()
    await studio.replace(image_id, ready=is_rendered)
    late.go.set()
    await late_run
    await render(studio, image_id)
    assert (await image_of(image_id)).renditions["icon"].url.endswith("v=2.1")
    await assert_sound(studio, config)


async def test_a_second_run_that_ends_late_does_not_take_away_what_an_old_version_has(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity(), ready=False)
    late = LateStore(studio.store.root)
    late_run = asyncio.create_task(render_all(image_id, store=late, pool=studio.pool))
    await late.is_asked.wait()
    await render(studio, image_id)
    await studio.replace(image_id)
    late.go.set()
    await late_run
    assert set((await versions(image_id))[1].renditions) == set(READY)
    await assert_sound(studio, config)


async def test_a_late_failure_of_the_file_before_is_not_that_of_the_new_one(studio: Studio):
    image_id = await studio.add(await make_entity(), ready=False)
    await studio.replace(image_id, ready=False)
    await give_up_rendering({"image": str(image_id), "version": 1}, "It was started 3 times and never came to an end.")
    assert (await image_of(image_id)).status == "pending"
    await render(studio, image_id)
    assert (await image_of(image_id)).status == "ready"


async def test_a_failed_picture_is_mended_by_another_file(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity(), ready=False)
    path = studio.store.path_of(original(image_id, 1))
    data = path.read_bytes()
    path.write_bytes(data[:100])
    await render(studio, image_id)
    assert (await image_of(image_id)).status == "failed"
    path.write_bytes(data)
    await studio.replace(image_id, ready=False)
    waiting = await image_of(image_id)
    assert (waiting.status, waiting.error) == ("pending", None)
    await render(studio, image_id)
    assert (await image_of(image_id)).status == "ready"
    await assert_sound(studio, config)


async def test_everything_at_once_leaves_a_sound_portal(studio: Studio, config: Settings):
    ref = await make_entity()
    image_id = await studio.add(ref)
    other = await studio.add(ref)
    dice = random.Random(7)
    pictures = [samples.distinct(number) for number in range(4)]

    async def one(number: int) -> None:
        choices: dict[str, Any] = {
            "replace": lambda: studio.replace(image_id, pictures[number % 4], ready=False),
            "restore": lambda: restore(image_id, dice.randint(1, 6), store=studio.store, actor=EDITOR),
            "turn": lambda: edit_image(image_id, lambda edits: edits.turned("left"), actor=EDITOR),
            "trash": lambda: trash_image(image_id, actor=SYSTEM, deletes_per_hour=0),
            "back": lambda: restore_image(image_id, actor=SYSTEM),
            "render": lambda: render(studio, image_id),
            "purge": lambda: purge_objects({}, store=studio.store),
            "sweep": lambda: sweep(studio, config),
        }
        # Unavailable: a sweep without grace takes files in flight too, and then the file is sent again
        with contextlib.suppress(Conflict, NotFound, Duplicate, Unavailable):
            await choices[dice.choice([*choices, "replace", "render"])]()

    for turn in range(5):
        await asyncio.gather(*(one(12 * turn + number) for number in range(12)))
    await restore_image(image_id, actor=SYSTEM)
    await render(studio, image_id)
    await database.execute("DELETE FROM pgqueuer")
    assert (await image_of(image_id)).status == "ready"
    assert (await image_of(other)).status == "ready"
    await assert_sound(studio, config)
