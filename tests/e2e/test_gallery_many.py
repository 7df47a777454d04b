"""Many pictures of a gallery at once: how they are chosen, and what is done to them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.pages import PASSWORD, Gallery, SignIn
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers

NAMES = [f"many-{number}.jpg" for number in range(1, 7)]


@pytest.fixture
def id(api: Api) -> str:
    """Six pictures, the first of them primary."""
    id = new_id()
    api.put_entity("inventory_items", id, "Many")
    for number, name in enumerate(NAMES):
        api.add_picture("inventory_items", id, name, samples.distinct(number, 160, 120))
    return id


@pytest.fixture
def gallery(portal: RunningPortal, visit: Visits, id: str) -> Gallery:
    return Gallery(visit("editor"), portal.url).open(id)


def bar(page: Page) -> Locator:
    return page.get_by_role("group", name="For the selected pictures")


def tick(gallery: Gallery, name: str) -> Locator:
    return gallery.card(name).get_by_role("checkbox", name=f"Select {name}")


def expect_chosen(gallery: Gallery, *names: str) -> None:
    ticked = gallery.cards.filter(has=gallery.page.locator(".pick :checked")).locator(".name")
    expect(ticked).to_have_text(list(names))
    if names:
        expect(bar(gallery.page)).to_contain_text(f"{len(names)} selected")
    else:
        expect(bar(gallery.page)).to_be_hidden()


def test_ticks_ranges_and_all_are_chosen_by_hand(gallery: Gallery):
    page = gallery.page
    expect_chosen(gallery)
    tick(gallery, NAMES[1]).check()
    tick(gallery, NAMES[3]).click(modifiers=["Shift"])
    expect_chosen(gallery, *NAMES[1:4])
    gallery.link(NAMES[2]).click()  # while pictures are chosen, a click on one chooses it, or not
    expect_chosen(gallery, NAMES[1], NAMES[3])
    bar(page).get_by_role("checkbox", name="All 6").click()
    expect_chosen(gallery, *NAMES)
    expect(bar(page).get_by_role("checkbox", name="All 6")).to_be_hidden()
    bar(page).get_by_role("button", name="Select nothing").click()
    expect_chosen(gallery)
    gallery.link(NAMES[2]).click()
    expect(page.get_by_role("heading", level=1, name=NAMES[2])).to_be_visible()


def test_twenty_words_are_typed_in_one_dialog_and_tags_and_trash_are_undone(gallery: Gallery, visit: Visits, api: Api):
    page = gallery.page
    visit.watch_of(page).expect(r"^422: POST .*/batch$")
    page.get_by_role("button", name="Describe them").click()
    dialog = page.get_by_role("dialog", name="Alt text of 6 pictures")
    expect(dialog.get_by_role("textbox", name=f"Alt text of {NAMES[0]}", exact=True)).to_be_focused()
    page.keyboard.type("Front")
    page.keyboard.press("Tab")
    page.keyboard.type("Back")
    with gallery.renewed():
        page.keyboard.press("Control+Enter")
    expect(dialog).to_be_hidden()
    names = ["Front", "Back", *NAMES[2:]]
    gallery.expect_names(*names)
    expect_chosen(gallery)

    tick(gallery, "Front").check()
    tick(gallery, NAMES[2]).check()
    bar(page).get_by_role("button", name="Tag").click()
    tags = page.get_by_role("dialog", name="Tags of 2 pictures")
    tags.get_by_role("button", name="Add these").click()
    expect(tags.get_by_role("alert")).to_contain_text("Type at least one tag")
    wait_for_answers(page)
    page.keyboard.type("web shop,")
    with gallery.renewed():
        tags.get_by_role("button", name="Add these").click()
    assert [image["tags"] for image in api.gallery("inventory_items", id_of(page))][:3] == [
        ["web shop"],
        [],
        ["web shop"],
    ]
    expect_chosen(gallery, "Front", NAMES[2])  # what follows is meant for the same ones

    with gallery.renewed():
        bar(page).get_by_role("button", name="Trash").click()
    gallery.expect_names("Back", *NAMES[3:])
    expect_chosen(gallery)
    gallery.undo()
    gallery.expect_names(*names)


def id_of(page: Page) -> str:
    return page.url.rsplit("/", 1)[1].split("?")[0]


def test_chosen_pictures_move_to_a_gallery_that_is_found_by_its_name(gallery: Gallery, api: Api):
    page, other = gallery.page, new_id()
    api.put_entity("inventory_items", other, f"Other {other}")
    tick(gallery, NAMES[4]).check()
    tick(gallery, NAMES[5]).check()
    bar(page).get_by_role("button", name="Move").click()
    dialog = page.get_by_role("dialog", name="Move or copy 2 pictures")
    dialog.get_by_role("searchbox").fill(f"Other {other}")
    expect(dialog.get_by_role("radio")).to_have_count(1)
    wait_for_answers(page)
    dialog.get_by_text(f"Other {other}").click()
    with gallery.renewed():
        dialog.get_by_role("button", name="Move there").click()
    gallery.expect_names(*NAMES[:4])
    assert [image["filename"] for image in api.gallery("inventory_items", other)] == NAMES[4:]
    gallery.undo()
    gallery.expect_names(*NAMES)


def test_what_is_chosen_is_downloaded_as_one_file(gallery: Gallery):
    page = gallery.page
    tick(gallery, NAMES[0]).check()
    tick(gallery, NAMES[3]).check()
    with page.expect_download() as download:
        bar(page).get_by_role("button", name="Download").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert len([name for name in archive.namelist() if name.endswith(".jpg")]) == 2


def test_all_is_done_by_keys_alone(gallery: Gallery):
    page = gallery.page
    keyboard = page.keyboard
    gallery.link(NAMES[1]).focus()
    keyboard.press("x")
    expect_chosen(gallery, NAMES[1])
    keyboard.press("Shift+ArrowRight")
    keyboard.press("Shift+ArrowRight")
    expect_chosen(gallery, *NAMES[1:4])
    expect(page.locator("#gallery-said")).to_have_text("3 selected")
    keyboard.press("Escape")
    expect_chosen(gallery)
    keyboard.press("Control+a")
    expect_chosen(gallery, *NAMES)
    keyboard.press("e")
    field = page.get_by_role("textbox", name=f"Alt text of {NAMES[0]}", exact=True)
    expect(field).to_be_focused()
    keyboard.type("x e p?")  # no key fires inside a field
    expect_chosen(gallery, *NAMES)
    keyboard.press("Escape")
    expect(field).to_be_hidden()
    gallery.link(NAMES[5]).focus()
    keyboard.press("Escape")
    keyboard.press("x")
    keyboard.press("ArrowLeft")
    keyboard.press("x")
    with gallery.renewed():
        keyboard.press("Delete")
    gallery.expect_names(*NAMES[:4])
    expect(gallery.link(NAMES[3])).to_be_focused()


def test_on_a_phone_one_taps_select_and_no_verb_is_out_of_sight(portal: RunningPortal, visit: Visits, id: str):
    page = visit("editor", viewport={"width": 390, "height": 844}, has_touch=True)
    gallery = Gallery(page, portal.url).open(id)
    page.get_by_role("button", name="Select", exact=True).tap()
    gallery.link(NAMES[1]).tap()
    tick(gallery, NAMES[2]).tap()
    expect_chosen(gallery, NAMES[1], NAMES[2])
    for button in bar(page).get_by_role("button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert min(box["width"], box["height"]) >= 44


def test_without_script_the_same_form_goes_out_plainly(portal: RunningPortal, visit: Visits, id: str):
    page = visit(java_script_enabled=False)
    visit.watch_of(page).may(r"^failed: GET .*/static/.*\.js csp$")
    SignIn(page, portal.url).open().sign_in("admin@shop.example", PASSWORD)
    gallery = Gallery(page, portal.url).open(id)
    expect(bar(page)).to_be_hidden()
    tick(gallery, NAMES[0]).check()
    tick(gallery, NAMES[5]).check()
    bar(page).get_by_role("button", name="Trash").click()
    gallery.expect_names(*NAMES[1:5])
    gallery.toast.get_by_role("button", name="Undo").click()
    gallery.expect_names(*NAMES)
    bar_all = page.locator("bulk-bar [name=all]")
    tick(gallery, NAMES[0]).check()
    bar_all.check()
    bar(page).get_by_role("button", name="Tag").click()
    dialog = page.get_by_role("dialog", name="Tags of the selected pictures")
    dialog.get_by_label("Tags", exact=True).fill("spring, web shop")
    dialog.get_by_role("button", name="Add these").click()
    expect(gallery.toast).to_contain_text("6 pictures")
