"""Ask clamd about a file. Fail closed: what is not answered in time with a plain OK is not taken in.

The protocol (clamd(8), INSTREAM): `zINSTREAM` and NUL; each chunk behind its length in four bytes, big-endian; a length
of zero ends; clamd answers one line that ends with NUL.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from portal.errors import Infected, Unavailable

Address = tuple[str, int]  # host and port, or the path of a socket and 0

CONNECT_SECONDS: Final = 5
SCAN_SECONDS: Final = 30  # connecting, sending and the answer together
PING_SECONDS: Final = 2
CHUNK: Final = 64 * 1024
LONGEST_ANSWER: Final = 4096
_FOUND = re.compile(r"stream: (.+) FOUND")
_LENGTH = struct.Struct(">I")


async def scan(address: Address, path: Path) -> None:
    """Raises Infected; Unavailable for every answer but OK, and for none; OSError when the file can't be read."""
    try:
        async with asyncio.timeout(SCAN_SECONDS), _connected(address) as (reader, writer):
            answer = await _ask(reader, writer, path)
    except (_Away, TimeoutError) as error:
        raise _unavailable() from error
    if found := _FOUND.fullmatch(answer):
        name = "".join(c for c in found[1] if c.isprintable())[:100]
        raise Infected(
            f"The virus scanner knows this file as “{name}”. It was not kept: check the computer that it comes from."
        ) from RuntimeError(answer)
    if answer != "stream: OK":
        raise _unavailable() from RuntimeError(f"clamd answered {answer!r}")


async def is_there(address: Address) -> bool:
    try:
        async with asyncio.timeout(PING_SECONDS), _connected(address) as (reader, writer):
            writer.write(b"zPING\0")
            return await _answer(reader) == "PONG"
    except (_Away, TimeoutError):
        return False


class _Away(Exception):
    """The connection could not be had or did not last."""


@contextlib.asynccontextmanager
async def _connected(address: Address) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            host, port = address
            if port:
                reader, writer = await asyncio.open_connection(host, port, limit=LONGEST_ANSWER)
            else:
                reader, writer = await asyncio.open_unix_connection(host, limit=LONGEST_ANSWER)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError too
        raise _Away from error
    try:
        yield reader, writer
    finally:
        writer.transport.abort()  # nothing more is said; closing in order could wait for a peer that hangs


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: Path) -> str:
    """Listens while it sends: a scanner that takes no more answers and hangs up in the middle."""
    answering = asyncio.create_task(_answer(reader))
    try:
        with contextlib.suppress(_Away):
            await _send(writer, path)
        return await answering
    finally:
        answering.cancel()


async def _send(writer: asyncio.StreamWriter, path: Path) -> None:
    with await asyncio.to_thread(path.open, "rb") as file:
        writer.write(b"zINSTREAM\0")
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            await _write(writer, _LENGTH.pack(len(chunk)) + chunk)
        await _write(writer, _LENGTH.pack(0))


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    try:
        writer.write(data)
        await writer.drain()
    except OSError as error:
        raise _Away from error


async def _answer(reader: asyncio.StreamReader) -> str:
    """Nothing when the connection ends before the answer does."""
    try:
        return (await reader.readuntil(b"\0"))[:-1].decode("utf-8", "replace").strip()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return ""


def _unavailable() -> Unavailable:
    return Unavailable(
        "The virus scanner could not look at this file, and nothing is taken in without that. Add it again in a minute.",
        retry_after=30,
    )
