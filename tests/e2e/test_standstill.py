"""A restore beside an open portal: people see it on the page that they asked for, and land there when it is over."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.held import rows
from tests.e2e.pages import Gallery, payload
from tests.e2e.server import RunningPortal
from tests.e2e.test_access import check
from tests.e2e.waits import wait_until
from tests.standing import standstill


def await_standstill(page: Page, url: str) -> None:
    """The portal hears of it a moment after it has begun."""
    wait_until(
        page, lambda: "hx-refresh" not in page.request.get(f"{url}/standstill").headers, "it does not stand still"
    )


def test_a_page_asked_for_during_a_restore_says_so_and_opens_by_itself_when_it_is_over(
    portal: RunningPortal, visit: Visits, axe: str
):
    page = visit("editor", viewport={"width": 390, "height": 844})
    visit.watch_of(page).expect("^503: GET .*/trash")
    with standstill(portal.environment):
        await_standstill(page, portal.url)
        page.goto(f"{portal.url}/trash")
        expect(page.get_by_role("heading", name="The portal is being restored")).to_be_visible()
        expect(page.locator("#standstill")).to_contain_text("Since today")
        check(page, axe)
    expect(page.get_by_role("heading", name="Trash", exact=True)).to_be_visible()
    assert page.url == f"{portal.url}/trash"


def test_a_picture_given_to_an_open_gallery_during_a_restore_arrives_after_it(
    portal: RunningPortal, visit: Visits, api: Api
):
    id = new_id()
    api.put_entity("inventory_items", id, f"Restored {id}")
    page = visit("editor")
    gallery = Gallery(page, portal.url).open(id)
    visit.watch_of(page).expect("^503: POST .*/images$", "^503: POST .*/known$")
    with standstill(portal.environment):
        await_standstill(page, portal.url)
        gallery.drop([payload("mug.jpg", samples.jpeg(320, 240))])
        expect(rows(page, "uploading")).to_contain_text("The portal is being restored.")
    gallery.expect_ready(1)
