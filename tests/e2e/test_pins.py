"""Pinning an invoice on its page, and what its customer sees from then on."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import natural_size
from tests.e2e.server import RunningPortal
from tests.e2e.waits import PREFER


def expect_shape(page: Page, width: int, height: int) -> None:
    """The frame's one picture is of a file of this shape."""
    shown = natural_size(page.locator("figure img:not(.blur)"))
    assert abs(shown[0] / shown[1] - width / height) < 0.05, shown


def test_an_invoice_is_pinned_by_looking_pinned_by_hand_and_unpinned(portal: RunningPortal, visit: Visits, api: Api):
    invoice = new_id()
    api.put_entity("invoices", invoice, "Invoice")
    page = visit("editor")
    page.goto(f"{portal.url}/entities/invoices/{invoice}")
    pin = page.locator("#pin")
    visit.watch_of(page).expect(r"^409: POST ")
    pin.get_by_role("button", name="Pin the pictures").click()
    expect(page.get_by_text("This invoice shows no picture that it could be pinned to.")).to_be_visible()
    picture = api.add_picture("invoices", invoice, "wide.jpg", samples.jpeg(800, 400))

    address = f"{portal.url}/embed/k/{api.issue_key('invoices', invoice, portal.url)['key']}"
    staff = visit("editor")
    staff.goto(address)
    expect_shape(staff, 800, 400)
    page.reload()
    expect(pin).to_contain_text("Not pinned")  # staff only look
    customer = visit()
    customer.goto(address)
    expect_shape(customer, 800, 400)
    page.reload()
    expect(pin).to_contain_text("First opened by its key")

    file = {"file": ("tall.jpg", samples.jpeg(400, 800))}
    answer = api.client.put(f"/api/images/{picture}/file", files=file, headers=PREFER)
    assert answer.json()["renditions"]["optimized"]["height"] == 800
    customer.reload()
    expect_shape(customer, 800, 400)
    page.goto(f"{portal.url}/images/{picture}")
    expect(page.locator("#versions li", has_text="Version 1").get_by_text("Pinned")).to_be_visible()
    page.get_by_label("Breadcrumb").get_by_role("link").last.click()
    pin.get_by_role("button", name="Unpin…").click()
    page.get_by_role("dialog").get_by_role("button", name="Unpin it").click()
    expect(pin).to_contain_text("Not pinned")
    expect(pin.get_by_role("button", name="Pin the pictures")).to_be_focused()  # what had the focus is gone
    page.keyboard.press("Enter")
    expect(pin).to_contain_text("1 picture is pinned")
    expect(pin.get_by_role("button", name="Unpin…")).to_be_focused()
    customer.reload()
    expect_shape(customer, 400, 800)
