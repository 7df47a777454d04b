"""No work is done twice: what is here already is shown before a byte is sent, and what looks alike is hinted, never refused."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Request, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.held import Held, rows
from tests.e2e.pages import Gallery, natural_size, payload
from tests.e2e.server import RunningPortal
from tests.e2e.test_access import check

TYPE = "inventory_items"
# what a browser offers on plain http, where the address is no loopback
PLAIN_HTTP = """
  Object.defineProperty(Crypto.prototype, "subtle", { get: () => undefined });
  Object.defineProperty(Crypto.prototype, "randomUUID", { value: undefined });
  Object.defineProperty(Navigator.prototype, "locks", { get: () => undefined });
  Object.defineProperty(Navigator.prototype, "storage", { get: () => undefined });
  Object.defineProperty(Navigator.prototype, "permissions", { get: () => undefined });
"""


@pytest.fixture
def id(api: Api) -> str:
    made = new_id()
    api.put_entity(TYPE, made, f"Twins {made}")
    for number in (1, 2):
        api.add_picture(TYPE, made, f"here-{number}.jpg", samples.shapes(number))
    return made


@pytest.fixture
def gallery(portal: RunningPortal, visit: Visits, id: str) -> Gallery:
    """Two pictures are here."""
    return Gallery(visit("editor"), portal.url).open(id)


def near(number: int) -> bytes:
    """Other bytes that look like `samples.shapes(number)`."""
    return samples.save(Image.open(io.BytesIO(samples.shapes(number))), "JPEG", quality=50)


def uploads_of(page: Page) -> set[str]:
    """Fills up with the keys of the files that the page sends; a try again has the same."""
    sent: set[str] = set()

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/images"):
            sent.add(request.headers["idempotency-key"])

    page.on("request", note)
    return sent


def expect_side_by_side(row: Locator, *names: str) -> None:
    for name in names:
        assert natural_size(row.get_by_role("img", name=name)) > (0, 0)


def count(api: Api, id: str) -> int:
    return len(api.gallery(TYPE, id))


def test_an_exact_copy_is_shown_beside_the_first_before_a_byte_is_sent(gallery: Gallery, api: Api, id: str):
    sent = uploads_of(gallery.page)
    gallery.drop([payload("copy.jpg", samples.shapes(1))])
    row = gallery.row("copy.jpg")
    expect(row).to_contain_text("Already in this gallery: the two files are the same, byte for byte.")
    expect(row.locator(".twins")).to_contain_text("here-1.jpg")
    expect_side_by_side(row, "The file you added", "The picture already here")
    gallery.page.reload()
    expect_side_by_side(row, "The file you added", "The picture already here")
    row.get_by_role("button", name="Use the one you have").click()
    expect(rows(gallery.page)).to_have_count(0)
    assert (sent, count(api, id)) == (set(), 2)
    gallery.drop([payload("copy.jpg", samples.shapes(1))])
    row.get_by_role("button", name="Keep both").click()
    gallery.expect_ready(3)
    assert len(sent) == 1
    gallery.page.reload()
    expect(gallery.cards).to_have_count(3)
    expect(rows(gallery.page)).to_have_count(0)


@pytest.mark.parametrize(("choice", "total"), [("Use those you have", 3), ("Keep both of each", 5)])
def test_several_copies_are_answered_at_once(gallery: Gallery, api: Api, id: str, choice: str, total: int):
    copies = [payload(f"copy-{number}.jpg", samples.shapes(number)) for number in (1, 2)]
    gallery.drop([*copies, payload("new.jpg", samples.shapes(3))])
    expect(gallery.page.locator("#upload-tray")).to_contain_text("2 of these are here already, byte for byte.")
    gallery.page.get_by_role("button", name=choice).click()
    gallery.expect_ready(total)
    expect(rows(gallery.page)).to_have_count(0)
    assert count(api, id) == total


def test_the_same_file_twice_in_one_drop_is_stored_once(gallery: Gallery, visit: Visits, api: Api, id: str):
    visit.watch_of(gallery.page).expect(r"^409: POST .*/images$")
    gallery.drop([payload("one.jpg", samples.shapes(3)), payload("two.jpg", samples.shapes(3))])
    expect(rows(gallery.page, "duplicate")).to_have_count(1)
    gallery.page.get_by_role("button", name="Use the one you have").click()
    gallery.expect_ready(3)
    assert count(api, id) == 3


def test_on_plain_http_the_portal_finds_copies_and_files_survive_a_refresh(
    portal: RunningPortal, visit: Visits, api: Api, id: str
):
    page = visit("editor")
    visit.watch_of(page).expect(r"^409: POST .*/images$")
    page.add_init_script(PLAIN_HTTP)
    gallery = Gallery(page, portal.url).open(id)
    held = Held(page)
    gallery.drop([payload("copy.jpg", samples.shapes(1)), payload("new.jpg", samples.shapes(3))])
    held.expect_sending(2)
    held.forget()
    page.reload()
    expect_side_by_side(gallery.row("copy.jpg"), "The file you added", "The picture already here")
    gallery.expect_ready(3)
    gallery.row("copy.jpg").get_by_role("button", name="Use the one you have").click()
    expect(rows(page)).to_have_count(0)
    assert count(api, id) == 3


def test_what_looks_alike_is_stored_and_hinted_with_both_pictures(gallery: Gallery, api: Api, axe: str, id: str):
    gallery.drop(
        [payload("near.jpg", near(1)), payload("copy.jpg", samples.shapes(2)), payload("new.jpg", samples.shapes(3))]
    )
    row = gallery.row("near.jpg")
    expect(row).to_contain_text("Stored. Looks like here-1.jpg")
    expect_side_by_side(row, "The picture you added", "The picture that looks like it")
    gallery.expect_ready(4)
    check(gallery.page, axe)
    row.get_by_role("button", name="Keep both").press("Enter")
    expect(row).to_have_count(0)
    assert count(api, id) == 4


def test_the_new_one_of_two_that_look_alike_can_be_removed_and_brought_back(gallery: Gallery, api: Api, id: str):
    gallery.drop([payload("near.jpg", near(1))])
    gallery.row("near.jpg").get_by_role("button", name="Remove the new one").click()
    expect(rows(gallery.page)).to_have_count(0)
    gallery.expect_names("here-1.jpg", "here-2.jpg")
    gallery.undo()
    gallery.expect_names("here-1.jpg", "here-2.jpg", "near.jpg")
    assert count(api, id) == 3


def test_plain_pictures_are_no_likeness(gallery: Gallery, api: Api, id: str):
    for tone in ("white", "#f4f4f4", "#101010"):
        picture = samples.save(Image.new("RGB", (200, 150), tone), "PNG")
        gallery.drop([payload(f"{tone}.png", picture, "image/png")])
    gallery.expect_ready(5)
    expect(rows(gallery.page)).to_have_count(0)
