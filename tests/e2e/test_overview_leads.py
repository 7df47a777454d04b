"""The overview leads to where each thing is done, and follows what runs."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.server import RunningPortal


def test_each_thing_that_needs_somebody_leads_to_where_it_is_done(portal: RunningPortal, visit: Visits, api: Api):
    item, bare = new_id(), new_id()
    api.put_entity("categories", bare, f"Bare {bare}")
    api.put_entity("categories", item, f"Full {item}")
    api.add_picture("categories", item, f"{item}.jpg", samples.distinct(3))
    page = visit("editor")
    page.goto(f"{portal.url}/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("you")
    expect(page.locator("#recent").get_by_text(f"{item}.jpg")).to_be_attached()
    needs = page.locator("#needs")
    pictures = needs.get_by_role("listitem").filter(has_text="without a picture")
    pictures.get_by_role("link", name=re.compile("categor(y|ies)$")).click()
    page.wait_for_url("**/entities/categories?missing=image")
    expect(page.get_by_role("link", name=f"Bare {bare}").first).to_be_visible()
    page.go_back()
    texts = needs.get_by_role("listitem").filter(has_text="without alt text")
    texts.get_by_role("link", name=re.compile("in categories$")).click()
    page.wait_for_url("**/entities/categories?missing=alt")
    expect(page.get_by_role("link", name=f"Full {item}").first).to_be_visible()
    page.go_back()
    pictures.get_by_role("link", name="Start with the first").click()
    page.wait_for_url(re.compile(r"/entities/\w+/[^/]+\?missing=image"))
    page.goto(f"{portal.url}/")
    page.locator("#coverage").get_by_role("link", name=re.compile("Categories, with a picture")).click()
    page.wait_for_url("**/entities/categories?missing=image")


def test_the_search_box_of_the_overview_finds_while_one_types_by_keys_alone(
    portal: RunningPortal, visit: Visits, api: Api
):
    item = new_id()
    api.put_entity("inventory_items", item, f"Lamp {item}")
    page = visit("viewer")
    page.goto(f"{portal.url}/")
    box = page.locator("main").get_by_role("searchbox", name="Search everything")
    box.focus()
    page.keyboard.type(item)
    hit = page.locator("#quick-found").get_by_role("link", name=re.compile(f"Lamp {item}"))
    expect(hit).to_be_visible()
    page.keyboard.press("Escape")
    expect(hit).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(hit).to_be_focused()
    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/search\?q="))
    expect(page.get_by_role("link", name=re.compile(f"Lamp {item}")).first).to_be_visible()


def test_an_admin_sees_who_did_what_and_a_viewer_does_not(portal: RunningPortal, visit: Visits, api: Api):
    item = new_id()
    api.put_entity("categories", item, f"Told {item}")
    admin = visit("admin")
    admin.goto(f"{portal.url}/")
    expect(admin.locator("#stories").get_by_role("listitem").first).to_be_visible()
    expect(admin.locator("#proof")).to_be_visible()
    viewer = visit("viewer")
    viewer.goto(f"{portal.url}/")
    expect(viewer.locator("#running")).to_be_visible()
    expect(viewer.locator("#stories, #proof")).to_have_count(0)
