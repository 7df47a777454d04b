"""Who may do what: a viewer looks on, an ended session ends everywhere, and another site's forms get nowhere."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.host import OtherSite
from tests.e2e.pages import PASSWORD, Account, Gallery, SignIn, choose_password
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers


@pytest.fixture
def item(api: Api) -> str:
    """An item with two pictures."""
    id = new_id()
    api.put_entity("inventory_items", id, "Guarded lamp")
    for number in (1, 2):
        api.add_picture("inventory_items", id, f"lamp-{number}.jpg", samples.distinct(number))
    return id


def post_by_hand(page: Page, path: str, **fields: str) -> int:
    """As a person would from the page's own console, with the page's own token."""
    return page.evaluate(
        """async ([path, fields]) => {
          const token = document.querySelector("[name=csrf_token]").value;
          const body = new URLSearchParams({ csrf_token: token, ...fields });
          return (await fetch(path, { method: "POST", body, redirect: "manual" })).status;
        }""",
        [path, fields],
    )


def test_a_viewer_sees_pictures_but_no_way_to_change_them(portal: RunningPortal, visit: Visits, item: str):
    page = visit("viewer")
    gallery = Gallery(page, portal.url).open(item)
    gallery.expect_ready(2)
    for selector in ("upload-zone", ".image-card button", ".image-card form", "#gallery-place", "input[type=file]"):
        expect(page.locator(selector)).to_have_count(0)
    expect(page.get_by_role("button", name="More for this item")).to_have_count(0)
    gallery.link("lamp-1.jpg").click()
    expect(page.get_by_role("heading", level=1, name="lamp-1.jpg")).to_be_visible()
    for words in ("Save", "Move to trash", "Make primary"):
        expect(page.get_by_role("button", name=words)).to_have_count(0)
    page.goto(f"{portal.url}/entities/inventory_items")
    expect(page.locator("#add")).to_have_count(0)


def test_what_a_viewer_posts_by_hand_is_refused(portal: RunningPortal, visit: Visits, api: Api, item: str):
    page = visit("viewer")
    visit.watch_of(page).expect(r"^403: POST ")
    gallery = Gallery(page, portal.url).open(item)
    before = api.gallery("inventory_items", item)
    first = before[0]["id"]
    for path, fields in {
        f"/images/{first}/trash": {},
        f"/images/{first}/text": {"alt_text": "taken over"},
        f"/images/{before[1]['id']}/primary": {},
        f"/images/{first}/move": {"direction": "last"},
        f"/entities/inventory_items/{item}/place": {"image": before[1]["id"]},
        f"/entities/inventory_items/{item}/delete": {"confirm": item},
        "/entities/inventory_items": {"id": "VIEWERS", "name": "Viewers"},
    }.items():
        assert post_by_hand(page, path, **fields) == 403, path
    assert api.gallery("inventory_items", item) == before
    gallery.open(item).expect_names("lamp-1.jpg", "lamp-2.jpg")


def test_a_session_ended_elsewhere_leads_to_sign_in_and_back(portal: RunningPortal, visit: Visits, item: str):
    email = f"{new_id()}@shop.example".lower()
    here, there = visit(), visit()
    choose_password(here, portal.run("user", "create", email, "--role", "editor"))
    SignIn(there, portal.url).open().sign_in(email, PASSWORD)
    gallery = Gallery(here, portal.url).open(item)
    Account(there, portal.url).open().end_other_sessions()
    visit.watch_of(here).may(r"^401: ")
    gallery.link("lamp-1.jpg").click()
    expect(here.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(here.get_by_text("Sign in to go on.")).to_be_visible()
    SignIn(here, portal.url).sign_in(email, PASSWORD)
    expect(here.get_by_role("heading", level=1, name="lamp-1.jpg")).to_be_visible()


def test_an_action_after_the_session_ended_says_so_and_changes_nothing(
    portal: RunningPortal, visit: Visits, api: Api, item: str
):
    page = visit()
    SignIn(page, portal.url).open().sign_in("admin@shop.example", PASSWORD)
    gallery = Gallery(page, portal.url).open(item)
    page.context.clear_cookies()
    visit.watch_of(page).may(r"^40[13]: ")
    with page.expect_response("**/uses"):  # the opened menu asks by itself: that leads nowhere
        menu = gallery.open_menu("lamp-2.jpg")
    wait_for_answers(page)
    menu.get_by_role("button", name="Move to trash").click()
    expect(page.get_by_role("dialog", name="Sign in to go on")).to_be_visible()
    assert len(api.gallery("inventory_items", item)) == 2


@pytest.mark.parametrize("same_site", [False, True], ids=["another-site", "another-port-of-this-machine"])
def test_a_form_on_another_origin_cannot_post_for_somebody_signed_in(
    portal: RunningPortal, visit: Visits, api: Api, other_site: OtherSite, item: str, same_site: bool
):
    page = visit("admin")
    visit.watch_of(page).expect(r"^403: POST ")
    image = api.gallery("inventory_items", item)[0]["id"]
    other_site.body = (
        f'<form method="post" action="{portal.url}/images/{image}/trash"><button>Win a prize</button></form>'
    )
    page.goto(other_site.same_site_origin if same_site else other_site.origin)
    page.get_by_role("button", name="Win a prize").click()
    page.wait_for_url(f"{portal.url}/images/{image}/trash")
    assert len(api.gallery("inventory_items", item)) == 2
