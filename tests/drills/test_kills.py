"""R1: the server, with its worker inside or apart, killed in the middle of many uploads. What was acknowledged is there."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests import samples
from tests.drilling import Figure, Rounds
from tests.drills.traffic import (
    FILES_OF_A_READY_IMAGE,
    all_are_ready,
    assert_sound,
    files_of,
    images_of,
    leftovers,
    make_gallery,
    sweep,
    upload,
    upload_until_answered,
)
from tests.e2e.server import CHECKOUT, RunningPortal
from tests.waiting import eventually

pytestmark = pytest.mark.drill("R1")
RESTART_SECONDS = 60  # 3 on an idle machine
READY_SECONDS = 240  # what a killed worker had in hand waits for the end of its lease


class Pair:
    """A portal and, where it renders nothing itself, the worker beside it."""

    def __init__(self, portal: RunningPortal, *, apart: bool) -> None:
        self.portal, self.apart = portal, apart
        self.worker: subprocess.Popen[bytes] | None = None
        if apart:
            portal.command.append("--no-worker")

    def start(self) -> float:
        """The seconds that it took."""
        began = time.monotonic()
        self.portal.start()
        took = time.monotonic() - began
        if self.apart:
            command = [sys.executable, "-m", "portal", "worker"]
            self.worker = subprocess.Popen(
                command, cwd=CHECKOUT, env=self.portal.environment, stderr=subprocess.DEVNULL
            )
        return took

    def kill(self) -> None:
        if self.worker is not None:
            self.worker.kill()
            self.worker.wait()
        self.portal.kill()


@pytest.fixture(scope="module", params=["inside", "apart"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    pair = Pair(RunningPortal(PORTAL_WORKERS="2"), apart=request.param == "apart")
    pair.start()
    yield pair
    if pair.worker is not None:
        pair.worker.terminate()
        pair.worker.wait(60)
    pair.portal.remove()


@pytest.fixture(scope="module")
def portal(pair: Pair) -> RunningPortal:
    return pair.portal


async def test_a_kill_under_load_loses_nothing_and_doubles_nothing(
    pair: Pair, client: httpx.AsyncClient, rounds: Rounds, figure: Figure, is_long: bool
) -> None:
    slowest = 0.0
    uploads = 200 if is_long else 40
    for turn in range(rounds(1, 20, f"kills under {uploads} uploads")):
        pictures = {f"{turn}-{number}": samples.distinct(1000 * turn + number, 320, 240) for number in range(uploads)}
        slowest = max(slowest, await one_kill(pair, client, pictures))
    figure(f"restart in {slowest:.1f} s at most")


async def one_kill(pair: Pair, client: httpx.AsyncClient, pictures: dict[str, bytes]) -> float:
    portal, gallery = pair.portal, await make_gallery(client)
    acknowledged: dict[str, str] = {}

    async def once(key: str) -> None:
        with suppress(httpx.TransportError):
            answer = await upload(client, gallery, pictures[key], key)
            if answer.status_code == 201:
                acknowledged[key] = answer.json()["id"]

    uploads = asyncio.gather(*(once(key) for key in pictures))
    enough = random.randint(1, len(pictures) // 2)
    await eventually(lambda: len(acknowledged) >= enough)
    await asyncio.to_thread(pair.kill)
    await uploads
    seconds = await asyncio.to_thread(pair.start)
    assert seconds < RESTART_SECONDS
    there = {image["id"] for image in await images_of(client, gallery)}
    assert set(acknowledged.values()) <= there
    if there:
        await eventually(lambda: all_are_ready(client, gallery), READY_SECONDS)
    ids = await asyncio.gather(*(upload_until_answered(client, gallery, pictures[key], key) for key in pictures))
    assert {key: ids[number] for number, key in enumerate(pictures) if key in acknowledged} == acknowledged
    await eventually(lambda: all_are_ready(client, gallery), 2 * READY_SECONDS)
    assert sorted(image["id"] for image in await images_of(client, gallery)) == sorted(ids)
    await sweep(portal)
    assert leftovers(portal) == []
    assert len(files_of(portal, set(ids))) == len(ids) * FILES_OF_A_READY_IMAGE
    await assert_sound(portal)
    answer = await client.delete(f"/api/entities/inventory_items/{gallery}")  # else each round checks all before it
    assert answer.status_code == 204
    await eventually(lambda: not files_of(portal, set(ids)))
    return seconds
