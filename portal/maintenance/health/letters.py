"""The books of alerts, and the way of a letter to its receiver.

What befalls the database itself is in a file beside the data, one for each machine: it must be told while the database is away.
Everything else is in the database, one book for all processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx

from portal.errors import Running
from portal.jobs import alone as turns
from portal.jobs.alone import alone
from portal.maintenance.health import memory
from portal.maintenance.health.books import Book

PATIENCE: Final = 5.0  # seconds for one letter, all in all


class NotTold(Exception):
    """The receiver did not take it; why, in words that name no secret."""


class Keeper(Protocol):
    """Where a book is kept. `turn` yields False while another process is telling."""

    async def read(self) -> Book: ...

    async def change(self, change: Callable[[Book], Book]) -> Book: ...

    def turn(self) -> contextlib.AbstractAsyncContextManager[bool]: ...


class SharedBook:
    """In the database."""

    async def read(self) -> Book:
        return await memory.read_book()

    async def change(self, change: Callable[[Book], Book]) -> Book:
        return await memory.change_book(change)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        async with contextlib.AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(alone(turns.ALERTS))
            except Running:
                yield False
                return
            yield True


class FileBook:
    """In a folder of this machine, beside two locks: one while it is changed, one while somebody tells."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "alerts.json"

    async def read(self) -> Book:
        return await asyncio.to_thread(self._read)

    async def change(self, change: Callable[[Book], Book]) -> Book:
        return await asyncio.to_thread(self._change, change)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._locked("telling", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def _read(self) -> Book:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _change(self, change: Callable[[Book], Book]) -> Book:
        with self._locked("changing", fcntl.LOCK_EX):
            before = self._read()
            book = change(before)
            if book != before:
                draft = self._path.with_suffix(".draft")
                file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                with os.fdopen(file, "w", encoding="utf-8") as stream:
                    json.dump(book, stream)
                draft.replace(self._path)
        return book

    @contextlib.contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        file = os.open(self._path.with_suffix(f".{name}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, how)
            yield
        finally:
            os.close(file)


async def post(url: str, body: dict[str, Any]) -> None:
    """Raises NotTold. No redirect is followed, and the answer's body is not read."""
    try:
        async with (
            asyncio.timeout(PATIENCE),
            httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False) as client,
            client.stream("POST", url, json=body, headers={"Idempotency-Key": str(body["id"])}) as answer,
        ):
            status = answer.status_code
    except TimeoutError as error:
        raise NotTold(f"no answer within {PATIENCE:g} seconds") from error
    except httpx.InvalidURL as error:
        raise NotTold("PORTAL_ALERT_WEBHOOK cannot be used as an address") from error
    except (httpx.HTTPError, OSError) as error:
        raise NotTold("no connection" if isinstance(error, httpx.ConnectError) else "the connection broke") from error
    if not 200 <= status < 300:
        raise NotTold(f"it answered {status}")


def host_of(url: str) -> str:
    """Of the address alone: its rest may be a secret."""
    return urlsplit(url).hostname or ""
