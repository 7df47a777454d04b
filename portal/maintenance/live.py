"""A stream for everybody who looks at the jobs: one reading a second for all readers of a process, none where nobody reads."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn
from uuid import UUID

import structlog

from portal.accounts.still import still_let_in
from portal.errors import Busy, Unavailable

log = structlog.get_logger()

TICK: Final = 1.0  # seconds between two readings
HEARTBEAT: Final = 10.0  # a comment, so that nobody in between takes the line for dead
ASK_EVERY: Final = 5  # readings: who was signed out hears nothing more after so many
MOST_STREAMS: Final = 100
MOST_OF_ONE: Final = 8  # person or token


@dataclass(eq=False, slots=True)
class Reader:
    """`credential`: a session's or token's id; `owner`: whose it is."""

    credential: UUID
    owner: UUID
    is_let_in: bool = True


class Live:
    """`read` gives what is shown, as text; readers are sent it whenever it is another one."""

    def __init__(self, read: Callable[[], Awaitable[str]]) -> None:
        self._read = read
        self._shown: str | None = None
        self._number = 0
        self._readers: set[Reader] = set()
        self._wanted, self._news = asyncio.Event(), asyncio.Event()
        self._is_ending = False

    @property
    def readers(self) -> int:
        return len(self._readers)

    async def run(self) -> NoReturn:
        rounds = 0
        while True:
            await self._wanted.wait()
            try:
                if rounds % ASK_EVERY == 0:
                    await self._ask()
                rounds += 1
                self._show(await self._read())
            except Exception as error:  # whatever it is: readers see the next reading
                log.warning("jobs cannot be read", error=repr(error))
            await asyncio.sleep(TICK)

    def end(self) -> None:
        """The streams end, and no new one begins: the process does too."""
        self._is_ending = True
        self._tell()

    def enter(self, credential: UUID, owner: UUID) -> Reader:
        """A place among the readers, for `stream`. Raises Busy, Unavailable: then one asks again and again instead."""
        if self._is_ending:
            raise Unavailable("The portal is ending. Ask again shortly.", retry_after=5)
        if len(self._readers) >= MOST_STREAMS or self._of_owner(owner) >= MOST_OF_ONE:
            raise Busy("Too many pages are being kept up to date. This one asks now and then instead.", retry_after=30)
        reader = Reader(credential, owner)
        self._readers.add(reader)
        self._wanted.set()
        return reader

    def _of_owner(self, owner: UUID) -> int:
        return Counter(reader.owner for reader in self._readers)[owner]

    async def stream(self, reader: Reader) -> AsyncIterator[bytes]:
        """Server-sent events: `now` with what is shown, comments meanwhile; until its reader goes or may not read any more."""
        sent = -1
        try:
            yield b"retry: 3000\n\n"
            while reader.is_let_in and not self._is_ending:
                news, number = self._news, self._number
                if self._shown is not None and number != sent:
                    sent = number
                    yield _event("now", self._shown)
                    continue
                try:
                    await asyncio.wait_for(news.wait(), HEARTBEAT)
                except TimeoutError:
                    yield b": still here\n\n"
            yield _event("end", "")
        finally:
            self.leave(reader)

    def leave(self, reader: Reader) -> None:
        self._readers.discard(reader)
        if not self._readers:
            self._wanted.clear()

    async def _ask(self) -> None:
        known = await still_let_in({reader.credential for reader in self._readers})
        gone = [reader for reader in self._readers if reader.credential not in known]
        for reader in gone:
            reader.is_let_in = False
        if gone:
            self._tell()

    def _show(self, text: str) -> None:
        if text != self._shown:
            self._shown = text
            self._number += 1
            self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _event(name: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()
