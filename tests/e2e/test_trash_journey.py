"""The trash as somebody empties and rescues: by pointer, by keys alone, as an admin; and what is said before a picture goes."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import Gallery
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers


def throw(api: Api, *names: str) -> str:
    """Pictures of a new item, all in the trash but the first; the item's id."""
    item = new_id()
    api.put_entity("inventory_items", item, f"Item {item}")
    ids = [api.add_picture("inventory_items", item, name, samples.distinct(n)) for n, name in enumerate(names)]
    for image_id in ids[1:]:
        assert api.client.post(f"/api/images/{image_id}/trash").status_code == 200
    return item


def row(page: Page, name: str) -> Locator:
    return page.locator("ul.trash > li[id]").filter(has=page.get_by_role("link", name=name, exact=True))


def tick(page: Page, name: str) -> Locator:
    return row(page, name).get_by_role("checkbox")


def test_some_are_chosen_and_restored_by_pointer(portal: RunningPortal, visit: Visits, api: Api):
    item = throw(api, "stays.jpg", "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    page = visit("editor")
    page.goto(f"{portal.url}/trash")
    bar = page.locator("#trash-choice")
    expect(bar).to_be_hidden()
    tick(page, "d.jpg").check()
    tick(page, "b.jpg").click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 chosen")
    expect(bar.get_by_role("button", name="Delete for good…")).to_have_count(0)  # an admin's
    bar.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("status").filter(has_text="3 pictures are back in their places")).to_be_visible()
    expect(row(page, "c.jpg")).to_have_count(0)
    expect(row(page, "a.jpg")).to_be_visible()
    expect(bar).to_be_hidden()
    Gallery(page, portal.url).open(item).expect_names("stays.jpg", "b.jpg", "c.jpg", "d.jpg")


def test_by_keys_alone_the_focus_goes_to_the_neighbour(portal: RunningPortal, visit: Visits, api: Api):
    throw(api, "stays.jpg", "k1.jpg", "k2.jpg", "k3.jpg")
    page = visit("editor")
    page.goto(f"{portal.url}/trash")
    tick(page, "k3.jpg").focus()
    page.keyboard.press("ArrowDown")
    expect(tick(page, "k2.jpg")).to_be_focused()
    page.keyboard.press("Space")
    expect(tick(page, "k2.jpg")).to_be_checked()
    page.keyboard.press("Escape")
    expect(tick(page, "k2.jpg")).not_to_be_checked()
    page.keyboard.press("Control+a")
    expect(page.locator("ul.trash > li > .check:has(input:not(:checked))")).to_have_count(0)
    page.keyboard.press("Escape")
    restore = row(page, "k2.jpg").get_by_role("button", name="Restore")
    restore.focus()
    page.keyboard.press("Enter")
    expect(row(page, "k2.jpg")).to_have_count(0)
    expect(row(page, "k1.jpg").get_by_role("button", name="Restore")).to_be_focused()


def test_an_admin_deletes_chosen_ones_and_empties_the_rest(portal: RunningPortal, visit: Visits, api: Api):
    throw(api, "stays.jpg", "one.jpg", "two.jpg", "three.jpg")
    page = visit("admin")
    page.goto(f"{portal.url}/trash")
    tick(page, "two.jpg").check()
    page.locator("#trash-choice").get_by_role("button", name="Delete for good…").click()
    expect(page.get_by_role("heading", level=1, name="Delete 1 picture for good?")).to_be_visible()
    page.get_by_role("link", name="Keep it").click()
    expect(row(page, "two.jpg")).to_be_visible()
    tick(page, "two.jpg").check()
    page.locator("#trash-choice").get_by_role("button", name="Delete for good…").click()
    delete(page, "Delete 1 picture")
    expect(row(page, "two.jpg")).to_have_count(0)
    expect(row(page, "one.jpg")).to_be_visible()
    page.get_by_role("link", name="Empty now…").click()
    expect(page.get_by_role("heading", level=1, name=re.compile(r"Delete \d+ pictures for good\?"))).to_be_visible()
    delete(page, re.compile(r"^Delete \d+ pictures$"))
    for name in ("one.jpg", "three.jpg"):  # what others have pinned stays
        expect(row(page, name)).to_have_count(0)


def delete(page: Page, name: str | re.Pattern[str]) -> None:
    page.get_by_role("button", name=name).click()
    expect(page.get_by_role("heading", level=1, name="Trash", exact=True)).to_be_visible()


def test_before_a_picture_goes_it_is_said_where_it_is_used(portal: RunningPortal, visit: Visits, api: Api):
    item, invoice = throw(api, "used.jpg", "gone.jpg"), new_id()
    lines = [{"item": item, "description": "A mug", "quantity": 1}]
    api.put_entity("invoices", invoice, "An invoice", number=f"N-{invoice}", lines=lines)
    page = visit("editor")
    gallery = Gallery(page, portal.url).open(item)
    gallery.card("used.jpg").hover()
    gallery.card("used.jpg").get_by_role("button", name="More for used.jpg").click()
    page.get_by_role("link", name="Used in 2 places").click()
    expect(page.locator("#uses").get_by_role("link", name=f"Invoice N-{invoice}")).to_be_visible()
    gallery.open(item)
    gallery.card("used.jpg").get_by_role("checkbox").check(force=True)
    page.get_by_role("button", name="Used in 2 places").click()
    expect(page.locator("#uses-of-chosen").get_by_role("link", name=f"Card of Item {item}")).to_be_visible()
    page.keyboard.press("Escape")
    wait_for_answers(page)
    gallery.open(item)
    page.get_by_role("button", name="More for this item").click()
    page.get_by_role("button", name="Delete this item…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Used in 1 place")
    dialog.get_by_role("link", name=f"Invoice N-{invoice}").click()
    expect(page.get_by_role("heading", level=1, name="An invoice")).to_be_visible()
