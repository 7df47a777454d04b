"""R5: a disk fills up to its last byte. What cannot be stored is refused in plain words, the rest goes on, and it heals."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests import samples
from tests.drilling import Rounds
from tests.drills.traffic import (
    COME_BACK,
    all_are_ready,
    assert_sound,
    client_of,
    connect,
    is_healthy,
    leftovers,
    make_gallery,
    postmaster,
    sweep,
    upload,
)
from tests.e2e.server import RunningPortal
from tests.waiting import eventually

pytestmark = pytest.mark.drill("R5")
MEGABYTE = 1024 * 1024
FULL = {503, 507}


class SmallDisk:
    """A tmpfs; `fill` takes all of it but some bytes, `free` gives them back."""

    def __init__(self, megabytes: int) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="portal-disk-", dir="/tmp"))
        options = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(self.root)]
        if os.geteuid() or subprocess.run(["mount", *options], capture_output=True).returncode:
            self.root.rmdir()
            pytest.skip("a small disk can only be mounted by root, where mounting is permitted")

    def fill(self, but: int = 0) -> None:
        with (self.root / "ballast").open("ab", buffering=0) as ballast, suppress(OSError):
            left = os.statvfs(self.root).f_bavail * os.statvfs(self.root).f_frsize - but
            while left > 0:
                left -= ballast.write(bytes(min(left, MEGABYTE)))

    def free(self) -> None:
        (self.root / "ballast").unlink()

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.root)], check=True)
        self.root.rmdir()


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    disk = SmallDisk(request.param)
    yield disk
    disk.remove()


@pytest.fixture
def pictures_on_it(disk: SmallDisk) -> Iterator[RunningPortal]:
    root = disk.root / "images"
    portal = RunningPortal(PORTAL_WORKERS="2", PORTAL_STORAGE_URL=str(root), PORTAL_FREE_SPACE_MB="0").start()
    yield portal
    portal.remove()


@pytest.mark.parametrize("disk", [24], indirect=True)
async def test_with_the_pictures_disk_full_the_rest_goes_on_and_space_heals_it(
    disk: SmallDisk, pictures_on_it: RunningPortal, rounds: Rounds
) -> None:
    portal = pictures_on_it
    async with client_of(portal, portal.run("token", "create", "drill", "--role", "admin")) as client:
        for _ in range(rounds(1, 10, "times full")):
            await one_full_disk(disk, portal, client)


async def one_full_disk(disk: SmallDisk, portal: RunningPortal, client: httpx.AsyncClient) -> None:
    gallery, photo = await make_gallery(client), samples.noisy(1600, 1200)
    first, second, third = [(await upload(client, gallery, samples.distinct(n))).json()["id"] for n in range(3)]
    await eventually(lambda: all_are_ready(client, gallery))
    # room for an original, not for its renditions: it waits
    disk.fill(but=len(photo) + 64 * 1024)
    answer = await upload(client, gallery, photo)
    assert answer.status_code == 201, answer.text
    disk.fill()
    for data in (photo, samples.distinct(9)):
        refused = await upload(client, gallery, data)
        assert refused.status_code in FULL, refused.text
        assert "full" in refused.json()["detail"]
    assert leftovers(portal) == []
    await reads_and_deletes_go_on(client, first, second)
    waiting = await client.get(f"/api/images/{answer.json()['id']}")
    assert waiting.json()["status"] in {"pending", "processing"}
    disk.free()
    await eventually(lambda: all_are_ready(client, gallery))
    assert (await upload(client, gallery, photo[:-2] + b"\0\0\xff\xd9")).status_code == 201
    await eventually(lambda: all_are_ready(client, gallery))
    assert third in {
        image["id"] for image in (await client.get("/api/images", params={"limit": "200"})).json()["images"]
    }
    await sweep(portal)
    await assert_sound(portal)
    assert (await client.delete(f"/api/entities/inventory_items/{gallery}")).status_code == 204


async def reads_and_deletes_go_on(client: httpx.AsyncClient, first: str, second: str) -> None:
    served = await client.get(f"/api/images/serve/{first}", params={"size": "card"})
    assert served.status_code == 200
    assert served.headers["content-type"] == "image/jpeg"
    assert (await client.get("/api/images")).status_code == 200
    assert (await client.post(f"/api/images/{first}/trash")).status_code < 300
    assert (await client.post(f"/api/images/{first}/restore")).status_code < 300
    assert (await client.delete(f"/api/images/{second}")).status_code == 204


@pytest.mark.parametrize("disk", [1100], indirect=True)
async def test_the_floor_keeps_room_for_the_database_on_the_same_disk(disk: SmallDisk) -> None:
    """What is promised where both lie on one disk: uploads stop early, so that trash, deletes and the audit still fit."""
    portal = everything_on(disk, PORTAL_FREE_SPACE_MB="60")
    try:
        async with client_of(portal, portal.run("token", "create", "drill", "--role", "admin")) as client:
            gallery = await make_gallery(client)
            first, second = [(await upload(client, gallery, samples.distinct(n))).json()["id"] for n in range(2)]
            await eventually(lambda: all_are_ready(client, gallery))
            disk.fill(but=59 * MEGABYTE)
            refused = await upload(client, gallery, samples.distinct(9))
            assert refused.status_code == 507
            assert "nearly full" in refused.json()["detail"]
            await reads_and_deletes_go_on(client, first, second)
            connection = await connect(portal)
            assert await connection.fetchval("SELECT count(*) FROM audit WHERE action = 'image.delete'") == 1
            await connection.close()
            disk.free()
            assert (await upload(client, gallery, samples.distinct(9))).status_code == 201
            await eventually(lambda: all_are_ready(client, gallery))
            await assert_sound(portal)
    finally:
        portal.remove()


def everything_on(disk: SmallDisk, **settings: str) -> RunningPortal:
    data_dir = disk.root / "data"
    data_dir.mkdir(mode=0o711)
    portal = RunningPortal(data_dir, PORTAL_WORKERS="1", **settings)
    if portal.database is not None:
        portal.remove()
        pytest.skip("the server of PORTAL_TEST_DATABASE_URL has a disk of its own")
    return portal.start()


@pytest.mark.parametrize("disk", [1100], indirect=True)
async def test_the_embedded_database_on_a_full_disk_loses_nothing_and_comes_back_with_the_space(
    disk: SmallDisk, rounds: Rounds
) -> None:
    """Filled by somebody else to its last byte. Writing may fail, even reading while the server recovers; never a crash
    of the portal, and never what was acknowledged."""
    portal = everything_on(disk, PORTAL_FREE_SPACE_MB="0")
    try:
        async with client_of(portal, portal.run("token", "create", "drill", "--role", "admin")) as client:
            for _ in range(rounds(1, 5, "times full")):
                await one_full_database(disk, portal, client)
    finally:
        with suppress(FileNotFoundError):
            disk.free()
        portal.remove()


async def one_full_database(disk: SmallDisk, portal: RunningPortal, client: httpx.AsyncClient) -> None:
    gallery = await make_gallery(client)
    kept = (await upload(client, gallery, samples.distinct(1))).json()["id"]
    await eventually(lambda: all_are_ready(client, gallery))
    disk.fill()
    acknowledged = [kept]
    assert await exhaust(portal)
    for number in range(10):
        answer = await client.put(f"/api/images/{kept}/metadata", json={"caption": f"{number} " + "long " * 80})
        assert answer.status_code in {200, *FULL, *COME_BACK}, answer.text
        answer = await upload(client, gallery, samples.distinct(2 + number))
        assert answer.status_code in {201, *FULL, *COME_BACK}, answer.text
        if answer.status_code == 201:
            acknowledged.append(answer.json()["id"])
    assert (await client.get("/health/live")).status_code == 200
    disk.free()
    await eventually(lambda: is_healthy(client))
    await eventually(lambda: takes_uploads(client, gallery))
    await eventually(lambda: all_are_ready(client, gallery))
    for image_id in acknowledged:
        assert (await client.get(f"/api/images/{image_id}")).status_code == 200
    assert portal.process is not None
    assert portal.process.poll() is None
    assert postmaster(portal).is_running()
    await sweep(portal)
    await assert_sound(portal)


async def exhaust(portal: RunningPortal) -> bool:
    """Write until the server has no room for its log, which ends it; False when there was room for a gigabyte."""
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        connection = await connect(portal)
        for _ in range(1024):
            await connection.execute("SELECT pg_logical_emit_message(true, 'drill', repeat('x', 1000000))")
        await connection.close()
        return False
    return True


async def takes_uploads(client: httpx.AsyncClient, gallery: str) -> bool:
    return (await upload(client, gallery, samples.distinct(10**6))).status_code in {
        201,
        409,
    }  # stored now, or just before
