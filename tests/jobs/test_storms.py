"""Short storms over a real server: kills under load, a database that dies or stands still, races through HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests import samples
from tests.e2e.server import RunningPortal
from tests.waiting import eventually

pytestmark = pytest.mark.drill
FILES_OF_A_READY_IMAGE = 8
COME_BACK = {429, 503}


@pytest.fixture(scope="module")
def portal() -> Iterator[RunningPortal]:
    portal = RunningPortal(PORTAL_WORKERS="2").start()
    yield portal
    portal.remove()


@pytest.fixture(scope="module")
def token(portal: RunningPortal) -> str:
    return portal.run("token", "create", "storm", "--role", "admin")


@pytest.fixture
async def client(portal: RunningPortal, token: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=60, limits=limits) as client:
        yield client


@pytest.fixture
async def gallery(client: httpx.AsyncClient, request: pytest.FixtureRequest) -> str:
    """An inventory item of this test's own; its id."""
    name = request.node.name.removeprefix("test_")[:60]
    answer = await client.put(f"/api/entities/inventory_items/{name}", json={"name": name})
    assert answer.status_code == 201
    return name


async def upload(client: httpx.AsyncClient, gallery: str, data: bytes, key: str | None = None) -> httpx.Response:
    return await client.post(
        "/api/images/upload",
        data={"entity_type": "inventory_items", "entity_id": gallery},
        files={"file": ("picture.jpg", data, "image/jpeg")},
        headers={"Idempotency-Key": key} if key else {},
    )


async def upload_until_answered(client: httpx.AsyncClient, gallery: str, data: bytes, key: str) -> str:
    """As a careful client does: the same key until it is 201; the image's id."""
    while True:
        with suppress(httpx.TransportError):
            answer = await upload(client, gallery, data, key)
            if answer.status_code == 201:
                return answer.json()["id"]
            assert answer.status_code in {409, *COME_BACK}, answer.text
            assert "retry-after" in answer.headers, answer.text
        await asyncio.sleep(0.2)


