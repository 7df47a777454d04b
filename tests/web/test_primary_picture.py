"""One address for a host's <img>: the primary picture, or the drawing that stands in for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar

from portal.audit.actors import SYSTEM
from portal.gallery.disposal import trash_image
from portal.imaging.pool import RenderPool
from tests.factories import Studio, make_entity
from tests.web.whole_app import caller, whole_app

DRAWING = "/api/images/fallback/inventory_items?size=card"


@pytest.fixture(scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return await whole_app(tmp_path_factory.mktemp("data"))


@pytest.fixture
def shelf(app: Litestar, render_pool: RenderPool) -> Studio:
    return Studio(app.state.parts.store, render_pool)


@pytest.fixture
async def visitor(db: None, app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with await caller(app, None) as client:
        yield client


def address(type: str, id: str, query: str = "") -> str:
    return f"/api/images/entity/{type}/{id}/primary{query}"


def said(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["location"], answer.headers["cache-control"]


async def test_it_leads_to_the_primary_picture_and_without_one_to_the_drawing(
    shelf: Studio, visitor: httpx.AsyncClient
) -> None:
    ref = await make_entity(id="MUG")
    kept = "public, max-age=60"
    for id in ("MUG", "UNHEARD-OF"):
        assert said(await visitor.get(address("inventory_items", id))) == (302, DRAWING, kept)
    waiting = await shelf.add(ref, ready=False)
    assert said(await visitor.get(address("inventory_items", "MUG"))) == (302, DRAWING, kept)
    await trash_image(waiting, actor=SYSTEM, deletes_per_hour=500)
    image = await shelf.add(ref)
    await shelf.add(ref)
    answer = await visitor.get(address("inventory_items", "MUG", "?size=small"))
    there = f"/api/images/serve/{image}?size=small&v=1.1&fallback=inventory_items"
    assert said(answer) == (302, there, kept)
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    shown = await visitor.get(address("inventory_items", "MUG"), follow_redirects=True)
    assert (shown.headers["content-type"], shown.headers["cache-control"]) == (
        "image/jpeg",
        "public, max-age=31536000, immutable",
    )
    mailed = await visitor.get(address("inventory_items", "MUG", "?format=jpeg"))
    assert mailed.headers["location"].endswith("&fallback=inventory_items&format=jpeg")


async def test_what_is_private_is_for_who_may_see_it_by_a_signed_link(
    app: Litestar, shelf: Studio, visitor: httpx.AsyncClient
) -> None:
    ref = await make_entity("customers", id="K-1")
    await shelf.add(ref)
    for id in ("K-1", "K-2"):
        assert (await visitor.get(address("customers", id))).status_code == 404
    async with await caller(app, "viewer") as viewer:
        answer = await viewer.get(address("customers", "K-1"))
        empty = await viewer.get(address("customers", "K-2"))
    assert (answer.status_code, answer.headers["cache-control"]) == (302, "private, max-age=60")
    assert empty.headers["location"] == "/api/images/fallback/customers?size=card"
    assert (await visitor.get(answer.headers["location"])).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("type", "id", "query", "status"),
    [
        ("nothing", "MUG", "", 404),
        ("inventory_items", "..", "", 404),
        ("inventory_items", "MUG", "?size=huge", 404),
        ("inventory_items", "MUG", "?size=original", 404),
        ("inventory_items", "MUG", "?format=bmp", 422),
    ],
)
async def test_what_there_is_not_is_refused(
    visitor: httpx.AsyncClient, type: str, id: str, query: str, status: int
) -> None:
    assert (await visitor.get(address(type, id, query))).status_code == status
