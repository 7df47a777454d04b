"""R20: the child that decodes dies, or has no more memory. Only its picture fails; the server answers on and stays small."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import psutil
import pytest

from tests import samples
from tests.drilling import Figure, Rounds
from tests.drills.traffic import all_are_ready, assert_sound, make_gallery, upload
from tests.e2e.server import RunningPortal
from tests.waiting import eventually

pytestmark = [
    pytest.mark.drill("R20"),
    pytest.mark.skipif(sys.platform != "linux", reason="another process's limits are set by prlimit, which Linux has"),
]
MEGABYTE = 1024 * 1024
GROWTH = 150 * MEGABYTE


HEADROOM = 4 * MEGABYTE
AT_WORK = 25 * MEGABYTE  # more than a decoder without work: the slow picture's coefficients alone are 40
VERIFY_NICE, RENDER_NICE = 5, 10  # than the server itself: how the two kinds of decoders are told apart
DEATHS = (signal.SIGSEGV, signal.SIGKILL)


@pytest.fixture(scope="module")
def slow() -> bytes:
    """A second or more, and 60 MB, in a decoder."""
    return samples.many_scans(40, 4500)


async def test_a_decoder_that_dies_in_a_verification_refuses_only_that_picture(
    portal: RunningPortal, client: httpx.AsyncClient, slow: bytes, rounds: Rounds, figure: Figure
) -> None:
    async with unmoved(portal, client, figure):
        for turn in range(rounds(2, 20, "deaths")):
            gallery = await make_gallery(client)
            doomed = asyncio.create_task(upload(client, gallery, slow))
            (await busiest(portal)).send_signal(DEATHS[turn % len(DEATHS)])
            other = await upload(client, gallery, samples.distinct(1))
            assert other.status_code == 201
            answer = await doomed
            assert answer.status_code == 422, answer.text
            assert answer.json()["code"] in {"not_an_image", "too_many_pixels"}
            await eventually(lambda g=gallery: all_are_ready(client, g))
    await assert_sound(portal)


async def test_a_decoder_that_dies_in_a_rendering_fails_only_that_picture_and_a_retry_cures_it(
    portal: RunningPortal, client: httpx.AsyncClient, slow: bytes, rounds: Rounds, figure: Figure
) -> None:
    async with unmoved(portal, client, figure):
        for turn in range(rounds(1, 10, "deaths")):
            gallery, other = await make_gallery(client), await make_gallery(client)
            answer = await upload(client, gallery, slow)
            assert answer.status_code == 201, answer.text
            address = f"/api/images/{answer.json()['id']}"
            (await busiest(portal)).send_signal(DEATHS[turn % len(DEATHS)])
            assert (await upload(client, other, samples.distinct(1))).status_code == 201
            await eventually(lambda a=address: has_failed(client, a))
            assert (await client.get(address)).json()["error"]["message"]
            await eventually(lambda g=other: all_are_ready(client, g))
            await retry(client, answer.json()["id"])
            await eventually(lambda g=gallery: all_are_ready(client, g))
    await assert_sound(portal)


async def test_a_decoder_without_memory_fails_only_the_picture_that_needs_it(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str, figure: Figure
) -> None:
    photo = samples.noisy(4000, 3000)
    assert (await upload(client, gallery, photo)).status_code == 201  # both kinds of decoders have been at work
    await eventually(lambda: all_are_ready(client, gallery))
    async with unmoved(portal, client, figure):
        with starved(portal, VERIFY_NICE):
            refused = await upload(client, await make_gallery(client), photo)
            assert refused.status_code == 422, refused.text
            assert refused.json()["code"] == "too_many_pixels"
            assert (await upload(client, gallery, samples.distinct(1))).status_code == 201
        other = await make_gallery(client)
        with starved(portal, RENDER_NICE):
            answer = await upload(client, other, photo)
            assert answer.status_code == 201, answer.text
            await eventually(lambda: has_failed(client, f"/api/images/{answer.json()['id']}"))
            await eventually(lambda: all_are_ready(client, gallery))
        await retry(client, answer.json()["id"])
        await eventually(lambda: all_are_ready(client, other))
    await assert_sound(portal)


@contextmanager
def starved(portal: RunningPortal, niceness: int) -> Iterator[None]:
    """These decoders get hardly more memory than they have; they are killed in the end, and others follow."""
    assert portal.process is not None
    niceness += psutil.Process(portal.process.pid).nice()
    children = [child for child in decoders(portal) if child.nice() == niceness]
    assert children
    for child in children:
        _, hard = child.rlimit(psutil.RLIMIT_AS)
        child.rlimit(psutil.RLIMIT_AS, (child.memory_info().vms + HEADROOM, hard))
    try:
        yield
    finally:
        for child in children:
            child.kill()


async def retry(client: httpx.AsyncClient, image_id: str) -> None:
    answer = await client.post(f"/images/{image_id}/retry")
    assert answer.status_code < 400, answer.text


async def has_failed(client: httpx.AsyncClient, address: str) -> bool:
    return (await client.get(address)).json()["status"] == "failed"


def decoders(portal: RunningPortal) -> list[psutil.Process]:
    assert portal.process is not None
    return [each for each in psutil.Process(portal.process.pid).children() if _is_decoder(each)]


def _is_decoder(process: psutil.Process) -> bool:
    try:
        return "portal.imaging.child" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


async def busiest(portal: RunningPortal) -> psutil.Process:
    """The decoder that holds the slow picture, once one does: neither one that starts nor one that is idle is so large. (One
    that starts has hardly any memory yet: all others are large beside it.)"""
    found: list[psutil.Process] = []

    def look() -> bool:
        held = {child: _held(child) for child in decoders(portal)}
        largest = max(held.values(), default=0)
        idle = min((bytes for bytes in held.values() if bytes > largest / 4), default=0)
        found[:] = [child for child, bytes in held.items() if bytes > idle + AT_WORK]
        return bool(found)

    await eventually(look)
    return found[0]


def _held(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


@asynccontextmanager
async def unmoved(portal: RunningPortal, client: httpx.AsyncClient, figure: Figure) -> AsyncIterator[None]:
    """Meanwhile every heartbeat is answered, and afterwards the server is no larger than before."""
    assert portal.process is not None
    server = psutil.Process(portal.process.pid)
    before, slowest, over = server.memory_info().rss, 0.0, asyncio.Event()

    async def beat() -> None:
        nonlocal slowest
        while not over.is_set():
            began = time.monotonic()
            assert (await client.get("/health/live")).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.05)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        over.set()
        await beating
    grown = server.memory_info().rss - before
    assert server.is_running()
    assert grown < GROWTH
    figure(f"slowest heartbeat {slowest * 1000:.0f} ms, server {grown / MEGABYTE:+.0f} MB")
