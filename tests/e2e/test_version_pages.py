"""Another file for a picture, by its page: what it had stays, can be looked at beside the new one, and comes back."""

from __future__ import annotations

import re

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.looks import OVERHANGING, RUN_AXE, SCHEMES
from tests.e2e.pages import PASSWORD, Account, SignIn, expect_decoded, natural_size, payload
from tests.e2e.server import RunningPortal
from tests.e2e.workbench import HEIGHT, WIDTH, Workbench, assert_same

FIRST = samples.scene(WIDTH, HEIGHT)
SECOND = FIRST.transpose(Image.Transpose.ROTATE_90)
NEW = payload("lamp-again.png", samples.save(SECOND, "PNG"), "image/png")
MENDED = "Version 1 is back. The one before it is kept, too"


@pytest.fixture
def item(api: Api) -> str:
    id = new_id()
    api.put_entity("inventory_items", id, "Lamp with a past")
    return id


@pytest.fixture
def image(api: Api, item: str) -> str:
    return api.add_picture("inventory_items", item, "lamp.jpg", samples.jpeg(WIDTH, HEIGHT), alt_text="A lamp")


@pytest.fixture
def bench(portal: RunningPortal, visit: Visits, api: Api, image: str) -> Workbench:
    return Workbench(visit("editor"), api, portal.url, image).open()


def replace(bench: Workbench) -> None:
    bench.choose(NEW)
    expect(bench.page.locator("#toasts")).to_contain_text("Replaced. The file before is kept under Versions")
    bench.expect_done("As it came.")


def version(bench: Workbench, number: int) -> Locator:
    return bench.versions.filter(has_text=f"Version {number}")


def test_another_file_takes_the_place_and_the_page_follows(bench: Workbench):
    page = bench.page
    page.evaluate("window.stayed = true")
    replace(bench)
    assert_same(bench.rendition(), SECOND)
    assert (bench.object()["alt_text"], bench.object()["filename"]) == ("A lamp", "lamp-again.png")
    expect(bench.sending).to_be_hidden()
    expect(page.locator("#file")).to_contain_text("lamp-again.png")
    expect(page.get_by_role("heading", level=1)).to_have_text("A lamp")
    expect(page.locator("#history li").first).to_contain_text("replaced the file: lamp-again.png")
    expect(version(bench, 2)).to_contain_text("Shown now")
    expect(version(bench, 1)).to_contain_text("lamp.jpg")
    old = version(bench, 1).locator("img")
    expect_decoded(old)
    assert natural_size(old) == (64, 64)
    assert page.evaluate("window.stayed")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved")


def test_a_file_dropped_on_the_picture_replaces_it_and_beside_it_nothing(bench: Workbench):
    bench.drop(NEW, "#history")
    bench.drop(payload("offer.jpg", samples.FOREIGN["page.pdf"]), "#preview .stage")
    expect(bench.sending).to_contain_text("This is a PDF")
    assert bench.object()["version"] == 1
    bench.drop(NEW, "#preview .stage")
    expect(bench.page.locator("#toasts")).to_contain_text("Replaced")
    bench.expect_done()
    assert_same(bench.rendition(), SECOND)


def test_an_old_version_comes_back_with_its_edits_and_can_be_left_again(bench: Workbench):
    bench.press("Turn left")
    bench.expect_done("Turned left.")
    replace(bench)
    version(bench, 1).get_by_role("button", name="Bring back").click()
    expect(bench.page.locator("#toasts")).to_contain_text(MENDED)
    bench.expect_done("Turned left.")
    assert_same(bench.rendition(), FIRST.transpose(Image.Transpose.ROTATE_90))
    expect(version(bench, 3)).to_contain_text("Shown now")
    expect(bench.page.locator("#history li").first).to_contain_text("brought back: version 1")
    version(bench, 2).get_by_role("button", name="Bring back").click()
    bench.expect_done("As it came.")
    expect(bench.versions).to_have_count(4)
    assert_same(bench.rendition(), SECOND)


