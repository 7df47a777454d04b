"""What a scanner may answer, and that nothing but a plain OK lets a file in. The real clamd is in tests/web."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from portal.errors import Infected, Unavailable
from portal.imaging import scan as scanning
from portal.imaging.scan import is_there, scan
from tests import samples

Clamd = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    return samples.write(tmp_path, "upload", samples.noisy(800, 600))


@asynccontextmanager
async def listening(clamd: Clamd) -> AsyncIterator[tuple[str, int]]:
    """A scanner that does as `clamd` says to whoever connects."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await clamd(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[:2]


async def received(reader: asyncio.StreamReader) -> list[bytes]:
    """The chunks of one stream, as the protocol has them."""
    assert await reader.readexactly(10) == b"zINSTREAM\0"
    chunks: list[bytes] = []
    while length := struct.unpack(">I", await reader.readexactly(4))[0]:
        chunks.append(await reader.readexactly(length))
    return chunks


def answering(words: bytes) -> Clamd:
    async def clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await received(reader)
        writer.write(words)
        await writer.drain()

    return clamd


async def test_the_whole_file_is_sent_in_chunks_and_ok_lets_it_in(tmp_path: Path) -> None:
    data = samples.noisy(800, 600)
    upload = samples.write(tmp_path, "upload", data)
    seen: list[bytes] = []

    async def clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await received(reader))
        writer.write(b"stream: OK\0")
        await writer.drain()

    async with listening(clamd) as address:
        await scan(address, upload)
    assert b"".join(seen) == data
    assert len(seen) > 1
    assert max(map(len, seen)) == 64 * 1024


async def test_what_is_found_is_named_and_the_answer_kept_for_the_log(upload: Path) -> None:
    async with listening(answering(b"stream: Win.Test.EICAR_HDB-1 FOUND\0")) as address:
        with pytest.raises(Infected, match=r"“Win\.Test\.EICAR_HDB-1”") as refused:
            await scan(address, upload)
    assert (refused.value.status, refused.value.code) == (422, "infected")
    assert "stream: Win.Test.EICAR_HDB-1 FOUND" in str(refused.value.__cause__)


async def test_a_name_of_signs_that_nobody_sees_is_shown_without_them(upload: Path) -> None:
    async with listening(answering("stream: A\x1b[31m\u202eB FOUND\0".encode())) as address:
        with pytest.raises(Infected, match=r"“A\[31mB”"):
            await scan(address, upload)


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"\0",
        b"stream: OK",
        b"stream: OK\n",
        b"OK\0",
        b"stream: OK but\0",
        b"PONG\0",
        b"UNKNOWN COMMAND\0",
        b"stream: Can't allocate memory ERROR\0",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\xff\xfe\0",
        b"x" * 100_000,
        b"x" * 100_000 + b"\0",
    ],
)
async def test_every_other_answer_refuses(upload: Path, words: bytes) -> None:
    async with listening(answering(words)) as address:
        await is_refused(address, upload)


async def is_refused(address: tuple[str, int], upload: Path) -> Unavailable:
    with pytest.raises(Unavailable, match="virus scanner") as refused:
        await scan(address, upload)
    assert (refused.value.status, refused.value.code) == (503, "unavailable")
    assert refused.value.retry_after
    return refused.value


async def test_a_stream_too_long_for_the_scanner_refuses_and_says_so_in_the_log(tmp_path: Path) -> None:
    long = samples.write(tmp_path, "long", bytes(8_000_000))

    async def clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100_000)
        writer.write(b"INSTREAM size limit exceeded. ERROR\0")
        await writer.drain()
        await asyncio.sleep(0.05)  # then it hangs up, with much unread

    async with listening(clamd) as address:
        assert "size limit exceeded" in str((await is_refused(address, long)).__cause__)


async def test_a_scanner_that_hangs_up_at_once_refuses(upload: Path) -> None:
    async def clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pass

    async with listening(clamd) as address:
        await is_refused(address, upload)
        assert not await is_there(address)


async def test_a_scanner_that_never_answers_is_not_waited_for(upload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "SCAN_SECONDS", 0.2)
    monkeypatch.setattr(scanning, "PING_SECONDS", 0.2)

    async def clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # to the end, which never comes

    async with listening(clamd) as address:
        await is_refused(address, upload)
        assert not await is_there(address)


async def test_a_scanner_that_stops_reading_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "SCAN_SECONDS", 0.3)
    long = samples.write(tmp_path, "long", bytes(15_000_000))

    async def clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined] - a socket's transport has it
        await asyncio.sleep(10)

    async with listening(clamd) as address:
        await is_refused(address, long)


async def test_nobody_listening_refuses(upload: Path, tmp_path: Path) -> None:
    async with listening(answering(b"")) as address:
        pass
    for nowhere in (address, (str(tmp_path / "no.socket"), 0), ("nowhere.invalid", 3310), ("x" * 300, 3310)):
        await is_refused(nowhere, upload)
        assert not await is_there(nowhere)


async def test_an_upload_that_vanished_is_no_word_about_the_scanner(tmp_path: Path) -> None:
    async with listening(answering(b"stream: OK\0")) as address:
        with pytest.raises(FileNotFoundError):
            await scan(address, tmp_path / "gone")


async def test_a_ping_is_answered_by_a_pong() -> None:
    async def clamd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(6) == b"zPING\0"
        writer.write(b"PONG\0")
        await writer.drain()

    async with listening(clamd) as address:
        assert await is_there(address)
