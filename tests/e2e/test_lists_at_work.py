"""Lists as staff use them: by keys through what lacks a picture, rows that follow, orders and views that last."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import Gallery, payload
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers


def at(page: Page, end: str) -> None:
    expect(page).to_have_url(re.compile(re.escape(end) + "$"))
    page.wait_for_load_state()  # keys are heard from then on


def test_n_leads_through_what_lacks_a_picture(portal: RunningPortal, api: Api, visit: Visits):
    mark = new_id()
    ids = [f"{mark}-{number}" for number in (1, 2, 3)]
    for id in ids:
        api.put_entity("companies", id, f"Way {id}")
    page = visit("editor")
    page.goto(f"{portal.url}/entities/companies?q={mark}&missing=image")
    page.get_by_label("Search companies").press("n")  # in a field it is a letter
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_label("Search companies").fill(mark)
    onward = f"/entity-next/companies?q={mark}&missing=image"
    expect(page.locator("main [data-next]")).to_have_attribute("href", onward)
    wait_for_answers(page)
    page.locator("h1").click()
    page.keyboard.press("n")
    at(page, f"/entities/companies/{ids[0]}?q={mark}&missing=image")
    way = page.get_by_role("complementary", name="Without a picture")
    expect(way).to_contain_text("This company wants a picture.")
    expect(way).to_contain_text("3 left")
    gallery = Gallery(page, portal.url)
    gallery.choose(payload("face.jpg", samples.distinct(7, 160, 120)))
    gallery.expect_ready(1)
    expect(way).to_contain_text("This company has a picture now.")
    expect(way).to_contain_text("2 left")
    wait_for_answers(page)
    page.get_by_label("Add pictures: choose files").press("n")  # where the hand is; nothing is typed there
    at(page, f"/entities/companies/{ids[1]}?q={mark}&missing=image")
    way.get_by_role("link", name="Skip to the next").click()
    at(page, f"/entities/companies/{ids[2]}?q={mark}&missing=image")
    page.keyboard.press("n")  # after the last comes what was skipped
    at(page, f"/entities/companies/{ids[1]}?q={mark}&missing=image")
    way.get_by_role("link", name="Back to the list").click()
    at(page, f"/entities/companies?q={mark}&missing=image")
    expect(page.locator("#rows tr")).to_have_count(2)


def test_rows_follow_by_themselves_and_the_focus_with_them(portal: RunningPortal, api: Api, visit: Visits):
    mark = new_id()
    rows_of_file = [f"categories,{mark}-{number:02},Row {mark} {number:02}" for number in range(53)]
    imported = api.client.post(
        "/api/entities/import",
        content="\n".join(["type,id,name", *rows_of_file]),
        headers={"content-type": "text/csv"},
    )
    assert imported.status_code == 200
    page = visit("viewer")
    page.goto(f"{portal.url}/entities/categories?q={mark}")
    rows = page.locator("#rows tr")
    expect(rows).to_have_count(51)  # the last one leads on
    page.get_by_role("link", name="Show more").focus()  # comes into view
    expect(rows).to_have_count(53)
    expect(page.get_by_role("link", name=f"Row {mark} 50")).to_be_focused()
    page.locator("h1").scroll_into_view_if_needed()  # where the orders are; from there "Show more" is out of sight
    page.get_by_label("Order").select_option("Most pictures")
    expect(rows).to_have_count(51)
    at(page, f"?q={mark}&sort=most")
    page.reload()
    expect(page.get_by_label("Order")).to_have_value("most")
    page.get_by_role("link", name="Category", exact=True).click()
    expect(page.get_by_role("columnheader", name="Category")).to_have_attribute("aria-sort", "ascending")


def test_a_view_is_kept_named_anew_and_deleted_by_keys(portal: RunningPortal, visit: Visits):
    mark = new_id()
    page = visit("editor")
    page.goto(f"{portal.url}/entities/invoices?missing=primary&sort=fewest")
    opener, field = page.locator("#views > summary"), page.get_by_label("Keep what you see now as")
    opener.press("Enter")
    field.fill(f"To do {mark}")
    field.press("Enter")
    kept = page.locator("#nav-views").get_by_role("link", name=f"To do {mark}")
    expect(kept).to_have_attribute("aria-current", "true")
    wait_for_answers(page)
    visit.watch_of(page).expect("422")
    opener.press("Enter")
    field.fill(f"To do {mark}")
    field.press("Enter")
    expect(page.get_by_text("You have a view of this name already.")).to_be_visible()
    expect(field).to_be_focused()
    expect(field).to_have_value(f"To do {mark}")
    wait_for_answers(page)
    page.get_by_label(f"Change To do {mark}").first.press("Enter")
    form = page.get_by_role("form", name=f"Change To do {mark}")
    form.get_by_label("Name").fill(f"Done {mark}")
    form.get_by_label("Name").press("Enter")
    named = page.locator("#nav-views").get_by_role("link", name=f"Done {mark}")
    expect(named).to_be_visible()
    page.goto(f"{portal.url}/entities/invoices")
    named.click()
    at(page, "/entities/invoices?missing=primary&sort=fewest")
    opener.press("Enter")
    page.get_by_label(f"Change Done {mark}").first.press("Enter")
    page.get_by_role("button", name="Delete this view").locator("visible=true").press("Enter")
    expect(named).to_have_count(0)


def test_the_board_leads_to_those_that_lack_it(portal: RunningPortal, api: Api, visit: Visits):
    api.put_entity("customers", new_id(), "Board")
    page = visit("editor")
    page.goto(f"{portal.url}/coverage")
    row = page.get_by_role("row", name=re.compile("Customers"))
    row.get_by_role("link", name="With a primary").click()
    at(page, "/entities/customers?missing=primary")
    expect(page.locator("#filters [aria-current]")).to_contain_text("Without a primary picture")
    page.goto(f"{portal.url}/coverage")
    page.keyboard.press("n")
    expect(page.get_by_role("complementary", name="Without a picture")).to_be_visible()
