"""R10: a restore beside a running portal. Its standstill is heard by another process, and ends with it, even by kill -9."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests import samples
from tests.drills.traffic import all_are_ready, connect, images_of, upload
from tests.e2e.server import RunningPortal
from tests.standing import standstill
from tests.waiting import eventually

pytestmark = pytest.mark.drill("R10")


async def test_the_portal_stands_still_beside_a_restore_and_goes_on_by_itself_when_it_is_killed(
    portal: RunningPortal, client: httpx.AsyncClient
):
    async def answers(wanted: int) -> bool:
        return (await client.get("/trash", headers={"accept": "text/html"})).status_code == wanted

    assert await answers(200)
    with standstill(portal.environment) as restoring:
        await eventually(lambda: answers(503))
        assert (await client.put("/api/entities/companies/acme", json={"name": "Acme"})).status_code == 503
        restoring.kill()
        await eventually(lambda: answers(200))
    assert (await client.put("/api/entities/companies/acme", json={"name": "Acme"})).status_code in (200, 201)


async def test_a_restore_that_is_held_up_is_shown_for_as_long_as_it_takes_while_pictures_are_served(
    portal: RunningPortal, client: httpx.AsyncClient, gallery: str
):
    async def answers(wanted: int) -> bool:
        return (await client.get("/trash", headers={"accept": "text/html"})).status_code == wanted

    assert (await upload(client, gallery, samples.jpeg(200, 150))).status_code == 201
    await eventually(lambda: all_are_ready(client, gallery))
    image = (await images_of(client, gallery))[0]["id"]
    await asyncio.to_thread(portal.run, "backup", "create")
    writer = await connect(portal)
    try:
        async with writer.transaction():
            await writer.execute("LOCK TABLE image_version IN ROW EXCLUSIVE MODE")  # as somebody who writes
            restoring = asyncio.create_task(asyncio.to_thread(portal.run, "backup", "restore", "latest", "--yes"))
            await eventually(lambda: answers(503))
            assert (await client.get(f"/api/images/serve/{image}?size=small")).status_code == 200
            assert (await upload(client, gallery, samples.jpeg(201, 150))).status_code == 503
            assert not restoring.done()
        await restoring
    finally:
        await writer.close()
    await eventually(lambda: answers(200))
    assert (await upload(client, gallery, samples.jpeg(201, 150))).status_code == 201
