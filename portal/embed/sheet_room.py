"""Contact sheets as they are asked for: one at a time, behind uploads, once however many ask, the last ones kept in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from portal.accounts.pace import BURST, PER_SECOND, Pace
from portal.errors import Busy, FileRefused, RateLimited, Unavailable
from portal.imaging.pool import RenderPool
from portal.imaging.sheet import Drawn, Form, Sheet
from portal.imaging.turnstile import Turnstile
from portal.storage.store import Store

HELD_BYTES: Final = 32 * 1024 * 1024
MOST_WAITING: Final = 8
COST: Final = BURST // 10  # a stranger has ten at once, then one every twelve seconds


@dataclass(frozen=True, slots=True)
class Order:
    """What is to stand on a sheet, and the objects of its pictures, which never change under their key."""

    sheet: Sheet
    form: Form
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the same sheet the same, of any other another."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


class SheetRoom:
    """`slot` and `pace` are those of all that is made only because somebody looks."""

    def __init__(self, pool: RenderPool, store: Store, slot: Turnstile, pace: Pace) -> None:
        self._pool, self._store, self._slot, self._pace = pool, store, slot, pace
        self._making: dict[str, asyncio.Task[Drawn]] = {}
        self._made: OrderedDict[str, Drawn] = OrderedDict()
        self._held = 0

    async def sheet_of(self, order: Order, stranger: str | None) -> Drawn:
        """`stranger`: the address of who is not staff. Raises RateLimited when that has had many made, Busy when many wait."""
        made = self._made.get(order.name)
        if made is not None:
            self._made.move_to_end(order.name)
            return made
        return await asyncio.shield(self._making.get(order.name) or self._begin(order, stranger))

    def _begin(self, order: Order, stranger: str | None) -> asyncio.Task[Drawn]:
        if len(self._making) >= MOST_WAITING:
            raise Busy("Many contact sheets are being made. Ask again in a moment.", retry_after=5)
        if stranger is not None and not self._pace.allows(stranger, COST):
            raise RateLimited("Many contact sheets were made for you. Ask again in a moment.", retry_after=_PAUSE)
        task = self._making[order.name] = asyncio.create_task(self._make(order))
        task.add_done_callback(lambda done: self._end(order.name, done))
        return task

    async def _make(self, order: Order) -> Drawn:
        """Raises Unavailable: what is broken of one picture leaves a gap, so no sheet at all is no picture's fault."""
        async with self._slot.turn():
            try:
                return await self._pool.draw_sheet(order.sheet, order.form, self._paths(order.keys))
            except (FileRefused, OSError) as error:
                raise Unavailable(
                    "The contact sheet could not be drawn. Ask again in a moment.", retry_after=10
                ) from error

    def _paths(self, keys: Sequence[str]) -> list[Path]:
        return [self._store.path_of(key) for key in keys]

    def _end(self, name: str, task: asyncio.Task[Drawn]) -> None:
        """Kept when it is whole: a picture that is missing may be healed."""
        del self._making[name]
        if task.cancelled() or task.exception() is not None:
            return
        drawn = task.result()
        if not drawn.is_whole:
            return
        self._made[name] = drawn
        self._held += len(drawn.data)
        while self._held > HELD_BYTES:
            _, dropped = self._made.popitem(last=False)
            self._held -= len(dropped.data)


_PAUSE: Final = round(COST / PER_SECOND)
