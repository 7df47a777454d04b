"""The page about jobs, as staff see it: what is done while one looks, what failed and is tried again, what is paused."""

from __future__ import annotations

import re
import subprocess
import sys
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Api, Visits
from tests.e2e.pages import READY_MS
from tests.e2e.photos import demo_photo
from tests.e2e.server import CHECKOUT, RunningPortal
from tests.e2e.test_access import check
from tests.e2e.waits import wait_for_answers, wait_until

FAIL = """
import asyncio, sys
from portal import database, settings

async def main(id):
    async with database.open_database(settings.load()):
        await database.execute(
            '''UPDATE image SET status = 'failed', renditions = '{}', tries = 6,
                      error = '{"code": "failed", "message": "The decoder died six times."}' WHERE id = $1''', id)

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def failed(portal: RunningPortal, api: Api) -> str:
    gallery = f"JOB-{uuid4()}"
    api.put_entity("inventory_items", gallery, "Fjord mug of jobs")
    image_id = api.add_picture("inventory_items", gallery, "broken-mug.jpg", demo_photo("mug-front"))
    command = [sys.executable, "-c", FAIL, image_id]
    subprocess.run(command, cwd=CHECKOUT, env=portal.environment, check=True, timeout=120)
    return image_id


def unfold(page: Page, words: str) -> None:
    """To stay: a list that was asked for before is swapped in folded."""
    summary = page.get_by_text(words)

    def is_open() -> bool:
        wait_for_answers(page)
        if not summary.evaluate("(summary) => summary.closest('details').open"):
            summary.click()
            return False
        return True

    wait_until(page, is_open, f"{words} does not stay open")


def test_a_failed_picture_is_found_tried_again_and_gone_from_the_page_without_a_reload(
    portal: RunningPortal, visit: Visits, failed: str, axe: str
):
    page = visit("admin")
    page.goto(portal.url)
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Jobs").click()
    expect(page).to_have_url(re.compile(r"/maintenance/jobs\?state=failed"))
    row = page.get_by_role("listitem").filter(has_text="broken-mug.jpg")
    expect(row).to_contain_text("The decoder died six times.")
    expect(row).to_contain_text("6 tries")
    check(page, axe)
    row.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("status").filter(has_text="The picture is tried again")).to_be_visible()
    expect(row).to_have_count(0)
    expect(page.get_by_text("No picture failed")).to_be_visible(timeout=READY_MS)


@pytest.mark.parametrize("how", ["by a stream", "by asking now and then"])
def test_renditions_are_made_again_before_ones_eyes_once_they_are_no_longer_paused(
    portal: RunningPortal, visit: Visits, api: Api, failed: str, axe: str, how: str
):
    page = visit("admin", viewport={"width": 390, "height": 844})
    if how != "by a stream":
        page.add_init_script("delete window.EventSource")
    page.goto(f"{portal.url}/maintenance/jobs")
    expect(page.get_by_text(re.compile(r"\d worker"))).to_be_visible()
    unfold(page, "Pause one kind")
    page.get_by_role("button", name=re.compile(r"^Pause\s*: Renditions")).click()
    expect(page.get_by_text("Renditions: paused")).to_be_visible()
    unfold(page, "Make renditions again…")
    page.get_by_role("button", name="Make them again").click()
    job = page.get_by_role("row").filter(has_text="pictures that lack some").first
    expect(job).to_contain_text(re.compile(r"0 of \d+ pictures"), timeout=READY_MS)
    expect(job.get_by_text("Running", exact=True)).to_be_visible()
    check(page, axe)
    page.evaluate("window.wasHere = true")
    page.get_by_role("button", name="Go on", exact=True).click()
    expect(job.get_by_text("Done", exact=True)).to_be_visible(timeout=READY_MS)
    expect(job).to_contain_text(re.compile(r"\d pictures?"))
    assert page.evaluate("window.wasHere === true")
    assert api.client.get(f"/api/images/{failed}").json()["status"] == "ready"
