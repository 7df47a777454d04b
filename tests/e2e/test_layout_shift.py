"""Pictures that come late move nothing: what stands on a page stands there before the first of them is there."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route

from tests.e2e.conftest import Api, Visits
from tests.e2e.photos import demo_photo
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_until

PLACES = """() => document.fonts.ready.then(() => [...document.querySelectorAll("body *")]
    .map((each) => [each.tagName, each.getBoundingClientRect()])
    .map(([name, { x, y, width, height }]) => [name, ...[x, y, width, height].map(Math.round)].join(" ")))"""
ALL_THERE = """() => [...document.images].every((each) => each.complete && each.naturalWidth
    || each.getBoundingClientRect().top > innerHeight || !each.getClientRects().length)"""


def places_before_and_after(page: Page, address: str) -> tuple[list[str], list[str]]:
    held: list[Route] = []
    is_free = False
    page.route("**/api/images/serve/**", lambda route: route.continue_() if is_free else held.append(route))
    page.goto(address, wait_until="domcontentloaded")
    wait_until(page, lambda: held, "the page asks for no picture")  # those far from its head wait for the layout
    before = page.evaluate(PLACES)
    assert len(before) > 5
    is_free = True
    for route in held:
        route.continue_()
    page.wait_for_function(ALL_THERE)
    return before, page.evaluate(PLACES)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_picture_that_comes_late_moves_nothing(portal: RunningPortal, visit: Visits, api: Api, width: int):
    api.put_entity("inventory_items", "SHIFT", "Stands still")
    have = api.gallery("inventory_items", "SHIFT")
    for name in () if have else ("mug-front", "mug-top", "mug-portrait"):
        api.add_picture("inventory_items", "SHIFT", f"{name}.jpg", demo_photo(name))
    image = api.gallery("inventory_items", "SHIFT")[0]["id"]
    page = visit("viewer", viewport={"width": width, "height": 900})
    for address in ("/entities/inventory_items/SHIFT", f"/images/{image}", "/", "/embed/inventory_items/SHIFT"):
        before, after = places_before_and_after(page, portal.url + address)
        assert before == after, address
        page.unroute_all()
