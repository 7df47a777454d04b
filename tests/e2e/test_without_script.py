"""Everything that staff need works as plain pages and forms."""

from __future__ import annotations

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests import samples
from tests.e2e.conftest import Visits
from tests.e2e.pages import PASSWORD, EntityList, Gallery, SignIn, payload
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_until


def reload_until_ready(gallery: Gallery) -> None:
    def is_ready() -> bool:
        gallery.page.reload()
        return not gallery.page.locator(".image-card[aria-busy]").count()

    wait_until(gallery.page, is_ready, "the pictures do not become ready")


def send(page: Page, files: list[FilePayload]) -> None:
    form = page.locator("form.upload-zone")
    form.get_by_label("Add pictures").set_input_files(files)
    form.get_by_role("button", name="Add them").click()


def upload(gallery: Gallery, *names: str) -> None:
    page = gallery.page
    send(page, [payload(name, samples.distinct(number)) for number, name in enumerate(names)])
    for name in names:
        expect(gallery.card(name)).to_be_visible()
    reload_until_ready(gallery)


@pytest.fixture
def page(portal: RunningPortal, visit: Visits) -> Page:
    page = visit(java_script_enabled=False)
    visit.watch_of(page).may(
        r"^failed: GET .*/static/.*\.js csp$"
    )  # modules asked for ahead; a browser without script takes none
    SignIn(page, portal.url).open().sign_in("admin@shop.example", PASSWORD)
    return page


def test_a_gallery_is_made_filled_ordered_and_emptied_without_script(page: Page, portal: RunningPortal):
    gallery = EntityList(page, portal.url).open().create("PLAIN-1", "Plain lamp")
    upload(gallery, "one.jpg", "two.jpg", "three.jpg")
    gallery.expect_names("one.jpg", "two.jpg", "three.jpg")
    describe_on_its_page(gallery, "one.jpg", "A lamp of plain glass")
    gallery.expect_names("A lamp of plain glass", "two.jpg", "three.jpg")
    gallery.choose_in_menu("three.jpg", "Make primary")
    gallery.expect_primary("three.jpg")
    gallery.choose_in_menu("three.jpg", "Move first")
    gallery.expect_names("three.jpg", "A lamp of plain glass", "two.jpg")
    gallery.choose_in_menu("two.jpg", "Move to trash")
    gallery.expect_names("three.jpg", "A lamp of plain glass")
    gallery.undo()
    gallery.expect_names("three.jpg", "A lamp of plain glass", "two.jpg")
    gallery.choose_in_menu("three.jpg", "Move to trash")
    gallery.choose_in_menu("two.jpg", "Move to trash")
    restore_one_and_delete_the_other(page, portal, back="three.jpg", gone="two.jpg")
    gallery.open("PLAIN-1")
    gallery.expect_names("three.jpg", "A lamp of plain glass")


def describe_on_its_page(gallery: Gallery, name: str, alt_text: str) -> None:
    page = gallery.page
    gallery.card(name).get_by_role("link", name="Add alt text").click()
    page.get_by_label("Alt text", exact=True).fill(alt_text)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1, name=alt_text)).to_be_visible()
    page.get_by_label("Breadcrumb").get_by_role("link").last.click()


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=name, exact=True))


def restore_one_and_delete_the_other(page: Page, portal: RunningPortal, *, back: str, gone: str) -> None:
    page.goto(f"{portal.url}/trash")
    row_of(page, gone).get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 1 for good").click()
    expect(row_of(page, gone)).to_have_count(0)
    row_of(page, back).get_by_role("button", name="Restore").click()
    expect(page.get_by_role("status").filter(has_text="1 picture is back in its place")).to_be_visible()
    expect(row_of(page, back)).to_have_count(0)


def test_a_refused_file_is_named_on_the_page_and_the_good_one_is_kept(page: Page, portal: RunningPortal, visit: Visits):
    gallery = EntityList(page, portal.url).open().create("PLAIN-2", "Plain stool")
    visit.watch_of(page).expect(r"^422: POST .*/images$")
    files = [payload("offer.jpg", samples.FOREIGN["page.pdf"]), payload("good.jpg", samples.distinct(12))]
    send(page, files)
    expect(page.locator(".tray, .upload-zone, upload-zone").filter(has_text="offer.jpg").first).to_contain_text("PDF")
    expect(gallery.card("good.jpg")).to_be_visible()
    expect(gallery.card("offer.jpg")).to_have_count(0)


def test_a_deleted_entity_is_gone_after_its_id_was_typed(page: Page, portal: RunningPortal):
    EntityList(page, portal.url).open("categories").create("PLAIN-CAT", "Plain things", "category")
    page.get_by_role("button", name="More for this category").click()
    page.get_by_role("button", name="Delete this category…").click()
    page.get_by_role("dialog").get_by_label("To confirm, type").fill("PLAIN-CAT")
    page.get_by_role("dialog").get_by_role("button", name="Delete category").click()
    expect(page.get_by_role("heading", level=1, name="Categories")).to_be_visible()
    expect(page.get_by_role("link", name="Plain things")).to_have_count(0)
