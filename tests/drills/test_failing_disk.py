"""R19: the n-th call to the disk fails, for every n until the work goes through. A clean error, nothing half, and it heals."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from portal import database
from portal.audit.actors import SYSTEM
from portal.entities.kinds import EntityRef
from portal.errors import DiskFull, PortalError, Unavailable
from portal.gallery.disposal import delete_entity, delete_image, restore_image, trash_image
from portal.gallery.renditions import render_all
from portal.gallery.tasks import purge_objects
from portal.integrity.fsck import fsck
from portal.maintenance.cleanup import clean_up
from portal.parts import Parts
from portal.storage.keys import original_key
from portal.storage.store import Store
from tests import samples
from tests.drilling import Rounds
from tests.drills.shaky_disk import CODES, ShakyDisk
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, working_app

pytestmark = [pytest.mark.drill("R19"), pytest.mark.usefixtures("db")]
HOUR, NOW = timedelta(hours=1), timedelta(0)
Attempt = Callable[[], Awaitable[PortalError | None]]


class Bench:
    """A portal in this process on a shaky disk."""

    def __init__(self, parts: Parts, client: httpx.AsyncClient, rounds: Rounds) -> None:
        self.parts, self.client, self.rounds = parts, client, rounds
        self.disk = ShakyDisk()
        parts.store.disk = self.disk
        self.studio = Studio(parts.store, parts.pool)

    async def every_failure(self, prepare: Callable[[], Awaitable[Attempt]], *, outlasts_a_cut: bool = True) -> None:
        """Attempts, each with a failure of its own, which then go through without one; what they did is synced then."""
        kinds = [(code, lasting) for code in CODES for lasting in (False, True)]
        turns = self.rounds(1, len(kinds), "kinds of failure at every call to the disk")
        for turn in range(turns):  # one turn: the kinds take turns; as many as there are: each of them at each call
            for nth in count(1):
                code, lasting = kinds[(turn + nth) % len(kinds)]
                if not await self._one_failure(await prepare(), nth, code, lasting, outlasts_a_cut):
                    break
            assert nth > 1

    async def _one_failure(self, attempt: Attempt, nth: int, code: int, lasting: bool, outlasts_a_cut: bool) -> bool:
        """False when the work was done before the `nth` call."""
        self.disk.arm(nth, code, lasting=lasting)
        error = await attempt()
        self.disk.disarm()
        struck = self.disk.struck
        where = f"{errno.errorcode[code]} at call {nth} ({', '.join(struck[:1])}), {lasting=}"
        if error is not None:
            assert type(error) is (DiskFull if code == errno.ENOSPC else Unavailable), where
        assert error is not None or "fsync" not in struck, f"{where}: acknowledged, but not synced"
        assert await self.findings(HOUR) == [], where
        if error is not None:
            again = await attempt()
            assert again is None, f"{where}: {again} without a failure"
        if lasting:
            await self.sweep()  # of what could not be taken away again nothing was promised
        if outlasts_a_cut:
            assert self.disk.lost_by_a_power_cut(self.parts.store.root) == [], where
        await self.sweep()
        assert await self.findings(NOW) == [], where
        return bool(struck)

    async def findings(self, grace: timedelta) -> list[Any]:
        return [each async for each in fsck(store=self.parts.store, pool=self.parts.pool, grace=grace)]

    async def sweep(self) -> None:
        settings = self.parts.settings.replace(grace_minutes=0)
        await clean_up(settings=settings, store=self.parts.store, actor=SYSTEM, dry_run=False)

    def remove_empty_folders(self) -> None:
        """Else there are more to look into each time."""
        for folder in sorted(self.parts.store.root.rglob("*"), reverse=True):
            if folder.is_dir() and folder.name != "temp":
                with suppress(OSError):
                    folder.rmdir()

    async def clear(self, ref: EntityRef) -> None:
        await delete_entity(ref, actor=SYSTEM, deletes_per_hour=0)
        await purge_objects({}, store=self.parts.store)


@pytest.fixture
async def bench(tmp_path: Path, db: None, rounds: Rounds) -> AsyncIterator[Bench]:
    async with working_app(tmp_path / "data") as app, await caller(app, "admin") as client:
        yield Bench(app.state.parts, client, rounds)


async def error_of(work: Awaitable[object]) -> PortalError | None:
    """Any other exception than the portal's own is a defect."""
    try:
        await work
    except PortalError as error:
        return error
    return None


async def test_an_upload_is_stored_whole_or_refused_whatever_call_fails(bench: Bench) -> None:
    errors: dict[int, type[PortalError]] = {507: DiskFull, 503: Unavailable}

    galleries: list[EntityRef] = []

    async def prepare() -> Attempt:
        if galleries:
            await bench.clear(galleries.pop())
        galleries.append(await make_entity())
        key, data = uuid4().hex, samples.distinct(1)

        async def attempt() -> PortalError | None:
            answer = await bench.client.post(
                "/api/images/upload",
                data={"entity_type": galleries[0].type, "entity_id": galleries[0].id},
                files={"file": ("picture.jpg", data, "image/jpeg")},
                headers={"Idempotency-Key": key},
            )
            if answer.status_code == 201:
                assert await database.fetch_value("SELECT count(*) FROM image") == 1
                return None
            assert "retry-after" in answer.headers or answer.status_code == 507
            return errors[answer.status_code](answer.text)

        return attempt

    await bench.every_failure(prepare)


