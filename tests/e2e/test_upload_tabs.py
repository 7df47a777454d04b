"""One gallery in several tabs, and more than one person at one browser: each file is sent once, and only by who added it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Request, expect

from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.held import Held, rows
from tests.e2e.pages import PASSWORD, Account, Gallery, SignIn
from tests.e2e.server import RunningPortal
from tests.e2e.test_upload_tray import TYPE, expect_each_once, files


@pytest.fixture
def id(api: Api) -> str:
    """An empty gallery."""
    made = new_id()
    api.put_entity(TYPE, made, f"Tabs {made}")
    return made


@pytest.fixture
def gallery(portal: RunningPortal, visit: Visits, id: str) -> Gallery:
    """The same, open on its editor's screen."""
    return Gallery(visit("editor"), portal.url).open(id)


def test_two_tabs_of_one_gallery_do_not_both_send(gallery: Gallery, api: Api, id: str):
    held = Held(gallery.page)
    gallery.drop(files(1, 2, 3, 4, 5))
    held.expect_sending(3)
    other = Gallery(gallery.page.context.new_page(), gallery.url)
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/images"):
            sent.append(request.headers["idempotency-key"])

    other.page.on("request", note)
    other.open(id)
    expect(rows(other.page, "uploading").filter(has_text="Another tab is sending it")).to_have_count(3)
    expect(other.cards).to_have_count(2)  # what the first tab had not begun is not kept waiting
    held.let_go()
    expect_each_once(api, other, id, 1, 2, 3, 4, 5)
    expect_each_once(api, gallery, id, 1, 2, 3, 4, 5)
    assert len(set(sent)) == 2


def test_what_one_tab_cancels_no_other_sends(gallery: Gallery, api: Api, id: str):
    held = Held(gallery.page)
    gallery.drop(files(1, 2))
    held.expect_sending(2)
    other = Gallery(gallery.page.context.new_page(), gallery.url).open(id)
    expect(rows(other.page, "uploading").filter(has_text="Another tab is sending it")).to_have_count(2)
    other.row("1.jpg").get_by_role("button", name="Cancel").click()
    expect(rows(gallery.page).locator("[data-part=name]")).to_have_text(["2.jpg"])
    held.let_go()
    expect_each_once(api, gallery, id, 2)


def test_what_a_closed_tab_leaves_is_taken_up_by_the_one_that_stays(gallery: Gallery, visit: Visits, api: Api, id: str):
    visit.watch_of(gallery.page).may(r"^409: POST .*/images$")  # while the portal still has the closed tab's request
    other = Gallery(gallery.page.context.new_page(), gallery.url).open(id)
    held = Held(other.page)
    other.drop(files(1, 2))
    held.expect_sending(2)
    other.page.close()
    gallery.page.evaluate("dispatchEvent(new Event('focus'))")
    expect_each_once(api, gallery, id, 1, 2)


def test_a_session_that_ends_while_thumbnails_are_made_does_not_take_the_page_away(
    gallery: Gallery, visit: Visits, api: Api, id: str
):
    page = gallery.page
    visit.watch_of(page).expect(r"^401: GET .*/card$")
    page.evaluate("window.stayed = true")
    page.route("**/card", lambda route: route.fulfill(status=401, headers={"HX-Redirect": "/login"}))
    page.route("**/grid", lambda route: route.fulfill(status=204))  # else the card is ready before it asks
    with page.expect_response("**/card"):
        gallery.drop(files(1))
    with page.expect_response("**/card"):  # it asks again: the first answer has led nowhere
        pass
    page.unroute_all()
    gallery.expect_ready(1)
    assert page.evaluate("window.stayed")
    expect_each_once(api, gallery, id, 1)


def test_two_tabs_without_locks_send_each_file_once_as_well(portal: RunningPortal, visit: Visits, api: Api, id: str):
    page = visit("editor")
    visit.watch_of(page).may(r"^409: POST .*/images$")
    page.context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined });")
    gallery = Gallery(page, portal.url).open(id)
    held = Held(page)
    gallery.drop(files(1, 2, 3, 4))
    held.expect_sending(3)
    other = Gallery(page.context.new_page(), portal.url).open(id)
    expect(rows(other.page)).not_to_have_count(0)
    held.let_go()
    expect_each_once(api, other, id, 1, 2, 3, 4)
    expect_each_once(api, gallery, id, 1, 2, 3, 4)


def test_files_of_another_account_are_neither_shown_nor_sent(gallery: Gallery, visit: Visits, api: Api, id: str):
    page = gallery.page
    held = Held(page)
    gallery.drop(files(1, 2))
    held.expect_sending(2)
    held.forget()
    visit.become(page, "admin")
    gallery.open(id)
    held = Held(page)
    gallery.drop(files(3))
    held.expect_sending(1)
    page.goto(f"{gallery.url}/")
    expect(page.locator("#waiting-uploads .notice")).to_have_text([re.compile("1 picture waits")])
    gallery.open(id)
    expect(rows(page).locator("[data-part=name]")).to_have_text(["3.jpg"])
    assert api.gallery(TYPE, id) == []
    gallery.row("3.jpg").get_by_role("button", name="Cancel").click()
    expect(rows(page, "cancelled")).to_have_count(1)
    held.forget()
    visit.become(page, "editor")
    gallery.open(id)
    expect_each_once(api, gallery, id, 1, 2)


def test_who_is_signed_out_goes_on_after_signing_in(
    gallery: Gallery, visit: Visits, portal: RunningPortal, api: Api, id: str
):
    page = gallery.page
    visit.watch_of(page).may(r"^40[13]: POST ")
    page.context.clear_cookies()
    gallery.drop(files(1, 2))
    expect(rows(page, "uploading").filter(has_text="You are signed out.")).to_have_count(2)
    visit.become(page, "admin")
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(rows(page, "uploading").filter(has_text="Somebody else is signed in here")).to_have_count(2)
    assert api.gallery(TYPE, id) == []
    page.context.clear_cookies()
    another = page.context.new_page()
    SignIn(another, portal.url).open().sign_in("editor@shop.example", PASSWORD)
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.bring_to_front()
    gallery.expect_ready(2)
    other = page.locator(".image-card:not(.lead) .name").inner_text()
    gallery.make_primary(other)  # the page's other forms serve the new session too
    expect_each_once(api, gallery, id, 1, 2)
    Account(another, portal.url).open().sign_out()
