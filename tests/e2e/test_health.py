"""A disk goes away and comes back: the page tells by itself, admins see it everywhere, and it goes when all is well."""

from __future__ import annotations

from playwright.sync_api import expect

from portal.storage.store import MARKER
from tests.e2e.conftest import Visits
from tests.e2e.pages import PASSWORD, SetUp
from tests.e2e.server import RunningPortal
from tests.e2e.test_access import check
from tests.e2e.waits import PATIENCE_MS

ASKED_AGAIN_MS = 2 * PATIENCE_MS  # every five seconds, of what may be five seconds old


def test_a_disk_that_goes_away_is_told_on_the_open_page_and_on_every_other_until_it_is_back(
    fresh_portal: RunningPortal, visit: Visits, axe: str
):
    page = visit()
    SetUp(page).create_account(fresh_portal.setup_link(), "Ana Berg", "ana@shop.example", PASSWORD)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{fresh_portal.url}/maintenance/health")
    status = page.locator("#health-status")
    expect(status).to_contain_text("All is well")
    expect(page.locator("#check-database")).to_contain_text("answers")
    marker, away = fresh_portal.storage / MARKER, fresh_portal.data_dir / "marker-away"
    marker.rename(away)
    expect(status).to_contain_text("1 critical", timeout=ASKED_AGAIN_MS)
    storage = page.locator("#check-storage")
    expect(storage).to_contain_text("The disk for pictures is not mounted.")
    expect(storage).to_contain_text("Mount the disk.")
    expect(page.locator("#alarms")).to_have_count(0)  # the page itself says it
    page.goto(f"{fresh_portal.url}/trash")
    expect(page.locator("#alarms")).to_contain_text("The disk for pictures is not mounted.")
    check(page, axe)
    page.get_by_role("link", name="See what to do").click()
    expect(storage).to_contain_text("Critical since today")
    check(page, axe)
    away.rename(marker)
    expect(status).to_contain_text("All is well", timeout=ASKED_AGAIN_MS)
    page.goto(f"{fresh_portal.url}/trash")
    expect(page.locator("#alarms")).to_have_count(0)
