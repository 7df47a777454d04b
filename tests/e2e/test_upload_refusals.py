"""What cannot be stored is said beside the file, in words that help; the good files of the batch go on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FilePayload, Locator, Route, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import Gallery, payload
from tests.e2e.server import RunningPortal, wait_until_gone

TOO_BIG = 16 * 1024 * 1024

BAD_FILES = {
    "offer.jpg": (b"%PDF-1.7\n" + bytes(500), r"This is a PDF\. Export the page as JPEG or PNG"),
    "nothing.png": (b"", r"The file is empty"),
    "cut.jpg": (samples.truncated(), r"The file ends early: a part of the picture is missing\. Copy it again"),
    "large.jpg": (samples.jpeg() + bytes(TOO_BIG), r"16\.8 MB is more than the 15 MB"),
    "shell.php.jpg": (samples.jpeg(200, 150), r"\.php"),
    "photo.png": (samples.jpeg(210, 150), r"ends in \.png, but the file is a JPEG\. Rename it to photo\.jpg"),
}


@pytest.fixture
def gallery(portal: RunningPortal, api: Api, visit: Visits) -> Gallery:
    """An empty gallery, open on its editor's screen."""
    id = new_id()
    api.put_entity("inventory_items", id, "Refusals")
    return Gallery(visit("editor"), portal.url).open(id)


def message_of(row: Locator) -> Locator:
    return row.locator('[data-part="message"]')


def good(number: int) -> FilePayload:
    return payload(f"good-{number}.jpg", samples.distinct(number, 320, 240))


def test_each_bad_file_is_refused_in_words_while_the_good_ones_go_on(gallery: Gallery, visit: Visits):
    visit.watch_of(gallery.page).expect(r"^4(13|15|22): POST .*/images$")
    bad = [payload(name, data) for name, (data, _) in BAD_FILES.items()]
    gallery.drop([good(1), *bad, good(2)])
    for name, (_, words) in BAD_FILES.items():
        expect(message_of(gallery.row(name))).to_have_text(re.compile(words))
        expect(gallery.row(name)).to_have_class(re.compile("refused"))
    gallery.expect_ready(2)
    assert sorted(gallery.names()) == ["good-1.jpg", "good-2.jpg"]
    gallery.page.get_by_role("button", name="Hide").click()
    expect(gallery.page.locator(".tray")).to_be_hidden()


def test_a_second_copy_is_shown_beside_the_first_and_added_only_when_asked_for(gallery: Gallery, visit: Visits):
    visit.watch_of(gallery.page).expect(r"^409: POST .*/images$")
    picture = samples.distinct(3, 320, 240)
    gallery.drop([payload("first.jpg", picture)])
    gallery.expect_ready(1)
    gallery.drop([payload("second.jpg", picture), good(4)])
    twins = gallery.row("second.jpg").locator(".twins")
    for name in ("The file you added", "The picture already here"):
        expect(twins.get_by_role("img", name=name)).to_be_visible()
        assert twins.get_by_role("img", name=name).evaluate("async (i) => { await i.decode(); return i.naturalWidth }")
    expect(twins).to_contain_text("first.jpg")
    gallery.expect_ready(2)
    twins.get_by_role("button", name="Add anyway").click()
    gallery.expect_ready(3)
    gallery.drop([payload("third.jpg", picture)])
    gallery.row("third.jpg").get_by_role("button", name="Keep the one here").click()
    expect(gallery.row("third.jpg")).to_have_count(0)
    gallery.expect_ready(3)


def test_a_busy_portal_is_asked_again_by_itself(gallery: Gallery, visit: Visits):
    visit.watch_of(gallery.page).expect(r"^503: POST .*/images$")
    answers: list[int] = []

    def refuse_once(route: Route) -> None:
        if route.request.method != "POST" or answers:
            route.continue_()
            return
        answers.append(503)
        route.fulfill(status=503, headers={"Retry-After": "1"}, content_type="application/problem+json", body="{}")

    gallery.page.route("**/images", refuse_once)
    gallery.drop([good(5)])
    expect(message_of(gallery.row("good-5.jpg"))).to_contain_text("The portal is busy. Trying again in 1 s")
    gallery.expect_ready(1)
    assert answers == [503]


def test_files_wait_out_a_portal_that_was_killed_and_go_on_when_it_is_back(
    gallery: Gallery, visit: Visits, portal: RunningPortal
):
    watch = visit.watch_of(gallery.page)
    watch.expect(r"^failed: POST .*/images net::ERR_")
    watch.may(r"^failed: GET .*/static/.* net::ERR_")  # the tab's icon, whose connection dies with the portal
    portal.kill()
    wait_until_gone(portal.url)
    try:
        gallery.drop([good(6)])
        row = gallery.row("good-6.jpg")
        expect(message_of(row)).to_contain_text("The connection broke off. Trying again")
        again = row.get_by_role("button", name="Try again")
        expect(again).to_be_visible(timeout=20_000)
        expect(message_of(row)).to_contain_text("Nothing was added; the file waits here.")
    finally:
        portal.start()
    again.click()
    gallery.expect_ready(1)
    gallery.expect_names("good-6.jpg")
