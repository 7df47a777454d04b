"""How much is taken in at the same time: uploads in hand, and room on the disk promised to them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from portal.errors import Busy, DiskFull, Unavailable
from portal.gallery import intake
from portal.gallery.forms import ReceivedPicture
from portal.gallery.intake import Intake, Rules, verify_upload
from portal.imaging.pool import RenderPool
from portal.imaging.verify import Limits, Verified
from portal.storage.store import Store
from tests import samples
from tests.factories import Studio, write

MUCH = 2**30  # what else is written on this disk meanwhile does not come near it


@pytest.fixture
def store(studio: Studio) -> Store:
    return studio.store


async def test_uploads_beyond_the_bound_are_told_to_come_back_and_then_let_in(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "AT_ONCE", 2)
    doors = Intake()
    async with doors.admit(store, 0, 1):
        async with doors.admit(store, 0, 1):
            with pytest.raises(Busy) as told:
                await doors.admit(store, 0, 1).__aenter__()
            assert told.value.retry_after
        async with doors.admit(store, 0, 1):
            pass


async def test_what_is_on_its_way_counts_against_the_floor_until_it_is_there(store: Store) -> None:
    """Each of them alone would fit."""
    doors = Intake()
    floor = await store.free_bytes() - 5 * MUCH
    if floor < 0:
        pytest.skip("this disk is too full itself")
    async with doors.admit(store, floor, 3 * MUCH) as first:
        with pytest.raises(DiskFull, match="are on their way"):
            await doors.admit(store, floor, 3 * MUCH).__aenter__()
        first.fulfil()
        async with doors.admit(store, floor, 3 * MUCH):
            pass


class GonePool(RenderPool):
    """Its disk goes as soon as the file was decoded."""

    async def verify(self, path: Path, filename: str, limits: Limits) -> Verified:
        verified = await super().verify(path, filename, limits)
        await asyncio.to_thread(path.unlink)
        return verified


async def test_a_file_that_the_scanner_cannot_be_given_is_the_disks_fault(store: Store) -> None:
    """Not a defect of ours, and nobody's picture is refused for it."""
    path, data = store.root / "temp" / "a.part", samples.jpeg()
    write(path, data)
    pool = GonePool(1)
    await pool.start()
    with socket.create_server(("127.0.0.1", 0)) as scanner:
        rules = Rules(scanner=scanner.getsockname())
        with pytest.raises(Unavailable, match="The disk for pictures"):
            await verify_upload(ReceivedPicture(path, "a.jpg", len(data), "0" * 64), rules, pool)
    await pool.close()


async def test_of_many_at_once_only_so_many_are_let_in_as_the_disk_holds(store: Store) -> None:
    doors = Intake()
    floor = await store.free_bytes() - 9 * MUCH
    if floor < 0:
        pytest.skip("this disk is too full itself")

    async with AsyncExitStack() as inside:
        comers = [inside.enter_async_context(doors.admit(store, floor, 2 * MUCH)) for _ in range(20)]
        told = await asyncio.gather(*comers, return_exceptions=True)
        assert sum(not isinstance(each, DiskFull) for each in told) <= 4
    async with doors.admit(store, floor, 2 * MUCH):  # and nothing stays promised
        pass
