"""Restore into an empty portal: everything is what it was."""

from __future__ import annotations

from tests.restoring import Bench, furnish


async def test_everything_comes_back_as_it_was(bench: Bench) -> None:
    await furnish(bench.studio)
    assert await bench.breaches() == []
    before = await bench.state()
    root = await bench.back_up()
    await bench.wipe()
    done = await bench.restore(root)
    assert await bench.state() == before
    assert done.restore_point is None
    assert done.is_into_empty
