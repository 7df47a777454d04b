"""The gallery by keys alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import Gallery, payload
from tests.e2e.server import RunningPortal

NAMES = [f"key-{number}.jpg" for number in range(1, 6)]


@pytest.fixture
def gallery(portal: RunningPortal, api: Api, visit: Visits) -> Gallery:
    """Five pictures, the first of them primary; the focus is on the second."""
    id = new_id()
    api.put_entity("inventory_items", id, "Keys")
    for number, name in enumerate(NAMES):
        api.add_picture("inventory_items", id, name, samples.distinct(number, 160, 120))
    gallery = Gallery(visit("editor"), portal.url).open(id)
    gallery.link(NAMES[1]).focus()
    return gallery


def test_arrows_home_and_end_walk_through_the_grid_which_is_one_tab_stop(gallery: Gallery):
    keyboard = gallery.page.keyboard
    for key, name in {"ArrowRight": 2, "ArrowLeft": 1, "End": 4, "Home": 0}.items():
        keyboard.press(key)
        expect(gallery.link(NAMES[name])).to_be_focused()
    keyboard.press("ArrowLeft")
    expect(gallery.link(NAMES[0])).to_be_focused()
    keyboard.press("End")
    keyboard.press("ArrowUp")
    upper = gallery.page.evaluate("document.activeElement.closest('.image-card').getBoundingClientRect().top")
    lower = gallery.card(NAMES[4]).evaluate("(card) => card.getBoundingClientRect().top")
    assert upper <= lower
    stops = gallery.page.locator('.image-card .open[tabindex="0"]')
    expect(stops).to_have_count(1)


def test_enter_opens_the_picture(gallery: Gallery):
    gallery.page.keyboard.press("Enter")
    expect(gallery.page.get_by_role("heading", level=1, name=NAMES[1])).to_be_visible()


def test_e_opens_the_words_and_no_key_fires_inside_a_field(gallery: Gallery):
    page = gallery.page
    page.keyboard.press("e")
    field = gallery.cards.get_by_label("Alt text")
    expect(field).to_be_focused()
    page.keyboard.type("peep? E P")
    for key in ("Delete", "Home", "ArrowRight", "Control+z", "Control+z", "?", "/"):
        page.keyboard.press(key)
    expect(field).to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(gallery.cards).to_have_count(5)
    gallery.expect_primary(NAMES[0])
    field.fill("Two keys")
    page.keyboard.press("Tab")
    page.keyboard.type("The caption")
    page.keyboard.press("Enter")
    expect(gallery.link("Two keys")).to_be_focused()


def test_p_makes_primary_and_keeps_the_focus(gallery: Gallery):
    gallery.page.keyboard.press("p")
    gallery.expect_primary(NAMES[1])
    expect(gallery.link(NAMES[1])).to_be_focused()


def test_delete_goes_to_the_neighbour_and_ctrl_z_brings_back(gallery: Gallery):
    page = gallery.page
    page.keyboard.press("Delete")
    expect(gallery.cards).to_have_count(4)
    expect(gallery.link(NAMES[2])).to_be_focused()
    page.keyboard.press("Control+z")
    gallery.expect_names(*NAMES)
    page.keyboard.press("End")
    page.keyboard.press("Delete")
    expect(gallery.cards).to_have_count(4)
    expect(gallery.link(NAMES[3])).to_be_focused()


def test_the_focus_is_given_back_however_long_the_answer_takes(gallery: Gallery):
    def wait(route: Route) -> None:
        gallery.page.wait_for_timeout(2500)
        route.continue_()

    gallery.page.route("**/trash", wait)
    gallery.page.keyboard.press("Delete")
    expect(gallery.cards).to_have_count(4)
    expect(gallery.link(NAMES[2])).to_be_focused()


def test_question_mark_shows_the_keys_and_escape_hides_them(gallery: Gallery):
    page = gallery.page
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(gallery.link(NAMES[1])).to_be_focused()


def tab_to(page: Page, selector: str) -> None:
    """As a hand does it, however many stops lie between."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no Tab leads to {selector}")


def test_from_the_list_to_a_described_picture_in_its_place_by_keys_alone(gallery: Gallery, portal: RunningPortal):
    page, keyboard = gallery.page, gallery.page.keyboard
    id = page.url.rpartition("/")[2]
    page.goto(f"{portal.url}/entities/inventory_items?q={id}")
    tab_to(page, f"a[href$='/{id}']")
    keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Keys", exact=True)).to_be_visible()
    page.wait_for_load_state()
    tab_to(page, "#upload-files")
    with page.expect_file_chooser() as chooser:
        keyboard.press("Enter")
    chooser.value.set_files([payload("added.jpg", samples.distinct(77))])
    gallery.expect_ready(6)
    tab_to(page, ".image-card .open")
    keyboard.press("End")
    expect(gallery.link("added.jpg")).to_be_focused()
    keyboard.press("e")
    expect(gallery.cards.get_by_label("Alt text")).to_be_focused()
    keyboard.type("A brass lamp")
    keyboard.press("Tab")
    with gallery.renewed():  # how many lack words stands above them
        keyboard.press("Enter")
    expect(gallery.link("A brass lamp")).to_be_focused()
    keyboard.press("Space")
    keyboard.press("Home")
    with gallery.renewed():
        keyboard.press("Space")
    gallery.expect_names("A brass lamp", *NAMES)
    with gallery.renewed():
        keyboard.press("Delete")
    gallery.expect_names(*NAMES)
    expect(gallery.link(NAMES[0])).to_be_focused()
    with gallery.renewed():
        keyboard.press("Control+z")
    gallery.expect_names("A brass lamp", *NAMES)
