"""Figures that take long to find last a while; quick ones are of this moment."""

from __future__ import annotations

import asyncio

from portal.entities.lasting import Lasting


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
