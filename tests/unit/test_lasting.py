"""Figures that take long to find last a while; quick ones are of this moment."""

from __future__ import annotations

import asyncio

import pytest

from portal.entities import lasting
from portal.entities.lasting import Lasting
from tests.waiting import eventually


async def test_what_is_found_at_once_is_found_anew_and_what_took_long_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lasting, "QUICK", 0.05)
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
    monkeypatch.setattr(lasting, "QUICK", -1.0)
    gate, found = asyncio.Event(), 0

    async def find() -> int:
        nonlocal found
        if found:
            await gate.wait()
        found += 1
        return found

    figure = Lasting(find)
    assert [await figure.get(), await figure.get(), await figure.get()] == [1, 1, 1]
    gate.set()

    async def is_new() -> bool:
        return await figure.get() > 1

    await eventually(is_new)


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


@pytest.mark.parametrize(("size", "found"), [(10, 2), (30_000, 1)])
async def test_where_amounts_tell_only_a_figure_of_very_many_is_kept(
    size: int, found: int, monkeypatch: pytest.MonkeyPatch
):
    """However long it took."""
    monkeypatch.setattr(lasting, "QUICK", -1.0)
    times: list[int] = []

    async def find() -> int:
        times.append(size)
        return size

    figure = Lasting(find, is_large=lambda value: value > 20_000)
    assert [await figure.get(), await figure.get()] == [size, size]
    assert len(times) == found
