"""Another file for a picture where the lock that its key was chosen under is lost with its connection, and the thread goes on."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.errors import Unavailable
from portal.gallery.renditions import render_all
from portal.gallery.versions import restore_version
from portal.integrity.fsck import fsck
from portal.maintenance.cleanup import clean_up
from portal.settings import Settings
from portal.storage.disk import Disk
from portal.storage.keys import original_key
from portal.storage.store import Store
from tests import samples
from tests.factories import EDITOR, Studio, make_entity


class SlowDisk(Disk):
    """Stops as it syncs a file, until `go`; then it has done so, or fails."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.is_asked, self.go = fails, threading.Event(), threading.Event()

    def fsync(self, file: int) -> None:  # type: ignore[override]
        os.fsync(file)
        if stat.S_ISREG(os.fstat(file).st_mode):
            self.is_asked.set()
            assert self.go.wait(60)
            if self.fails:
                raise OSError(errno.EIO, os.strerror(errno.EIO))


async def cut_transactions() -> None:
    cut = await database.fetch_value(
        """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
           WHERE datname = current_database() AND state = 'idle in transaction'"""
    )
    assert cut == 1


@pytest.mark.parametrize("fails", [False, True], ids=["ends late", "fails late"])
@pytest.mark.parametrize("verb", ["replace", "restore"])
async def test_a_file_that_was_answered_for_survives_one_whose_connection_was_cut(
    studio: Studio, config: Settings, verb: str, fails: bool
):
    image_id = await studio.add(await make_entity())
    await studio.replace(image_id)
    disk, data = SlowDisk(fails), samples.distinct(1)
    slow = Store(studio.store.root, disk)
    work: Coroutine[Any, Any, bool] = (
        studio.replace(image_id, store=slow, ready=False)
        if verb == "replace"
        else restore_version(image_id, 1, store=slow, actor=EDITOR, deletes_per_hour=0, floor=0)
    )
    cut_off = asyncio.create_task(work)
    assert await asyncio.to_thread(disk.is_asked.wait, 60)
    await cut_transactions()
    assert await studio.replace(image_id, data, ready=False)
    disk.go.set()
    with pytest.raises((Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await cut_off
    assert await studio.store.read(original_key("inventory_items", image_id, 3, "jpg")) == data
    await assert_sound(studio, config, image_id)


async def assert_sound(studio: Studio, config: Settings, image_id: UUID) -> None:
    await clean_up(settings=config.replace(grace_minutes=0), store=studio.store, actor=SYSTEM, dry_run=False)
    await render_all(image_id, store=studio.store, pool=studio.pool)
    assert [each async for each in fsck(store=studio.store, pool=studio.pool, grace=timedelta(0))] == []


async def test_what_a_killed_try_left_stays_as_it_is_and_costs_a_number(studio: Studio, config: Settings):
    image_id = await studio.add(await make_entity())
    left = original_key("inventory_items", image_id, 2, "jpg")
    await studio.store.put(left, b"whose?")
    assert await studio.replace(image_id, ready=False)
    assert await database.fetch_value("SELECT version FROM image WHERE id = $1", image_id) == 3
    assert await studio.store.read(left) == b"whose?"
    await assert_sound(studio, config, image_id)
    assert await studio.store.size(left) is None
