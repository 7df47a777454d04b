from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.drills.traffic import client_of, make_gallery
from tests.e2e.server import RunningPortal


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They wait for leases and restarts, one after the other."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def running() -> Iterator[RunningPortal]:
    portal = RunningPortal(PORTAL_WORKERS="2").start()
    yield portal
    portal.remove()


@pytest.fixture(scope="module")
def portal(running: RunningPortal) -> RunningPortal:
    """Shared by the experiments that need no other: a start costs seconds. One that broke it left it stopped."""
    if running.process is None or running.process.poll() is not None:
        running.start()
    return running


@pytest.fixture(scope="module")
def token(portal: RunningPortal) -> str:
    return portal.run("token", "create", f"drill {uuid4()}", "--role", "admin")


@pytest.fixture
async def client(portal: RunningPortal, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(portal, token) as client:
        yield client


@pytest.fixture
async def gallery(client: httpx.AsyncClient) -> AsyncIterator[str]:
    """An inventory item of this test's own; its id. Removed again, else every check looks at all pictures before it."""
    name = await make_gallery(client)
    yield name
    with suppress(httpx.TransportError):
        await client.delete(f"/api/entities/inventory_items/{name}")
