"""A backup's archive as a file of this machine, or through a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from portal.errors import Conflict, Unavailable
from portal.jobs.progress import Report

DASH: Final = Path("-")
_PIECE: Final = 1024 * 1024


async def write_pieces(file: Path, pieces: AsyncIterator[bytes], size: int, report: Report) -> None:
    """Whole and lasting under its name, or not at all. Raises Conflict where there is a file of this name, Unavailable."""
    done = 0
    with _written(file) as target:
        async for piece in pieces:
            await asyncio.to_thread(target.write, piece)
            await report(done := done + len(piece), size)


@contextlib.contextmanager
def _written(file: Path) -> Iterator[BinaryIO]:
    if file == DASH:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if os.path.lexists(file):
        raise Conflict(f"{file} is there already.")
    draft = file.with_name(f"{file.name}.part")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        os.rename(draft, file)
        _sync(file.parent)
    except OSError as error:
        raise Unavailable(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def pieces_of(file: Path, report: Report) -> AsyncIterator[bytes]:
    """Raises Unavailable where it cannot be read."""
    done = 0
    try:
        size = None if file == DASH else (await asyncio.to_thread(file.stat)).st_size
        with contextlib.nullcontext(sys.stdin.buffer) if file == DASH else file.open("rb") as source:
            while piece := await asyncio.to_thread(source.read, _PIECE):
                yield piece
                await report(done := done + len(piece), size)
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}.") from error
