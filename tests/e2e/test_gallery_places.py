"""A picture's place by keys, its picture large, and the gallery as a list."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import Gallery, expect_decoded
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers

NAMES = [f"place-{number}.jpg" for number in range(1, 6)]


@pytest.fixture
def id(api: Api) -> str:
    id = new_id()
    api.put_entity("inventory_items", id, "Places")
    for number, name in enumerate(NAMES):
        api.add_picture("inventory_items", id, name, samples.distinct(number, 1600, 1200), caption=f"Caption {number}")
    return id


@pytest.fixture
def gallery(portal: RunningPortal, visit: Visits, id: str) -> Gallery:
    gallery = Gallery(visit("editor"), portal.url).open(id)
    gallery.link(NAMES[1]).focus()
    return gallery


def test_space_lifts_arrows_carry_space_drops_and_it_can_be_undone(gallery: Gallery):
    a, b, c, d, e = NAMES
    page, keyboard = gallery.page, gallery.page.keyboard
    said = page.locator("#gallery-said")
    keyboard.press("Space")
    expect(said).to_contain_text(f"{b} lifted, 2 of 5")
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    gallery.expect_names(a, c, d, b, e)
    expect(said).to_have_text("4 of 5")
    with gallery.renewed():
        keyboard.press("Space")
    gallery.expect_names(a, c, d, b, e)
    expect(gallery.toast).to_contain_text("now picture 4")
    expect(gallery.link(b)).to_be_focused()
    with gallery.renewed():
        keyboard.press("Control+z")
    gallery.expect_names(*NAMES)
    for key, order in (("Home", [b, a, c, d, e]), ("End", [a, c, d, e, b])):
        keyboard.press("Space")
        keyboard.press(key)
        with gallery.renewed():
            keyboard.press("Enter")
        gallery.expect_names(*order)
    page.reload()
    gallery.expect_names(a, c, d, e, b)


def test_escape_or_going_elsewhere_puts_it_back(gallery: Gallery, api: Api, id: str):
    page, keyboard = gallery.page, gallery.page.keyboard
    for away in ("Escape", "Tab"):
        gallery.link(NAMES[1]).focus()
        keyboard.press("Space")
        keyboard.press("End")
        gallery.expect_names(NAMES[0], *NAMES[2:], NAMES[1])
        if away == "Tab":
            page.locator("#upload-files").focus()
        else:
            keyboard.press(away)
            expect(gallery.link(NAMES[1])).to_be_focused()
        gallery.expect_names(*NAMES)
    wait_for_answers(page)
    assert [image["filename"] for image in api.gallery("inventory_items", id)] == NAMES


def test_pictures_are_seen_large_by_keys_and_the_focus_comes_back(gallery: Gallery):
    page, keyboard = gallery.page, gallery.page.keyboard
    keyboard.press("v")
    large = page.get_by_role("dialog", name="Pictures, large")
    shown = large.locator("[aria-hidden=false] img.pswp__img")
    expect(large).to_contain_text("Caption 1")
    expect(large).to_contain_text("2 of 5")
    expect_decoded(shown)
    keyboard.press("z")
    expect(large).to_have_class(re.compile("pswp--zoomed-in"))
    keyboard.press("ArrowRight")
    expect(large).to_contain_text("3 of 5")
    expect(large).to_contain_text("Caption 2")
    keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(gallery.link(NAMES[2])).to_be_focused()
    gallery.card(NAMES[4]).hover()
    gallery.card(NAMES[4]).get_by_role("link", name="View large").click()
    expect(large).to_contain_text("5 of 5")
    large.get_by_role("link", name="Open its page").click()
    expect(page.get_by_role("heading", level=1, name=NAMES[4])).to_be_visible()


def test_the_list_is_remembered_and_does_all_that_the_grid_does(gallery: Gallery, portal: RunningPortal, id: str):
    page = gallery.page
    with gallery.renewed():
        page.get_by_role("button", name="List", exact=True).click()
    expect(page.get_by_role("button", name="List", exact=True)).to_be_focused()
    expect(gallery.card(NAMES[2])).to_contain_text("Caption 2")
    gallery.describe(NAMES[2], "Third")
    expect(gallery.card("Third")).to_contain_text(NAMES[2])
    gallery.link("Third").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowUp")
    with gallery.renewed():
        page.keyboard.press("Space")
    gallery.open(id).expect_names(NAMES[0], "Third", NAMES[1], *NAMES[3:])
    expect(page.locator(".gallery.list")).to_be_visible()
    with gallery.renewed():
        page.get_by_role("button", name="Grid", exact=True).click()


def test_keys_that_are_switched_off_act_no_more_but_one_still_walks_and_carries(gallery: Gallery):
    page, keyboard = gallery.page, gallery.page.keyboard
    page.evaluate("document.body.dataset.shortcuts = 'off'")
    for key in ("Delete", "p", "e", "x", "v", "?"):
        keyboard.press(key)
    wait_for_answers(page)
    expect(page.locator(".pick :checked, dialog[open], .pswp, .image-card form.fields")).to_have_count(0)
    gallery.expect_names(*NAMES)
    keyboard.press("ArrowRight")
    expect(gallery.link(NAMES[2])).to_be_focused()
    keyboard.press("Space")
    keyboard.press("Home")
    with gallery.renewed():
        keyboard.press("Space")
    gallery.expect_names(NAMES[2], *NAMES[:2], *NAMES[3:])
