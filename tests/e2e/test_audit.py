"""The audit log as an admin reads it: what was done, to what effect, in which request, and that no line was changed since."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import Api, Visits
from tests.e2e.photos import demo_photo
from tests.e2e.server import RunningPortal
from tests.e2e.test_access import check


def test_an_admin_finds_who_did_what_takes_it_along_and_has_the_chain_verified(
    portal: RunningPortal, visit: Visits, api: Api, axe: str, tmp_path: Path
):
    api.put_entity("inventory_items", "AUD-1", "Dome lamp")
    image = api.add_picture("inventory_items", "AUD-1", "dome-lamp.jpg", demo_photo("mug-front"), alt_text="A mug")
    answer = api.client.put(f"/api/images/{image}/metadata", json={"alt_text": "A lamp"})
    assert api.client.get("/api/audit").status_code == 403  # an editor's token: that is noted too
    page = visit("admin")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(portal.url)
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Audit log").click()

    page.get_by_label("Picture, entity or id").fill(image)
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(f"**subject={image}**")
    line = page.locator("#audit-lines li").filter(has_text="changed dome-lamp.jpg of AUD-1")
    line.locator("summary").click()
    expect(line.get_by_role("row", name="alt text")).to_contain_text(re.compile(r"A mug\s*A lamp"))
    line.get_by_role("button", name="Copy the request id").click()
    expect(line.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == answer.headers["x-request-id"]
    check(page, axe)

    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "audit.csv")
    with (tmp_path / "audit.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["subject type"], row["subject"]) for row in rows} == {("image", image)}

    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/maintenance/audit")
    page.get_by_label("Only refusals").check()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**denied=1**")
    expect(page.locator("#audit-lines li").filter(has_text="/api/audit").first).to_contain_text("403 forbidden")

    chain = page.get_by_role("region", name="Chain")
    chain.get_by_role("button", name="Verify now").click()
    expect(chain.locator(".badge")).to_have_text("Verified")
    expect(chain).to_contain_text("as they were sealed")
