"""The gallery by keys alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

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
    dialog = page.get_by_role("dialog", name="Keys in the gallery")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(gallery.link(NAMES[1])).to_be_focused()


def test_a_picture_is_added_and_moved_by_keys(gallery: Gallery):
    page = gallery.page
    page.locator("#upload-files").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([payload("added.jpg", samples.distinct(77))])
    gallery.expect_ready(6)
    gallery.link("added.jpg").focus()
    page.keyboard.press("Tab")
    while "More for" not in (page.evaluate("document.activeElement.getAttribute('aria-label')") or ""):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    menu = gallery.card("added.jpg").locator(".menu")
    expect(menu).to_be_visible()
    for _ in range(10):
        page.keyboard.press("Tab")
        if "Move first" in page.evaluate("document.activeElement.textContent"):
            break
    page.keyboard.press("Enter")
    gallery.expect_names("added.jpg", *NAMES)
    expect(gallery.link("added.jpg")).to_be_focused()