async def images_of(client: httpx.AsyncClient, gallery: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/images/entity/inventory_items/{gallery}", params={"limit": 200})
    assert answer.status_code == 200, answer.text
    return answer.json()["images"]


async def all_are_ready(client: httpx.AsyncClient, gallery: str) -> bool:
    return {image["status"] for image in await images_of(client, gallery)} == {"ready"}


async def is_sound(portal: RunningPortal) -> bool:
    return await asyncio.to_thread(portal.run, "fsck", "--json") == ""


def files_of(portal: RunningPortal, image_ids: set[str]) -> list[Path]:
    root = portal.data_dir / "uploads" / "images"
    return [path for path in root.rglob("*") if path.is_file() and path.name[:36] in image_ids]


def leftovers(portal: RunningPortal) -> list[Path]:
    return list((portal.data_dir / "uploads" / "images" / "temp").iterdir())


async def test_a_kill_under_load_loses_nothing_and_doubles_nothing(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str
) -> None:
    pictures = {f"kill-{number}": samples.distinct(number, 320, 240) for number in range(40)}
    acknowledged: dict[str, str] = {}

    async def once(key: str) -> None:
        with suppress(httpx.TransportError):
            answer = await upload(client, gallery, pictures[key], key)
            if answer.status_code == 201:
                acknowledged[key] = answer.json()["id"]

    uploads = asyncio.gather(*(once(key) for key in pictures))
    await eventually(lambda: len(acknowledged) >= 5)
    await asyncio.to_thread(portal.kill)
    await uploads
    assert len(acknowledged) < len(pictures)
    await asyncio.to_thread(portal.start)
    there = {image["id"] for image in await images_of(client, gallery)}
    assert set(acknowledged.values()) <= there
    ids = await asyncio.gather(*(upload_until_answered(client, gallery, pictures[key], key) for key in pictures))
    assert {key: ids[number] for number, key in enumerate(pictures) if key in acknowledged} == acknowledged
    await eventually(lambda: all_are_ready(client, gallery))
    images = await images_of(client, gallery)
    assert sorted(image["id"] for image in images) == sorted(ids)
    await asyncio.to_thread(portal.run, "cleanup", "--apply")
    assert leftovers(portal) == []
    assert len(files_of(portal, set(ids))) == len(ids) * FILES_OF_A_READY_IMAGE
    assert await is_sound(portal)


def postmaster(portal: RunningPortal) -> psutil.Process:
    if portal.database is not None:
        pytest.skip("the server of PORTAL_TEST_DATABASE_URL is not ours to kill")
    return psutil.Process(int((portal.data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0]))


async def is_healthy(client: httpx.AsyncClient) -> bool:
    return (await client.get("/health/ready")).status_code == 200


async def test_a_killed_database_costs_only_503s_and_heals(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str
) -> None:
    acknowledged: list[str] = []
    refused: list[int] = []
    stop = asyncio.Event()

    async def load(lane: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            answer = await upload(client, gallery, samples.distinct(1000 * lane + number))
            if answer.status_code == 201:
                acknowledged.append(answer.json()["id"])
            else:
                assert answer.status_code in COME_BACK, answer.text
                assert "retry-after" in answer.headers
                refused.append(answer.status_code)
                await asyncio.sleep(0.05)

    lanes = [asyncio.create_task(load(lane)) for lane in range(1, 5)]
    for _ in range(2):
        before = len(acknowledged)
        await eventually(lambda n=before: len(acknowledged) > n + 3)
        os.kill(postmaster(portal).pid, signal.SIGKILL)
        refusals = len(refused)
        await eventually(lambda n=refusals: len(refused) > n)
    before = len(acknowledged)
    await eventually(lambda: len(acknowledged) > before + 3)
    stop.set()
    await asyncio.gather(*lanes)
    await eventually(lambda: is_healthy(client))
    await eventually(lambda: all_are_ready(client, gallery))
    assert set(acknowledged) <= {image["id"] for image in await images_of(client, gallery)}
    await asyncio.to_thread(portal.run, "cleanup", "--apply")
    await eventually(lambda: is_sound(portal))


async def test_a_database_that_stands_still_is_not_waited_for(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str
) -> None:
    server = postmaster(portal)
    processes = [server, *server.children()]
    client.timeout = httpx.Timeout(20)  # requests give up after 4 s; the queue's own patience is 30 s and more
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:  # all of these come back while the database still stands
        answers = await asyncio.gather(
            *(client.get("/api/images") for _ in range(12)),
            *(upload(client, gallery, samples.distinct(number)) for number in range(4)),
            client.get("/api/entities"),
            client.get("/api/search?q=mug"),
        )
        async with httpx.AsyncClient(base_url=portal.url, cookies={"portal": "x" * 43}, timeout=20) as browser:
            page = await browser.get("/")
        live = await client.get("/health/live")
        is_ready = await is_healthy(client)
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGCONT)
    assert {answer.status_code for answer in answers} <= COME_BACK
    assert all("retry-after" in answer.headers for answer in answers)
    assert page.status_code in COME_BACK
    assert live.status_code == 200
    assert not is_ready
    await eventually(lambda: is_healthy(client))
    await upload_until_answered(client, gallery, samples.distinct(99), "after")
    await eventually(lambda: all_are_ready(client, gallery))


async def test_of_twenty_equal_uploads_at_once_one_is_stored(client: httpx.AsyncClient, gallery: str) -> None:
    data = samples.distinct(7)
    answers = await asyncio.gather(*(upload(client, gallery, data) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    stored = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {(each["code"], each["image_id"]) for each in refused} == {("duplicate", stored)}
    assert [image["id"] for image in await images_of(client, gallery)] == [stored]


async def add_some(client: httpx.AsyncClient, gallery: str, count: int) -> list[str]:
    answers = [await upload(client, gallery, samples.distinct(number)) for number in range(count)]
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json()["id"] for answer in answers]


def assert_in_order(images: list[dict[str, Any]]) -> None:
    assert [image["sort_order"] for image in images] == list(range(len(images)))
    assert sum(image["is_primary"] for image in images) == 1


async def test_of_two_who_make_a_primary_each_one_stays(client: httpx.AsyncClient, gallery: str) -> None:
    ids = await add_some(client, gallery, 3)
    wishes = [client.put(f"/api/images/{id}/metadata", json={"is_primary": True}) for _ in range(5) for id in ids]
    answers = await asyncio.gather(*wishes)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert_in_order(await images_of(client, gallery))


async def test_reorders_against_deletes_leave_a_whole_order(client: httpx.AsyncClient, gallery: str) -> None:
    ids = await add_some(client, gallery, 6)
    address = f"/api/images/entity/inventory_items/{gallery}/order"
    answers = await asyncio.gather(
        *(client.put(address, json={"ids": ids[turn:] + ids[:turn]}) for turn in range(1, 5)),
        *(client.delete(f"/api/images/{id}") for id in ids[:3]),
        *(client.put(address, json={"ids": ids[::-1]}) for _ in range(4)),
        *(client.delete(f"/api/images/{id}") for id in ids[:3]),
    )
    orders = [answer for answer in answers if answer.request.method == "PUT"]
    deletes = [answer for answer in answers if answer.request.method == "DELETE"]
    assert {answer.status_code for answer in orders} <= {200, 409}
    assert sorted(answer.status_code for answer in deletes) == [204] * 3 + [404] * 3
    images = await images_of(client, gallery)
    assert {image["id"] for image in images} == set(ids[3:])
    assert_in_order(images)


async def test_what_is_deleted_while_it_renders_does_not_reappear(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str
) -> None:
    ids: set[str] = set()
    for number in range(6):
        image_id = (await upload(client, gallery, samples.noisy(900 + number, 700))).json()["id"]
        await asyncio.sleep(0.04 * number)
        assert (await client.delete(f"/api/images/{image_id}")).status_code == 204
        ids.add(image_id)
    await eventually(lambda: not files_of(portal, ids))
    for image_id in ids:
        assert (await client.get(f"/api/images/{image_id}")).status_code == 404
        assert (await client.get(f"/api/images/serve/{image_id}")).status_code == 404
    assert await images_of(client, gallery) == []
    await eventually(lambda: is_sound(portal))


async def test_of_edits_from_the_same_reading_one_wins(client: httpx.AsyncClient, gallery: str) -> None:
    image_id = (await add_some(client, gallery, 1))[0]
    await eventually(lambda: all_are_ready(client, gallery))
    address = f"/api/images/{image_id}"
    etag = (await client.get(address)).headers["etag"]
    answers = await asyncio.gather(
        *(
            client.put(f"{address}/metadata", json={"caption": f"Number {number}"}, headers={"If-Match": etag})
            for number in range(10)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    winner = next(answer.json()["caption"] for answer in answers if answer.status_code == 200)
    assert (await client.get(address)).json()["caption"] == winner
