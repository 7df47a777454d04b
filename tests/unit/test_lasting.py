"""Figures that take long to find last a while; quick ones are of this moment."""

from __future__ import annotations

import asyncio

import pytest

from portal.entities import lasting
from portal.entities.lasting import Lasting
from tests.waiting import eventually


async def test_what_is_found_at_once_is_found_anew_and_what_took_long_is_kept():
    found: list[float] = []
    seconds = 0.0

    async def find() -> int:
        await asyncio.sleep(seconds)
        found.append(seconds)
        return len(found)

    figure = Lasting(find)
    assert [await figure.get(), await figure.get()] == [1, 2]
    seconds = 0.1
    assert [await figure.get(), await figure.get()] == [3, 3]


async def test_what_took_long_is_shown_while_it_is_found_anew(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lasting, "TIMES", 0)
    gate, found = asyncio.Event(), 0

    async def find() -> int:
        nonlocal found
        if found:
            await gate.wait()
        found += 1
        return found

    figure = Lasting(find, quick=0.0)
    assert [await figure.get(), await figure.get(), await figure.get()] == [1, 1, 1]
    gate.set()

    async def is_new() -> bool:
        return await figure.get() > 1

    await eventually(is_new)


async def test_what_nobody_knows_yet_is_not_waited_for_longer_than_told():
    gate = asyncio.Event()

    async def find() -> int:
        await gate.wait()
        return 1

    figure = Lasting(find)
    assert await figure.find_within(0.01) is None
    gate.set()
    assert await figure.find_within(60) == 1


async def test_what_is_being_found_when_it_is_forgotten_is_not_kept():
    gate, begun, found = asyncio.Event(), asyncio.Event(), 0

    async def find() -> int:
        nonlocal found
        found += 1
        mine = found
        begun.set()
        if mine == 1:
            await gate.wait()
        return mine

    figure = Lasting(find, least=60.0)
    before = asyncio.create_task(figure.get())
    await begun.wait()
    figure.forget()
    assert await figure.get() == 2
    gate.set()
    assert await before == 1
    assert await figure.get() == 2
