from __future__ import annotations

import asyncio

from portal.imaging.turnstile import HEAD_START, Turnstile


async def passed(turnstile: Turnstile, priorities: list[int]) -> list[int]:
    """In which order those who come one after the other, while all places are taken, go through."""
    order: list[int] = []

    async def go(priority: int) -> None:
        async with turnstile.turn(priority):
            order.append(priority)

    async with asyncio.TaskGroup() as tasks, turnstile.turn():
        for priority in priorities:
            tasks.create_task(go(priority))
            await asyncio.sleep(0)
    return order


async def test_who_waits_goes_by_priority_then_in_order():
    assert await passed(Turnstile(), [2, 1, 2, 0, 1]) == [0, 1, 1, 2, 2]


async def test_nobody_waits_for_ever():
    order = await passed(Turnstile(), [1, *[0] * (HEAD_START + 10)])
    assert order.index(1) == HEAD_START - 1


async def test_there_are_so_many_places_and_no_more():
    turnstile, inside, most = Turnstile(3), 0, 0

    async def go(priority: int) -> None:
        nonlocal inside, most
        async with turnstile.turn(priority):
            inside, most = inside + 1, max(most, inside + 1)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(go(number % 3) for number in range(50)))
    assert (inside, most) == (0, 3)


async def test_who_gives_up_takes_no_place_along():
    turnstile = Turnstile(2)
    async with turnstile.turn(), turnstile.turn():
        waiting = [asyncio.create_task(passed(turnstile, [])) for _ in range(4)]
        await asyncio.sleep(0)
        waiting[0].cancel()
    waiting[1].cancel()  # whose turn it is already
    await asyncio.gather(*waiting, return_exceptions=True)
    async with asyncio.timeout(5), turnstile.turn(), turnstile.turn():
        pass
