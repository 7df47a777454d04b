"""R6, R7: PostgreSQL killed again and again, and standing still, under load. 503 and come back; nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

import httpx
import psutil
import pytest

from tests import samples
from tests.drilling import Figure, Rounds
from tests.drills.traffic import (
    COME_BACK,
    all_are_ready,
    assert_sound,
    images_of,
    is_healthy,
    postmaster,
    sweep,
    upload,
    upload_until_answered,
)
from tests.e2e.server import RunningPortal
from tests.waiting import eventually

LANES = 4


class Load:
    """Uploads in lanes until stopped; every answer is 201 or says when to come back."""

    def __init__(self, client: httpx.AsyncClient, gallery: str) -> None:
        self.client, self.gallery = client, gallery
        self.acknowledged: list[str] = []
        self.refused = 0
        self.slowest = 0.0
        self._stopped = asyncio.Event()
        self._lanes = [asyncio.create_task(self._send(lane)) for lane in range(1, LANES + 1)]

    async def _send(self, lane: int) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            began = time.monotonic()
            answer = await upload(self.client, self.gallery, samples.distinct(100_000 * lane + number))
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer.status_code == 201:
                self.acknowledged.append(answer.json()["id"])
                continue
            assert answer.status_code in COME_BACK, answer.text
            assert "retry-after" in answer.headers
            self.refused += 1
            await asyncio.sleep(0.05)

    async def goes_through(self) -> None:
        before = len(self.acknowledged)
        await self._until(lambda: len(self.acknowledged) > before + 3)

    async def is_refused(self) -> None:
        before = self.refused
        await self._until(lambda: self.refused > before)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        await eventually(lambda: is_so() or any(lane.done() for lane in self._lanes))
        for lane in self._lanes:
            if lane.done():
                lane.result()

    async def stop(self) -> None:
        self._stopped.set()
        await asyncio.gather(*self._lanes)


@pytest.mark.drill("R6")
async def test_a_killed_database_costs_only_503s_and_heals(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str, rounds: Rounds, figure: Figure, is_long: bool
) -> None:
    slowest = 0.0
    load = Load(client, gallery)
    for _ in range(rounds(2, 12, "kills")):
        await load.goes_through()
        if is_long:
            await asyncio.sleep(10)
        os.kill(postmaster(portal).pid, signal.SIGKILL)
        began = time.monotonic()
        await load.is_refused()
        await load.goes_through()
        slowest = max(slowest, time.monotonic() - began)
    await load.stop()
    figure(f"uploads went through again {slowest:.1f} s after the kill at most")
    await eventually(lambda: is_healthy(client))
    await eventually(lambda: all_are_ready(client, gallery), 300)
    assert set(load.acknowledged) <= {image["id"] for image in await images_of(client, gallery)}
    await sweep(portal)
    await assert_sound(portal)


@pytest.mark.drill("R7")
async def test_a_database_that_stands_still_is_not_waited_for(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str, rounds: Rounds, figure: Figure
) -> None:
    server = postmaster(portal)
    processes = [server, *server.children()]
    seconds = rounds(1, 30, "s of standing still")
    client.timeout = httpx.Timeout(28)  # requests give up after 4 s; the queue's own patience is 30 s and more
    ends = time.monotonic() + seconds
    slowest = 0.0
    _send(processes, signal.SIGSTOP)
    try:  # all of these come back while the database still stands
        while True:
            slowest = max(slowest, await nobody_waits(portal, client, gallery))
            if time.monotonic() > ends:
                break
    finally:
        _send(processes[::-1], signal.SIGCONT)
    await eventually(lambda: is_healthy(client))
    figure(f"slowest answer {slowest:.1f} s, healthy {time.monotonic() - ends:.1f} s after it")
    await upload_until_answered(client, gallery, samples.distinct(99), "after")
    await eventually(lambda: all_are_ready(client, gallery), 300)
    await sweep(portal)
    await assert_sound(portal)


def _send(processes: list[psutil.Process], signum: signal.Signals) -> None:
    for process in processes:
        if process.is_running():
            process.send_signal(signum)


async def nobody_waits(portal: RunningPortal, client: httpx.AsyncClient, gallery: str) -> float:
    """Every kind of request is answered; the seconds of the slowest."""
    began = time.monotonic()
    answers = await asyncio.gather(
        *(client.get("/api/images") for _ in range(12)),
        *(upload(client, gallery, samples.distinct(number)) for number in range(4)),
        client.get("/api/entities"),
        client.get("/api/search?q=mug"),
    )
    slowest = time.monotonic() - began
    async with httpx.AsyncClient(base_url=portal.url, cookies={"portal": "x" * 43}, timeout=28) as browser:
        page = await browser.get("/")
    assert {answer.status_code for answer in answers} <= COME_BACK
    assert all("retry-after" in answer.headers for answer in answers)
    assert page.status_code in COME_BACK
    assert (await client.get("/health/live")).status_code == 200
    assert not await is_healthy(client)
    return slowest
