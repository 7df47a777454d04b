"""Deeds that follow each other faster than the portal answers: none is lost on the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import Gallery
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers, wait_until

NAMES = [f"quick-{number}.jpg" for number in range(1, 6)]
SLOW_MS = 700


@pytest.fixture
def gallery(portal: RunningPortal, api: Api, visit: Visits) -> Gallery:
    id = new_id()
    api.put_entity("inventory_items", id, "Quick hands")
    for number, name in enumerate(NAMES):
        api.add_picture("inventory_items", id, name, samples.distinct(number, 160, 120))
    return Gallery(visit("editor"), portal.url).open(id)


def slow(gallery: Gallery, pattern: str) -> None:
    def wait(route: Route) -> None:
        gallery.page.wait_for_timeout(SLOW_MS)
        route.continue_()

    gallery.page.route(pattern, wait)


def test_a_star_is_seen_although_the_grid_was_being_refreshed(gallery: Gallery):
    slow(gallery, "**/primary")
    gallery.page.evaluate("""() => {
      document.querySelectorAll(".image-card")[2].querySelector("[data-act=primary]").click();
      document.getElementById("gallery-grid").dispatchEvent(new CustomEvent("refresh"));  // as after uploads and new words
    }""")
    wait_for_answers(gallery.page)
    gallery.expect_primary(NAMES[2])


def test_what_is_swapped_in_is_known_to_htmx_from_the_first_moment(gallery: Gallery):
    """Else a button of it would be a plain form's, and lead to a new page."""
    gallery.page.evaluate(
        """() => {
          window.unknown = [];
          new MutationObserver(() => {
            const asking = [...document.querySelectorAll("sortable-gallery :is([hx-get], [hx-post])")];
            const unknown = asking.filter((each) => !each.hasAttribute("data-htmx-powered"));
            window.unknown.push(unknown.length);
          }).observe(document.querySelector("sortable-gallery"), { childList: true });
        }"""
    )
    gallery.make_primary(NAMES[2])
    assert set(gallery.page.evaluate("window.unknown")) == {0}


def test_two_pictures_trashed_at_once_both_leave(gallery: Gallery):
    slow(gallery, "**/trash")
    gallery.page.evaluate("""() => {
      for (const n of [1, 3]) document.querySelectorAll(".image-card")[n].querySelector("[data-act=trash]").click();
    }""")
    gallery.expect_names(NAMES[0], NAMES[2], NAMES[4])
    expect(gallery.toast).to_have_count(1)
    gallery.page.reload()
    gallery.expect_names(NAMES[0], NAMES[2], NAMES[4])


@contextmanager
def unanswered(page: Page, pattern: str) -> Iterator[None]:
    """What is done first within is sent, and answered once all of it is done."""
    held: list[Route] = []
    is_over = False
    page.route(pattern, lambda route: route.continue_() if is_over or held else held.append(route))
    yield
    wait_until(page, lambda: held, f"nothing is sent to {pattern}")
    is_over = True
    held[0].continue_()
    wait_for_answers(page)


def filenames(api: Api, id: str) -> list[str]:
    return [image["filename"] for image in api.gallery("inventory_items", id)]


def test_what_is_lifted_stays_in_the_hand_while_an_answer_comes(gallery: Gallery, api: Api):
    a, b, c, d, e = NAMES
    keyboard, id = gallery.page.keyboard, gallery.page.url.rpartition("/")[2]
    gallery.link(b).focus()
    with unanswered(gallery.page, "**/place"):
        for key in ("Space", "End", "Space", "Home", "Space", "ArrowRight", "ArrowRight"):
            keyboard.press(key)
        gallery.expect_names(c, d, a, e, b)
    gallery.expect_names(c, d, a, e, b)
    expect(gallery.link(a)).to_be_focused()
    keyboard.press("Escape")  # what was answered meanwhile is there at once
    wait_for_answers(gallery.page)
    gallery.expect_names(a, c, d, e, b)
    with unanswered(gallery.page, "**/place"):
        for key in ("Space", "ArrowRight", "Space", "Home", "Space", "End"):
            keyboard.press(key)
    with gallery.renewed():
        keyboard.press("Space")
    assert filenames(api, id) == gallery.names()


def test_what_is_written_on_a_card_outlives_the_answers(gallery: Gallery, api: Api):
    page, keyboard = gallery.page, gallery.page.keyboard
    id = page.url.rpartition("/")[2]
    gallery.link(NAMES[1]).press("e")
    form = gallery.cards.locator("form.fields")
    expect(form.get_by_label("Alt text")).to_be_focused()
    keyboard.type("Blue")
    keyboard.press("Tab")
    with unanswered(page, "**/text"):
        keyboard.type("In the")
        keyboard.press("Enter")
        keyboard.type(" sun p")
    expect(form.get_by_label("Caption")).to_have_value("In the sun p")
    expect(form.get_by_label("Caption")).to_be_focused()
    page.locator("#gallery-grid").dispatch_event("refresh")  # as after each upload
    wait_for_answers(page)
    keyboard.type("!")
    keyboard.press("Enter")
    expect(gallery.link("Blue")).to_be_focused()
    wait_for_answers(page)
    assert [image["caption"] for image in api.gallery("inventory_items", id)] == [
        None,
        "In the sun p!",
        None,
        None,
        None,
    ]
    gallery.expect_primary(NAMES[0])


def test_what_is_typed_after_save_on_a_pictures_page_stays(gallery: Gallery):
    page, keyboard = gallery.page, gallery.page.keyboard
    gallery.link(NAMES[1]).click()
    alt, tags = page.get_by_label("Alt text", exact=True), page.get_by_role("combobox", name="Tags")
    alt.fill("Blue")
    address = page.url
    with unanswered(page, "**/images/*"):
        keyboard.press("Control+Enter")
        keyboard.type(" mug")
        keyboard.press("ArrowLeft")
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    keyboard.type("!")
    expect(alt).to_have_value("Blue mu!g")
    with unanswered(page, address):
        keyboard.press("Control+Enter")
        page.get_by_role("button", name="Add an attribute").click()
        keyboard.type("glaze")
        keyboard.press("Tab")
        keyboard.type("matt")
        tags.focus()
        keyboard.type("oak,pi")
    keyboard.type("ne")
    expect(page.get_by_role("list", name="Tags of this picture")).to_have_text("oak×")
    expect(tags).to_have_value("pine")
    expect(page.get_by_label("Its value").last).to_have_value("matt")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#metadata-form").get_by_text("Saved Today")).to_be_visible()
    page.reload()
    expect(alt).to_have_value("Blue mu!g")
    expect(page.get_by_role("list", name="Tags of this picture").get_by_role("listitem")).to_have_text(
        ["oak×", "pine×"]
    )
    expect(page.get_by_label("Value of glaze")).to_have_value("matt")
