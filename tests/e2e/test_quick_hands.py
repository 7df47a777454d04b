"""Deeds that follow each other faster than the portal answers: none is lost on the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import Gallery
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers

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
