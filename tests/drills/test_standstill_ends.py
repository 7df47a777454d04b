"""R10: a restore beside a running portal. Its standstill is heard by another process, and ends with it, even by kill -9."""

from __future__ import annotations

import httpx
import pytest

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
