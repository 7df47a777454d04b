"""R10: a drill killed at any moment. The portal beside it is what it was, and the next drill removes what was left."""

from __future__ import annotations

import asyncio
import random
import sys

import httpx
import pytest

from tests import samples
from tests.drilling import Rounds
from tests.drills.traffic import all_are_ready, assert_sound, connect, upload
from tests.e2e.server import CHECKOUT, RunningPortal
from tests.waiting import eventually

pytestmark = pytest.mark.drill("R10")


async def scratch_of(portal: RunningPortal) -> list[str]:
    connection = await connect(portal)
    try:
        rows = await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'drill%'")
    finally:
        await connection.close()
    home = portal.data_dir / "drill"
    return [row["nspname"] for row in rows] + ([each.name for each in home.iterdir()] if home.is_dir() else [])


async def test_a_drill_killed_anywhere_leaves_only_scratch_which_the_next_one_removes(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str, rounds: Rounds
):
    for number in range(3):
        assert (await upload(client, gallery, samples.jpeg(200 + number, 150))).status_code == 201
    await eventually(lambda: all_are_ready(client, gallery))
    await asyncio.to_thread(portal.run, "backup", "create")
    for _ in range(rounds(1, 20, "kills")):
        quietly = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
        drilling = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "portal", "backup", "drill"), cwd=CHECKOUT, env=portal.environment, **quietly
        )
        await eventually(lambda: scratch_of(portal))
        await asyncio.sleep(random.uniform(0, 1))  # where it is killed, not for whom is waited
        drilling.kill()
        await drilling.wait()
        assert await all_are_ready(client, gallery)
    said = await asyncio.to_thread(portal.run, "backup", "drill")
    assert "Proven" in said
    assert await scratch_of(portal) == []
    await assert_sound(portal)

    async def is_proven() -> bool:  # a busy portal may not have looked yet, or not for long enough
        health = (await client.get("/api/images/health")).json()
        return next(each for each in health["checks"] if each["name"] == "drill")["severity"] == "ok"

    await eventually(is_proven)
