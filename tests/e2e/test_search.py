"""One search over all: by keys, by filters, by a photo."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import payload
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers


@pytest.fixture
def word(api: Api) -> str:
    """A word that one item and its two pictures alone hold."""
    word = new_id().replace("-", "")
    api.put_entity("inventory_items", f"{word}-1", f"A kettle {word}")
    api.put_entity("invoices", f"{word}-2", f"Invoice {word}")
    for number in (1, 2):
        text = {"alt_text": f"Kettle {word} {number}"} if number == 1 else {}
        api.add_picture("inventory_items", f"{word}-1", f"{word}-{number}.jpg", samples.distinct(number), **text)
    return word


def found(page: Page) -> list[str]:
    return page.locator("#found [data-hit]").evaluate_all("(links) => links.map((link) => link.textContent.trim())")


def test_by_keys_alone_from_any_page_to_what_was_meant(portal: RunningPortal, visit: Visits, word: str):
    page = visit("viewer")
    page.goto(f"{portal.url}/trash")
    page.keyboard.press("/")
    box = page.get_by_role("dialog", name="Search").get_by_role("searchbox")
    expect(box).to_be_focused()
    page.keyboard.type(word)
    first = page.locator("#quick-found [data-hit]").first
    expect(first).to_contain_text(f"A kettle {word}")
    wait_for_answers(page)
    expect(page.locator("#quick-search [data-part=voice]")).to_have_text("2 galleries, 2 pictures")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#quick-found [data-hit]:focus")).to_have_count(1)
    page.keyboard.press("ArrowUp")
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Search")).to_be_hidden()
    page.keyboard.press("/")
    expect(box).to_have_value(word)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{portal.url}/search?q={word}")
    page.wait_for_load_state()
    expect(page.get_by_role("main").get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#found [data-hit]").first).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("main").get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#found [data-hit]").nth(1)).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=re.compile(word))).to_be_visible()


def test_results_follow_the_typing_and_filters_come_and_go(portal: RunningPortal, visit: Visits, word: str):
    page = visit("viewer")
    page.goto(f"{portal.url}/search")
    box = page.get_by_role("main").get_by_role("searchbox")
    expect(box).to_be_focused()
    page.keyboard.type(f"{word} ")
    expect(page.locator("#found .find")).to_have_count(2)
    expect(page.locator("#found .image-card")).to_have_count(2)
    page.keyboard.type("invo")
    expect(page).to_have_url(f"{portal.url}/search?q={word}+invo")
    wait_for_answers(page)  # what is answered to fewer letters is replaced by then
    page.locator("#found").get_by_role("link", name="Invoices").click()
    expect(box).to_have_value(f"{word} type:invoices ")
    expect(box).to_be_focused()
    expect(page.locator("#found .find")).to_have_count(1)
    expect(page).to_have_url(f"{portal.url}/search?q={word}+type%3Ainvoices")
    wait_for_answers(page)
    expect(page.locator("main [data-part=voice]")).to_have_text("1 gallery, 0 pictures")
    page.reload()
    expect(page.locator("#found .find")).to_have_count(1)
    page.get_by_role("link", name="Without the filter Invoices").click()
    expect(page.locator("#found .find")).to_have_count(2)
    box.fill(f"{word} missing:alt")
    expect(page.locator("#found .image-card")).to_have_count(1)
    wait_for_answers(page)
    assert found(page)[-1] == f"{word}-2.jpg"
    visit.watch_of(page).expect(r"^422: GET .*/search\?q=type")
    box.fill("type:mugs")
    box.press("Enter")
    expect(page.locator("#search-about")).to_contain_text("There is no type:mugs")
    expect(box).to_have_value("type:mugs")
    expect(box).to_be_focused()


def test_more_galleries_join_and_the_focus_goes_on_with_them(portal: RunningPortal, visit: Visits, api: Api):
    word = new_id().replace("-", "")
    for number in range(14):
        api.put_entity("companies", f"{word}-{number}", f"Company {word} {number:02}")
    page = visit("viewer")
    page.goto(f"{portal.url}/search?q={word}")
    expect(page.locator("#found .find")).to_have_count(12)
    page.get_by_role("link", name="More galleries").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#found .find")).to_have_count(14)
    expect(page.locator("#found .find").nth(12)).to_be_focused()
    expect(page.get_by_role("link", name="More galleries")).to_have_count(0)


def test_a_photo_finds_the_item_that_has_it(portal: RunningPortal, visit: Visits, api: Api):
    id = new_id()
    number = int(id[2:], 16)
    api.put_entity("inventory_items", id, f"Vase {id}")
    picture = api.add_picture("inventory_items", id, "vase.jpg", samples.shapes(number))
    page = visit("viewer")
    page.goto(f"{portal.url}/search")
    page.get_by_role("link", name="Find by photo").click()
    page.wait_for_load_state()
    page.locator("#photo-file").set_input_files([payload("vase.jpg", samples.shapes(number))])
    same = page.get_by_role("region", name="The same file")
    expect(same.get_by_role("link", name=f"Vase {id}")).to_be_visible()
    expect(page.get_by_role("img", name="The photo that is looked for")).to_be_visible()
    expect(page.locator("find-photo > [data-part=voice]")).to_have_text("1 picture found")
    page.locator("#photo-file").set_input_files([payload("small.jpg", samples.shapes(number, 160, 120))])
    expect(page.get_by_role("region", name="Nearly the same").get_by_role("link", name=f"Vase {id}")).to_be_visible()
    page.reload()
    expect(page.get_by_role("region", name="Nearly the same").get_by_role("link", name=f"Vase {id}")).to_be_visible()
    visit.watch_of(page).expect(r"^422: POST .*/search/photo")
    page.locator("#photo-file").set_input_files([payload("offer.jpg", samples.FOREIGN["page.pdf"])])
    expect(page.locator("#photo-error")).to_contain_text("This is a PDF")
    expect(page.locator("#photo-file")).to_be_focused()

    other = new_id()
    api.put_entity("inventory_items", other, f"Copy {other}")
    api.add_picture("inventory_items", other, "copy.jpg", samples.shapes(number, 200, 150))
    page.goto(f"{portal.url}/images/{picture}")
    page.locator("#similar").scroll_into_view_if_needed()
    expect(page.locator("#similar").get_by_role("link", name=f"Copy {other}")).to_be_visible()
