"""R21: told to stop under load, with a client that stands still in the middle of its body, one that only keeps a line, and one
that reads a live stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest

from portal.embedded import EmbeddedServer
from tests import samples
from tests.drilling import Figure, Rounds
from tests.drills.traffic import (
    COME_BACK,
    all_are_ready,
    assert_sound,
    client_of,
    connect,
    images_of,
    leftovers,
    make_gallery,
    sweep,
    upload,
)
from tests.e2e.server import RunningPortal
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.drill("R21")
END_SECONDS = 30
LANES = 6
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def test_told_to_stop_under_load_it_ends_in_order_and_keeps_what_it_acknowledged(
    portal: RunningPortal, token: str, rounds: Rounds, figure: Figure
) -> None:
    slowest = 0.0
    for _ in range(rounds(1, 10, "ends")):
        async with client_of(portal, token) as client, database_of(portal):
            gallery = await make_gallery(client)
            acknowledged: list[str] = []
            lanes = [asyncio.create_task(send(client, gallery, acknowledged)) for _ in range(LANES)]
            idle, stalled = await idle_line(portal), await stalled_line(portal, token, gallery)
            watching = await watching_line(portal, token)
            await eventually(lambda done=acknowledged: len(done) >= 10)
            slowest = max(slowest, await end(portal))
            await asyncio.gather(*lanes)
            assert await asyncio.wait_for(idle[0].read(), PATIENCE) == b""
            assert b"event: end" in await asyncio.wait_for(watching[0].read(), PATIENCE)
            for _, writer in (idle, stalled, watching):
                writer.close()
            assert await jobs_in_hand(portal) == 0
        await asyncio.to_thread(portal.start)
        async with client_of(portal, token) as client:
            assert set(acknowledged) <= {image["id"] for image in await images_of(client, gallery)}
            await eventually(lambda c=client, g=gallery: all_are_ready(c, g), 300)
        await sweep(portal)
        assert leftovers(portal) == []
        await assert_sound(portal)
    figure(f"ended {slowest:.1f} s after the signal at most")


@asynccontextmanager
async def database_of(portal: RunningPortal) -> AsyncIterator[None]:
    """Another user of the embedded server, so that it can be asked after the portal's end."""
    if portal.database is not None:
        yield
        return
    server = EmbeddedServer(portal.data_dir)
    await asyncio.to_thread(server.start)
    try:
        yield
    finally:
        await asyncio.to_thread(server.release)


async def send(client: httpx.AsyncClient, gallery: str, acknowledged: list[str]) -> None:
    """Until nobody takes it any more."""
    while True:
        data = samples.jpeg(640, 480, comment=uuid4().bytes)
        try:
            answer = await upload(client, gallery, data)
        except httpx.TransportError:
            return
        if answer.status_code == 201:
            acknowledged.append(answer.json()["id"])
        else:
            assert answer.status_code in COME_BACK, answer.text


async def idle_line(portal: RunningPortal) -> Line:
    reader, writer = await asyncio.open_connection("127.0.0.1", portal.port)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await reader.readuntil(b"}") != b""
    return reader, writer


async def watching_line(portal: RunningPortal, token: str) -> Line:
    reader, writer = await asyncio.open_connection("127.0.0.1", portal.port)
    head = f"GET /maintenance/jobs/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    await reader.readuntil(b"event: now")
    return reader, writer


async def stalled_line(portal: RunningPortal, token: str, gallery: str) -> Line:
    reader, writer = await asyncio.open_connection("127.0.0.1", portal.port)
    head = f"POST /api/images/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    kind = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n"
    field = f'--x\r\nContent-Disposition: form-data; name="entity_id"\r\n\r\n{gallery}\r\n'
    file = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    writer.write((head + kind + field + file).encode() + samples.noisy(1200, 900)[:400_000])
    await writer.drain()
    return reader, writer


async def end(portal: RunningPortal) -> float:
    """The seconds from SIGTERM to exit code 0."""
    assert portal.process is not None
    began = time.monotonic()
    ending = asyncio.create_task(asyncio.to_thread(portal.stop))
    await eventually(lambda: is_closed(portal))
    await ending
    took = time.monotonic() - began
    assert portal.process.returncode == 0
    assert took <= END_SECONDS
    return took


async def is_closed(portal: RunningPortal) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", portal.port)
    except ConnectionError:
        return True
    writer.close()
    return False


async def jobs_in_hand(portal: RunningPortal) -> int:
    connection = await connect(portal)
    try:
        return await connection.fetchval("SELECT count(*) FROM pgqueuer WHERE status = 'picked'")
    finally:
        await connection.close()
