"""What fifty people on slow lines need who fetch large originals at the same time."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Callable

import httpx
import pytest

from tests import samples
from tests.attack.test_attack import upload
from tests.attack.watcher import Watch, resident_mb
from tests.e2e.server import RunningPortal

READERS = 50
MOST_MB = 150  # more than at rest; what they fetch is 750

pytestmark = pytest.mark.timeout(300)


async def test_fifty_slow_readers_of_15_mb_each_hold_little_memory(
    portal: RunningPortal, client: httpx.AsyncClient, token: str, figure: Callable[[str], None]
) -> None:
    photo = samples.noisy(1600, 1200)
    data = photo + bytes(15 * 2**20 - len(photo))
    answer = await upload(client, "photo.jpg", data)
    assert answer.status_code == 201, answer.text
    path = f"/api/images/serve/{answer.json()['id']}?size=original"
    assert (await client.get(path)).content == data
    assert portal.process is not None
    before = resident_mb(portal.process.pid)
    with Watch(portal) as watch:
        lines = [await begin(portal, path, token) for _ in range(READERS)]
        assert (await client.get(path)).content == data  # meanwhile others are not held up
        digests = await asyncio.gather(*(rest(*line, len(data)) for line in lines))
    figure(f"{READERS} slow readers of 15 MB: {watch.seen}, {before:.0f} MB before")
    assert set(digests) == {hashlib.sha256(data).hexdigest()}
    assert watch.seen.peak_mb - before < MOST_MB


async def begin(portal: RunningPortal, path: str, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Asks, takes the head and then nothing: its window is small, so the portal can't be rid of the rest."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", portal.port))
    reader, writer = await asyncio.open_connection(sock=line, limit=16 * 1024)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return reader, writer


async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> str:
    digest = hashlib.sha256()
    while length:
        piece = await reader.read(64 * 1024)
        assert piece, f"{length} bytes are missing"
        digest.update(piece)
        length -= len(piece)
    writer.close()
    await writer.wait_closed()
    return digest.hexdigest()
