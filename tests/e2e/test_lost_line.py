"""Nothing that was written is lost: not with the network, not with the session."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import PASSWORD, SignIn, choose_password
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers, wait_until

WORDS = "Written before it broke off"


class Writing:
    """The page of one picture; somebody has just described it."""

    def __init__(self, page: Page, api: Api, url: str) -> None:
        self.page, self.api, self.id = page, api, new_id()
        api.put_entity("inventory_items", self.id, "Written")
        image = api.add_picture("inventory_items", self.id, "written.jpg", samples.distinct(3))
        page.goto(f"{url}/images/{image}")
        page.locator("#alt-text").fill(WORDS)
        self.save = page.locator("#metadata-form").get_by_role("button", name="Save", exact=True)

    @property
    def line(self) -> Locator:
        return self.page.locator("#line")

    def stored(self) -> str:
        return self.api.gallery("inventory_items", self.id)[0]["alt_text"] or ""

    def expect_stored(self, words: str = WORDS) -> None:
        wait_until(self.page, lambda: self.stored() == words, f"never stored: {words}")
        wait_for_answers(self.page)


@pytest.fixture
def leaver(portal: RunningPortal, visit: Visits, api: Api) -> tuple[Writing, str]:
    """Somebody with a session of their own, and their e-mail."""
    email, page = f"{new_id()}@shop.example".lower(), visit()
    choose_password(page, portal.run("user", "create", email, "--role", "editor"))
    writing = Writing(page, api, portal.url)
    visit.watch_of(page).may(r"^401: ", r"^403: POST ", r"^422: POST .*/login$")
    return writing, email


def test_what_is_saved_without_a_network_goes_out_when_it_is_back(portal: RunningPortal, visit: Visits, api: Api):
    writing = Writing(visit("editor"), api, portal.url)
    page = writing.page
    visit.watch_of(page).may(r"^failed: ")
    page.context.set_offline(True)
    expect(writing.line).to_contain_text("No network")
    writing.save.click()
    expect(writing.line.get_by_role("button", name="Try now")).to_be_visible()
    assert writing.stored() == ""
    expect(page.locator("#alt-text")).to_have_value(WORDS)
    page.context.set_offline(False)
    expect(writing.line.locator(".toast")).to_have_count(0)
    writing.expect_stored()


def test_what_may_have_arrived_is_sent_again_only_by_a_person(portal: RunningPortal, visit: Visits, api: Api):
    writing = Writing(visit("editor"), api, portal.url)
    page = writing.page
    visit.watch_of(page).expect(r"^failed: POST ")
    page.route("**/images/**", lambda route: route.abort("connectionreset"), times=1)
    writing.save.click()
    expect(writing.line).to_contain_text("The portal does not answer")
    writing.line.get_by_role("button", name="Try now").click()
    expect(writing.line.locator(".toast")).to_have_count(0)
    writing.expect_stored()


def test_who_does_not_want_to_wait_keeps_the_words_and_the_button(portal: RunningPortal, visit: Visits, api: Api):
    writing = Writing(visit("editor"), api, portal.url)
    visit.watch_of(writing.page).expect(r"^failed: POST ")
    writing.page.route("**/images/**", lambda route: route.abort("connectionreset"), times=1)
    writing.save.click()
    writing.line.get_by_role("button", name="Do not wait").click()
    expect(writing.line.locator(".toast")).to_have_count(0)
    expect(writing.page.locator("#alt-text")).to_have_value(WORDS)
    expect(writing.save).to_be_focused()
    writing.save.click()
    writing.expect_stored()


def test_a_plain_form_waits_for_the_network_too(portal: RunningPortal, visit: Visits):
    page = visit("editor")
    page.goto(f"{portal.url}/account")
    visit.watch_of(page).may(r"^failed: GET .*/mark\.svg")  # a browser asks for it when it likes
    page.context.set_offline(True)
    page.get_by_label("Password now").fill("not the right one")
    page.get_by_label("New password").fill("nor is this one")
    visit.watch_of(page).expect(r"^422: POST ")
    page.get_by_role("button", name="Change password").click()
    expect(page.locator("#line").get_by_role("button", name="Try now")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()


def test_who_was_signed_out_signs_in_on_the_page_and_it_is_saved(leaver: tuple[Writing, str]):
    writing, email = leaver
    page = writing.page
    page.context.clear_cookies()
    writing.save.click()
    dialog = page.get_by_role("dialog", name="Sign in to go on")
    expect(dialog.get_by_label("E-mail")).to_have_value(email)
    password = dialog.get_by_label("Password")
    expect(password).to_be_focused()
    page.keyboard.type("not the right one")
    page.keyboard.press("Enter")
    expect(password).to_have_attribute("aria-invalid", "true")
    expect(dialog.get_by_role("alert")).not_to_be_empty()
    expect(password).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    writing.expect_stored()
    page.locator("#alt-text").fill("And once more")
    writing.save.click()
    writing.expect_stored("And once more")


def test_not_now_keeps_what_was_written(leaver: tuple[Writing, str]):
    writing, _ = leaver
    writing.page.context.clear_cookies()
    writing.save.click()
    dialog = writing.page.get_by_role("dialog", name="Sign in to go on")
    dialog.get_by_role("button", name="Not now").click()
    expect(dialog).to_be_hidden()
    expect(writing.page.locator("#alt-text")).to_have_value(WORDS)
    expect(writing.save).to_be_focused()
    writing.save.click()
    expect(dialog).to_be_visible()


def test_who_signed_in_anew_in_another_tab_is_not_asked(portal: RunningPortal, leaver: tuple[Writing, str]):
    writing, email = leaver
    writing.page.context.clear_cookies()
    SignIn(writing.page.context.new_page(), portal.url).open().sign_in(email, PASSWORD)
    writing.save.click()
    writing.expect_stored()
    expect(writing.page.get_by_role("dialog")).to_have_count(0)


def test_nothing_goes_out_in_somebody_elses_name(visit: Visits, leaver: tuple[Writing, str]):
    writing, _ = leaver
    visit.become(writing.page, "editor")
    writing.save.click()
    expect(writing.page.locator("#notices")).to_contain_text("Somebody else is signed in here now")
    expect(writing.page.locator("#alt-text")).to_have_value(WORDS)
    assert writing.stored() == ""
