"""Tells PORTAL_ALERT_WEBHOOK when something turns critical, and when it is well again: once for each change, in their order.

A change is written into a book in the transaction that remembers the look; whoever of the processes has the turn sends what is
due and strikes it out. A process killed between the answer and the stroke is the one case in which a letter comes twice: it
carries the same `id` then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import structlog

from portal import database
from portal.errors import Unavailable
from portal.maintenance.health import books
from portal.maintenance.health.books import Book
from portal.maintenance.health.check import Check, utc_now
from portal.maintenance.health.letters import PATIENCE, FileBook, Keeper, NotTold, SharedBook, host_of, post
from portal.settings import Settings

log = structlog.get_logger()

OWN_BOOK: Final = frozenset({"database"})
PAGE: Final = "/maintenance/health"
_WORDS: Final = {"critical": "is critical", "ok": "is well again", "test": "is only being tested"}


@dataclass(frozen=True, slots=True)
class Correspondence:
    """For the page: to whom; what was told last, and what waits to be told, with why it was not taken."""

    host: str
    last_at: datetime | None = None
    last_words: str = ""
    waiting: int = 0
    trouble: str = ""
    next_at: datetime | None = None


class Alerts:
    """`apart`: seconds between looks that count. One for each process; without an address it does nothing."""

    def __init__(self, settings: Settings, *, apart: float, now: Callable[[], datetime] = utc_now) -> None:
        self.url = settings.alert_webhook
        self._base_url, self._now, self._apart = settings.base_url, now, timedelta(seconds=apart)
        self._shared, self._own = SharedBook(), FileBook(settings.data_dir)
        self._is_own_quiet = False  # nothing in the file that a look could change

    def note(self, book: Book, checks: Sequence[Check]) -> Book:
        """The shared book after a look."""
        return books.noted(book, [each for each in checks if each.name not in OWN_BOOK], self._now(), self._apart)

    async def note_own(self, checks: Sequence[Check]) -> None:
        """The same of what befalls the database, into the file."""
        own = [each for each in checks if each.name in OWN_BOOK]
        is_well = all(each.severity != "critical" for each in own)
        if self.url is None or (is_well and self._is_own_quiet):
            return
        book = await self._own.change(lambda book: books.noted(book, own, self._now(), self._apart))
        self._is_own_quiet = is_well and not book.get("states")

    async def tell(self) -> None:
        """Whatever is due, from both books; a book that cannot be had just now is left for later."""
        if self.url is None:
            return
        for keeper in (self._own, self._shared):
            try:
                with database.patience(PATIENCE):
                    await self._tell_from(keeper, self.url)
            except (*database.AWAY, Unavailable):  # the shared book; it says so by the own one
                continue
            except Exception as error:  # alerts are in nobody's way
                log.warning("alerts could not be told", host=host_of(self.url), error=repr(error))

    async def _tell_from(self, keeper: Keeper, url: str) -> None:
        if books.due_letter(await keeper.read(), self._now()) is None:
            return
        async with keeper.turn() as is_ours:
            while is_ours and (letter := books.due_letter(await keeper.read(), self._now())):
                if not await self._send(keeper, url, letter):
                    return

    async def _send(self, keeper: Keeper, url: str, letter: dict[str, Any]) -> bool:
        try:
            await post(url, self._body(letter))
        except NotTold as error:
            words = str(error)
            await keeper.change(lambda book: books.refused(book, letter["id"], words, self._now()))
            log.warning("alert not taken", host=host_of(url), check=letter["check"], trouble=words)
            return False
        await keeper.change(lambda book: books.told(book, letter["id"], self._now()))
        log.info("alert told", host=host_of(url), check=letter["check"], status=letter["status"])
        return True

    async def send_test(self) -> None:
        """Raises NotTold."""
        if self.url is None:
            raise NotTold("PORTAL_ALERT_WEBHOOK is not set")
        at = self._now().isoformat()
        detail = "Somebody has pressed “Send a test” on the portal's health page. Nothing is wrong."
        letter = {"id": str(uuid4()), "check": "test", "status": "test", "title": "The alert", "detail": detail}
        await post(self.url, self._body(letter | {"recommendation": None, "since": at, "at": at}))

    def _body(self, letter: dict[str, Any]) -> dict[str, Any]:
        """`text` is what Slack, Mattermost and Teams show; programs read the rest."""
        page = f"{self._base_url}{PAGE}"
        words = [f"{letter['title']} {_WORDS[letter['status']]}. {letter['detail']}", letter["recommendation"], page]
        keys = ("id", "status", "check", "title", "detail", "recommendation", "since", "at")
        return {"text": " ".join(filter(None, words)), **{key: letter[key] for key in keys}, "url": page}

    async def correspondence(self) -> Correspondence | None:
        """None without an address."""
        if self.url is None:
            return None
        found = [await self._shared.read(), await self._own.read()]
        letters = sorted((letter for book in found for letter in book.get("letters", [])), key=lambda each: each["at"])
        last = max((book["last"] for book in found if book.get("last")), key=lambda each: each["at"], default=None)
        first = letters[0] if letters else None
        return Correspondence(
            host_of(self.url),
            datetime.fromisoformat(last["at"]) if last else None,
            f"{last['title']} {_WORDS[last['status']]}" if last else "",
            len(letters),
            (first["trouble"] or "") if first else "",
            datetime.fromisoformat(first["next_at"]) if first else None,
        )

    async def run(self, seconds: float) -> None:
        """For ever."""
        while self.url is not None:
            await self.tell()
            await asyncio.sleep(seconds)
