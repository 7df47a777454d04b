from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.drills.traffic import client_of, make_gallery
from tests.e2e.server import RunningPortal


@pytest.fixture(scope="module")
def portal() -> Iterator[RunningPortal]:
    portal = RunningPortal(PORTAL_WORKERS="2").start()
    yield portal
    portal.remove()


@pytest.fixture(scope="module")
def token(portal: RunningPortal) -> str:
    return portal.run("token", "create", "drill", "--role", "admin")


@pytest.fixture
async def client(portal: RunningPortal, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(portal, token) as client:
        yield client


@pytest.fixture
async def gallery(client: httpx.AsyncClient) -> str:
    """An inventory item of this test's own; its id."""
    return await make_gallery(client)
