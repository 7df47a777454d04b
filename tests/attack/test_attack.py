"""Hostile files, odd ones and good ones at once on a real portal: each gets its answer, and nobody else notices."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.attack import files
from tests.attack.conftest import GALLERY
from tests.attack.watcher import Watch, Watched, descriptors
from tests.e2e.server import RunningPortal
from tests.waiting import eventually

AT_ONCE, ROUNDS = 16, 8
P99_MS, SLOWEST_MS, PEAK_MB = 250, 1000, 1500
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
FD_SLACK = 20  # connections to the database, children that a heavy picture brought up

pytestmark = pytest.mark.timeout(1200)


def is_unmoved(seen: Watched) -> bool:
    return seen.p99 < P99_MS and seen.slowest < SLOWEST_MS


def leftovers(portal: RunningPortal) -> list[Path]:
    return list((portal.storage / "temp").iterdir())


async def upload(client: httpx.AsyncClient, name: str, data: bytes) -> httpx.Response:
    """Comes back when it is told to."""
    while True:
        answer = await client.post("/api/images/upload", data=files.FIELDS, files={"file": (name, data)})
        if answer.status_code != 429:
            return answer
        await asyncio.sleep(float(answer.headers["retry-after"]))


def send_raw(portal: RunningPortal, data: bytes, *, listen: bool) -> bytes:
    """The first line of the answer; nothing when the server only hangs up."""
    with socket.create_connection(("127.0.0.1", portal.port), timeout=5) as connection, suppress(OSError):
        connection.sendall(data)
        if listen:
            return connection.recv(65536).partition(b"\r\n")[0]
    return b""


@dataclass
class Attack:
    """Each method sends one thing and notes what did not go as it should."""

    portal: RunningPortal
    token: str
    client: httpx.AsyncClient
    wrong: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def refuse(self, name: str, data: bytes, code: str) -> None:
        async with self.at_once:
            answer = await upload(self.client, name, data)
        if not 400 <= answer.status_code < 500 or answer.json()["code"] != code:
            self.wrong.append(f"{name[:60]}: {answer.status_code} {answer.text[:200]}, not {code}")

    async def take(self, name: str, data: bytes) -> None:
        async with self.at_once:
            answer = await upload(self.client, name, data)
        if answer.status_code == 201:
            self.stored.append(answer.json()["id"])
        else:
            self.wrong.append(f"{name[:60]}: {answer.status_code} {answer.text[:200]}")

    async def post(self, name: str, body: bytes) -> None:
        async with self.at_once:
            answer = await self.client.post("/api/images/upload", content=body, headers=MULTIPART)
        if not 400 <= answer.status_code < 500:
            self.wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")

    async def speak(self, name: str, data: bytes) -> None:
        async with self.at_once:
            answer = await asyncio.to_thread(send_raw, self.portal, data, listen=True)
        if answer and not answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")):
            self.wrong.append(f"{name}: {answer!r}")

    async def abandon(self, share: float) -> None:
        async with self.at_once:
            await asyncio.to_thread(send_raw, self.portal, files.abandoned_request(self.token, share), listen=False)


async def run_attack(portal: RunningPortal, token: str, client: httpx.AsyncClient) -> Watched:
    attack = Attack(portal, token, client)
    work = [
        *(attack.refuse(*each) for each in files.hostile()),
        *(attack.take(*each) for each in files.good()),
        *(attack.post(*each) for each in files.broken_bodies()),
        *(attack.speak(*each) for each in files.broken_requests(token)),
        *(attack.abandon(number / 30) for number in range(30)),
    ]
    random.Random(1).shuffle(work)
    with Watch(portal) as watch:
        await asyncio.gather(*work)
        await eventually(lambda: all_are_ready(client, attack.stored))
    assert attack.wrong == []
    assert len(attack.stored) == len(files.good())
    assert watch.seen.peak_mb < PEAK_MB
    return watch.seen


async def test_an_attack_hurts_nobody_and_leaves_nothing(
    portal: RunningPortal, token: str, client: httpx.AsyncClient, figure: Callable[[str], None]
) -> None:
    """Of its rounds one has to be as fast as promised: whatever else the machine does only ever makes it slower."""
    assert portal.process is not None
    await upload(client, "first.jpg", files.good()[0][1])  # brings the children up
    before = descriptors(portal.process.pid)
    for _ in range(ROUNDS):
        seen = await run_attack(portal, token, client)
        figure(f"an attack: {seen}")
        if is_unmoved(seen):
            break
    else:
        pytest.fail(f"too slow for others in each of {ROUNDS} rounds")
    await eventually(lambda: leftovers(portal) == [])
    assert portal.process.poll() is None
    await eventually(lambda: descriptors(portal.process.pid) <= before + FD_SLACK)  # type: ignore[union-attr] - asserted above
    assert portal.run("fsck", "--json") == ""


async def all_are_ready(client: httpx.AsyncClient, image_ids: list[str]) -> bool:
    for image_id in list(image_ids):
        image = (await client.get(f"/api/images/{image_id}")).json()
        assert image["status"] != "failed", image["error"]
        if image["status"] != "ready":
            return False
    return True


async def test_of_more_uploads_than_are_taken_at_once_all_are_stored_in_the_end(
    portal: RunningPortal, client: httpx.AsyncClient, figure: Callable[[str], None]
) -> None:
    """Busy is 429, never 503. Large files that are quick to decode: reading them is what is many here."""
    padding = b"".join(b"\xff\xfe\xff\xff" + bytes(65533) for _ in range(20))

    async def one(number: int) -> int:
        data = files.samples.distinct(1000 + number)
        data = data[:2] + padding + data[2:]
        tries = 0
        while True:
            answer = await client.post("/api/images/upload", data=files.FIELDS, files={"file": ("a.jpg", data)})
            tries += 1
            if answer.status_code != 429:
                assert answer.status_code == 201, answer.text
                return tries
            await asyncio.sleep(int(answer.headers["retry-after"]))

    with Watch(portal) as watch:
        tries = await asyncio.gather(*(one(number) for number in range(300)))
    figure(f"300 at once: {sum(tries) - 300} times told to come back; {watch.seen}")
    assert watch.seen.peak_mb < PEAK_MB
    await eventually(lambda: leftovers(portal) == [])
    assert (await client.get(f"/api/images/entity/inventory_items/{GALLERY}")).status_code == 200
