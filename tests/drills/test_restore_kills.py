"""R10: a restore that is killed at any moment leaves the old state or the new one, and the next one comes to its end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import pytest

from portal import database
from portal.backups.root import Root
from portal.environment import CHECKOUT
from portal.errors import PortalError
from portal.gallery.service import change_image
from portal.gallery.tasks import purge_objects
from tests.drilling import Figure, Rounds
from tests.factories import EDITOR, make_entity
from tests.restoring import Bench, furnish
from tests.waiting import eventually


@pytest.fixture
def dsn(database_arguments: Mapping[str, Any]) -> str:
    if "dsn" in database_arguments:
        return str(database_arguments["dsn"])
    return "postgresql://{user}@/{database}?host={host}".format_map(database_arguments)


async def killed(bench: Bench, dsn: str, root: Root, seconds: float) -> bool:
    """Was it killed? Else it was done before."""
    command = [sys.executable, "-m", "tests.drills.killed_restore", dsn, str(bench.config.data_dir), root.id]
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60)
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            process.kill()
    return await process.wait() == -signal.SIGKILL


async def is_purged(bench: Bench) -> bool:
    """As the worker does it, once the database knows that the other process is gone."""
    try:
        await purge_objects({}, store=bench.store)
    except PortalError:
        return False
    return True


async def restores() -> int:
    return await database.fetch_value("SELECT count(*) FROM audit WHERE action = 'backup.restore'")


@pytest.mark.drill("R10")
@pytest.mark.timeout(7200)
async def test_a_killed_restore_leaves_the_old_state_or_the_new_one(
    bench: Bench, dsn: str, rounds: Rounds, figure: Figure
) -> None:
    made = await furnish(bench.studio)
    whole = await bench.state()
    root = await bench.back_up()
    await bench.wipe()
    began = time.monotonic()
    assert not await killed(bench, dsn, root, 60)
    longest = time.monotonic() - began  # from its start, so some come to their end
    outcomes = {"old": 0, "new": 0}
    for number in range(rounds(2, 60, "kills")):
        await bench.wipe()
        if number % 2:  # a living portal: the same, with other bytes, texts and a picture more
            await bench.ask(root, dry_run=False)
            await bench.render_rest()
            await bench.studio.replace(made["first"])
            await change_image(made["edited"], {"caption": "since"}, actor=EDITOR)
            await bench.studio.add(await make_entity())
            await bench.render_rest()
        before, done = await bench.state(), await restores()
        await killed(bench, dsn, root, random.uniform(0, longest / 2))
        await eventually(lambda: is_purged(bench))
        is_new = await restores() > done
        outcomes["new" if is_new else "old"] += 1
        if not is_new:
            assert await bench.state() == before
        elif number % 2 == 0:
            assert await bench.state() == whole
        plan = await bench.ask(root, dry_run=False, on_conflict="replace")  # taken up again
        assert (plan.images.create == plan.images.replace == 0) == is_new
        if number % 2 == 0:
            assert await bench.state() == whole
        await bench.render_rest()
        assert await bench.breaches() == []
    figure(f"{outcomes['old']} kills left the old state, {outcomes['new']} the new one")