async def test_renditions_are_whole_or_made_again_whatever_call_fails(bench: Bench) -> None:
    galleries: list[EntityRef] = []

    async def prepare() -> Attempt:
        if galleries:
            await bench.clear(galleries.pop())
        galleries.append(await make_entity())
        image_id = await bench.studio.add(galleries[0], ready=False)

        async def attempt() -> PortalError | None:
            error = await error_of(render_all(image_id, store=bench.parts.store, pool=bench.parts.pool))
            status = await database.fetch_value("SELECT status FROM image WHERE id = $1", image_id)
            assert status == ("ready" if error is None else "processing")
            return error

        return attempt

    await bench.every_failure(prepare)


@pytest.mark.parametrize("verb", ["replace", "restore"])
async def test_another_file_is_there_whole_or_the_one_before_whatever_call_fails(bench: Bench, verb: str) -> None:
    errors: dict[int, type[PortalError]] = {507: DiskFull, 503: Unavailable}
    galleries: list[EntityRef] = []

    async def prepare() -> Attempt:
        if galleries:
            await bench.clear(galleries.pop())
        galleries.append(await make_entity())
        image_id = await bench.studio.add(galleries[0])
        await bench.studio.replace(image_id)
        path = f"/api/images/{image_id}"

        async def attempt() -> PortalError | None:
            answer = await (
                bench.client.put(f"{path}/file", files={"file": ("other.jpg", samples.distinct(1), "image/jpeg")})
                if verb == "replace"
                else bench.client.post(f"{path}/versions/1/restore")
            )
            version = await database.fetch_value("SELECT version FROM image WHERE id = $1", image_id)
            # 4: a name that could not be given back, because the disk failed from then on, is not taken again
            assert version in ((3, 4) if answer.status_code == 200 else (2,))
            return None if answer.status_code == 200 else errors[answer.status_code](answer.text)

        return attempt

    await bench.every_failure(prepare)


async def test_bytes_of_deleted_pictures_go_in_the_end_whatever_call_fails(bench: Bench) -> None:
    async def prepare() -> Attempt:
        bench.remove_empty_folders()
        image_id = await bench.studio.add(await make_entity())
        await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)

        async def attempt() -> PortalError | None:
            error = await error_of(purge_objects({}, store=bench.parts.store))
            left = [path for path in bench.parts.store.root.rglob(f"{image_id}*")]
            assert error is not None or not left
            return error

        return attempt

    await bench.every_failure(prepare)


async def test_a_cleanup_takes_nothing_that_is_owned_whatever_call_fails(bench: Bench) -> None:
    await bench.studio.add(await make_entity())

    async def prepare() -> Attempt:
        bench.remove_empty_folders()
        trashed = await bench.studio.add(await make_entity())
        await trash_image(trashed, actor=SYSTEM, deletes_per_hour=0)
        await database.execute("UPDATE image SET trashed_at = now() - interval '31 days' WHERE id = $1", trashed)
        for key in (original_key("invoices", uuid4(), 1, "jpg"), f"temp/{uuid4()}.part"):
            path = bench.parts.store.path_of(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"left over")

        async def attempt() -> PortalError | None:
            return await error_of(bench.sweep())

        return attempt

    await bench.every_failure(prepare, outlasts_a_cut=False)  # an orphan that comes back is swept again


async def test_trash_restore_and_delete_need_no_disk(bench: Bench) -> None:
    image_id = await bench.studio.add(await make_entity())
    bench.disk.arm(1, errno.EIO, lasting=True)
    await trash_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    await restore_image(image_id, actor=SYSTEM)
    await delete_image(image_id, actor=SYSTEM, deletes_per_hour=0)
    bench.disk.disarm()
    assert bench.disk.struck == []
    await purge_objects({}, store=bench.parts.store)
    assert await bench.findings(NOW) == []


async def test_a_root_is_begun_whole_or_not_at_all_whatever_call_fails(tmp_path: Path) -> None:
    disk = ShakyDisk()
    for code in CODES:
        for nth in count(1):
            store = Store(tmp_path / f"{code}-{nth}" / "images", disk)
            disk.arm(nth, code, lasting=True)
            with suppress(DiskFull if code == errno.ENOSPC else Unavailable):
                await store.open_root()
            disk.disarm()
            await store.open_root()
            await store.put(original_key("companies", UUID(int=1), 1, "jpg"), b"1")
            assert disk.lost_by_a_power_cut(store.root) == []
            if not disk.struck:
                break
