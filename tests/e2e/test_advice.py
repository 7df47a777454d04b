"""Advice and sizes in a browser: a change is tried, decided, watched until all is made anew, and reset on a phone."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import APIRequestContext, Locator, Page, expect

from tests import samples
from tests.e2e.conftest import Visits
from tests.e2e.pages import PASSWORD, SetUp
from tests.e2e.server import RunningPortal
from tests.e2e.test_access import check
from tests.e2e.waits import PATIENCE_MS, PREFER


def row_of(page: Page, size: str) -> Locator:
    return page.locator("#preset-list li", has=page.get_by_text(size, exact=True))


def fill(portal: RunningPortal, client: APIRequestContext) -> dict[str, str]:
    """Two galleries with two pictures each, one of which they share; the headers of a script."""
    headers = {"Authorization": f"Bearer {portal.run('token', 'create', 'e2e', '--role', 'editor')}"}
    for id, name in (("ONE", "Bowl of ash"), ("TWO", "Bowl of oak")):
        assert client.put(f"{portal.url}/api/entities/inventory_items/{id}", data={"name": name}, headers=headers).ok
        own = samples.noisy(1500, 1100, quality=97)
        for filename, data in (("bowl.jpg", own), ("twin.jpg", samples.jpeg(500, 400))):
            form = {"entity_type": "inventory_items", "entity_id": id}
            file = {"name": filename, "mimeType": "image/jpeg", "buffer": data}
            how: dict[str, Any] = {"multipart": {**form, "file": file}, "headers": headers | PREFER}
            answer = client.post(f"{portal.url}/api/images/upload", timeout=2 * PATIENCE_MS, **how)
            assert (answer.status, answer.json()["status"]) == (201, "ready")
    return headers


def test_a_size_is_tried_changed_watched_and_reset(fresh_portal: RunningPortal, visit: Visits, axe: str):
    page = visit()
    SetUp(page).create_account(fresh_portal.setup_link(), "Ana Berg", "ana@shop.example", PASSWORD)
    client = page.context.request
    headers = fill(fresh_portal, client)
    page.goto(f"{fresh_portal.url}/maintenance/advice")
    expect(page.get_by_role("region", name="Originals that shrink most")).to_contain_text("saved less finely")
    expect(page.get_by_role("region", name="In several galleries")).to_contain_text("Bowl of oak")
    expect(page.get_by_role("region", name="Too small for print")).to_contain_text("42 × 34 mm")
    expect(page.get_by_role("region", name="Without alt text")).to_contain_text("2 pictures")
    check(page, axe)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of too small for print").click()
    assert download.value.suggested_filename == "print.csv"

    page.get_by_role("link", name="Sizes and quality").click()
    expect(row_of(page, "Gallery")).to_be_visible()
    check(page, axe)
    row_of(page, "Gallery").get_by_role("link", name="Change").click()
    page.get_by_label("Width", exact=True).fill("500")
    page.get_by_label("Height", exact=True).fill("500")
    page.get_by_role("button", name="See what it comes to").click()
    estimate = page.locator("#estimate")
    expect(estimate).to_contain_text("instead of 800 × 600")
    expect(estimate.get_by_role("img", name=re.compile("as it would be"))).to_have_count(3)
    check(page, axe)
    estimate.get_by_role("button", name="Change it, and make 4 pictures anew").click()
    expect(row_of(page, "Gallery")).to_contain_text("500 × 500")
    expect(row_of(page, "Gallery")).to_contain_text("Changed")  # it renews itself meanwhile
    expect(page.locator("#rolling, #behind")).to_have_count(0)
    check(page, axe)
    url = f"{fresh_portal.url}/api/images/entity/inventory_items/ONE"
    made = client.get(url, headers=headers).json()["images"][0]["renditions"]
    assert (made["gallery"]["width"], made["large"]["width"]) == (500, 600)

    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{fresh_portal.url}/maintenance/presets/gallery")
    page.get_by_role("button", name="Reset to 800 × 600").click()
    expect(row_of(page, "Gallery")).to_contain_text("800 × 600")
    expect(page.locator("#rolling, #behind")).to_have_count(0)
