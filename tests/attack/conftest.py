from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest

from tests.e2e.server import RunningPortal

GALLERY = "attacked"


@pytest.fixture(scope="module")
def portal() -> Iterator[RunningPortal]:
    portal = RunningPortal(PORTAL_WORKERS="2").start()
    yield portal
    portal.remove()


@pytest.fixture(scope="module")
def token(portal: RunningPortal) -> str:
    return portal.run("token", "create", "attack", "--role", "admin")


@pytest.fixture
async def client(portal: RunningPortal, token: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=400)
    async with httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=120, limits=limits) as client:
        await client.put(f"/api/entities/inventory_items/{GALLERY}", json={"name": GALLERY})
        yield client


@pytest.fixture
def figure(record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Told among the results, whatever they are."""

    def tell(text: str) -> None:
        record_property("figure", text)
        with capsys.disabled():
            print(f"\n  {text}", end="")  # noqa: T201 - figures are for who runs it

    return tell
