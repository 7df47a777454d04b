"""What cannot be stored is said beside the file, in words that help; the good files of the batch go on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Locator, Route, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import Gallery, payload
from tests.e2e.server import RunningPortal

TOO_BIG = 16 * 1024 * 1024

BAD_FILES = {
    "offer.jpg": (b"%PDF-1.7\n" + bytes(500), r"This is a PDF\. Export the page as JPEG or PNG"),
    "nothing.png": (b"", r"The file is empty"),
    "cut.jpg": (samples.truncated(), r"The file ends early: a part of the picture is missing\. Copy it again"),
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
    return payload(f"good-{number}.jpg", samples.shapes(number))


def test_each_bad_file_is_refused_in_words_while_the_good_ones_go_on(gallery: Gallery, visit: Visits, tmp_path: Path):
    visit.watch_of(gallery.page).expect(r"^4(13|15|22): POST .*/images$")
    bad = [payload(name, data) for name, (data, _) in BAD_FILES.items()]
    gallery.drop([good(1), *bad, good(2)])
    samples.write(tmp_path, "large.jpg", samples.jpeg() + bytes(TOO_BIG))
    gallery.page.locator("#upload-files").set_input_files(tmp_path / "large.jpg")
    expect(message_of(gallery.row("large.jpg"))).to_contain_text("16.8 MB is more than the 15 MB")
    for name, (_, words) in BAD_FILES.items():
        expect(message_of(gallery.row(name))).to_have_text(re.compile(words))
        expect(gallery.row(name)).to_have_class(re.compile("refused"))
    gallery.expect_ready(2)
    assert sorted(gallery.names()) == ["good-1.jpg", "good-2.jpg"]
    gallery.page.get_by_role("button", name="Dismiss all").click()
    expect(gallery.page.locator(".tray")).to_be_hidden()


def test_a_busy_portal_is_asked_again_by_itself(gallery: Gallery, visit: Visits):
    visit.watch_of(gallery.page).expect(r"^503: POST .*/images$")
    is_busy = True

    def refuse(route: Route) -> None:
        if route.request.method != "POST" or not is_busy:
            route.continue_()
        else:
            route.fulfill(status=503, headers={"Retry-After": "3"}, content_type="application/problem+json", body="{}")

    gallery.page.route("**/images", refuse)
    gallery.drop([good(5)])
    expect(message_of(gallery.row("good-5.jpg"))).to_have_text(re.compile(r"The portal is busy\. Trying again in \d s"))
    is_busy = False
    gallery.expect_ready(1)