def test_two_versions_stand_side_by_side_and_the_keyboard_brings_one_back(bench: Workbench):
    page = bench.page
    replace(bench)
    version(bench, 1).get_by_role("button", name="Compare").press("Enter")
    dialog = page.get_by_role("dialog", name="Version 1 beside the one shown now")
    for name, size, facts in [("Version 1", (800, 600), "640 × 480"), ("Version 2", (450, 600), "480 × 640")]:
        side = dialog.get_by_role("figure").filter(has_text=name)
        width, height = natural_size(side.locator("img"))
        assert width * size[1] == pytest.approx(height * size[0], rel=0.01)
        expect(side).to_contain_text(facts)
        expect(side).to_contain_text(re.compile(r"\d\skB"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(version(bench, 1).get_by_role("button", name="Compare")).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Bring version 1 back").press("Enter")
    expect(page.locator("#toasts")).to_contain_text(MENDED)
    expect(page.get_by_role("dialog")).to_have_count(0)
    bench.expect_done()
    assert_same(bench.rendition(), FIRST)


def test_a_picture_that_the_gallery_has_is_named_with_the_way_to_it(
    bench: Workbench, api: Api, item: str, visit: Visits
):
    twin = api.add_picture("inventory_items", item, "twin.png", NEW["buffer"])
    visit.watch_of(bench.page).expect(r"^409: POST .*/file$")
    bench.choose(NEW)
    expect(bench.sending).to_contain_text("Already in this gallery")
    expect(bench.sending.get_by_role("link", name="See that picture")).to_have_attribute("href", f"/images/{twin}")
    bench.sending.get_by_role("button", name="Dismiss").click()
    expect(bench.sending).to_be_hidden()
    assert bench.object()["version"] == 1


def test_the_same_file_again_changes_nothing_and_says_so(bench: Workbench):
    bench.choose(payload("lamp.jpg", samples.jpeg(WIDTH, HEIGHT)))
    expect(bench.page.locator("#toasts")).to_contain_text("It is the file that is shown already")
    expect(bench.versions).to_have_count(1)


def test_what_the_server_refuses_is_said_at_the_place_and_can_be_tried_again(bench: Workbench, visit: Visits):
    page = bench.page
    visit.watch_of(page).expect(r"^422: POST .*/file$", r"^failed: POST .*/file ")
    page.route("**/file", lambda route: route.abort("connectionreset"), times=1)
    bench.choose(NEW)
    expect(bench.sending).to_contain_text("The connection broke off. Whether the file arrived is not known")
    with bench.changing():
        bench.sending.get_by_role("button", name="Try again").click()
    bench.expect_done()
    assert_same(bench.rendition(), SECOND)
    half = samples.jpeg(WIDTH, HEIGHT, comment=b"another")
    bench.choose(payload("half.jpg", half[: len(half) // 2]))
    expect(bench.sending.locator(".refused")).to_be_visible()
    expect(bench.sending).to_contain_text("half.jpg")
    assert bench.object()["version"] == 2


def test_who_was_signed_out_signs_in_elsewhere_and_tries_again(bench: Workbench, portal: RunningPortal, visit: Visits):
    page = bench.page
    visit.watch_of(page).may(r"^40[13]: POST .*/file$")
    page.context.clear_cookies()
    bench.choose(NEW)
    expect(bench.sending).to_contain_text("You are signed out.")
    another = page.context.new_page()
    SignIn(another, portal.url).open().sign_in("editor@shop.example", PASSWORD)
    with bench.changing():
        bench.sending.get_by_role("button", name="Try again").click()
    bench.expect_done()
    assert bench.object()["version"] == 2
    Account(another, portal.url).open().sign_out()


def test_a_file_called_off_while_it_is_looked_at_is_not_sent(bench: Workbench):
    """Another one, chosen meanwhile, is."""
    bench.page.evaluate(
        """() => {
          const read = Blob.prototype.arrayBuffer;
          const looking = new Promise((resolve) => (window.lookOn = resolve));
          Blob.prototype.arrayBuffer = async function () { await looking; return read.call(this); };
        }"""
    )
    bench.choose(payload("wrong.jpg", samples.shapes(1)))
    bench.sending.get_by_role("button", name="Cancel").click()
    expect(bench.sending).to_be_hidden()
    bench.choose(NEW)
    with bench.changing():
        bench.page.evaluate("window.lookOn()")
    bench.expect_done()
    assert (bench.object()["version"], bench.object()["filename"]) == (2, "lamp-again.png")


def test_axe_finds_nothing_beside_an_old_version(bench: Workbench, axe: str):
    page, problems = bench.page, []
    replace(bench)
    page.evaluate(axe)
    for opened in (False, True):
        if opened:
            version(bench, 1).get_by_role("button", name="Compare").click()
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            for scheme, rules in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                problems += [str(each) for each in page.evaluate(RUN_AXE, rules)]
        page.set_viewport_size({"width": 320, "height": 700})
        problems += page.evaluate(OVERHANGING)
    assert not problems


def test_replacing_and_bringing_back_work_without_script(portal: RunningPortal, visit: Visits, api: Api, image: str):
    page = visit(java_script_enabled=False)
    SignIn(page, portal.url).open().sign_in("admin@shop.example", PASSWORD)
    visit.watch_of(page).expect(r"^4\d\d: POST .*/file$")
    bench = Workbench(page, api, portal.url, image).open()
    page.locator("#replace > summary").click()
    send = page.get_by_role("form", name="Replace the file")
    send.get_by_label("The new file").set_input_files(payload("offer.jpg", samples.FOREIGN["page.pdf"]))
    send.get_by_role("button", name="Replace").click()
    expect(send).to_contain_text("It was not replaced")
    expect(send).to_contain_text("PDF")
    send.get_by_label("The new file").set_input_files(NEW)
    send.get_by_role("button", name="Replace").click()
    expect(version(bench, 2)).to_contain_text("Shown now")
    version(bench, 1).get_by_role("button", name="Bring back").click()
    expect(version(bench, 3)).to_contain_text("Shown now")
    assert (bench.object()["width"], bench.object()["filename"]) == (WIDTH, "lamp.jpg")
