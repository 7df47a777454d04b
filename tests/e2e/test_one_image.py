"""One picture's page: by keyboard from picture to picture, its words, its sizes while a hand moves, its versions, its links."""

from __future__ import annotations

import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.looks import look_at
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers, wait_until
from tests.e2e.workbench import Workbench


@pytest.fixture
def images(api: Api) -> list[str]:
    """Three pictures of one gallery."""
    id = new_id()
    api.put_entity("inventory_items", id, "Lamp at work")
    return [api.add_picture("inventory_items", id, f"{n}.jpg", samples.distinct(n, 640, 480)) for n in range(3)]


@pytest.fixture
def bench(portal: RunningPortal, visit: Visits, api: Api, images: list[str]) -> Workbench:
    page = visit("editor", permissions=["clipboard-read", "clipboard-write"])
    return Workbench(page, api, portal.url, images[1]).open()


def alt(page: Page) -> Locator:
    return page.get_by_label("Alt text", exact=True)


def saved(page: Page) -> Locator:
    return page.locator("#metadata-form").get_by_text("Saved Today")


def stored(bench: Workbench, image: str) -> dict[str, object]:
    return bench.api.client.get(f"/api/images/{image}").json()


def test_pictures_are_described_one_after_the_other_by_keys_alone(bench: Workbench, images: list[str]):
    page, keys = bench.page, bench.page.keyboard
    expect(page.get_by_text("2 of 3", exact=True)).to_be_visible()
    keys.press("ArrowLeft")
    expect(page.get_by_text("1 of 3", exact=True)).to_be_visible()
    page.wait_for_load_state()
    keys.press("e")
    expect(alt(page)).to_be_focused()
    keys.type("Red ape")  # e, p and the arrows write and move, nothing else
    keys.press("ArrowLeft")
    keys.press("Delete")
    keys.type("x")
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    keys.press("Control+Enter")
    expect(saved(page)).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_focused()
    expect(page.get_by_role("heading", level=1)).to_have_text("Red apx")
    expect(page.locator("#history ins")).to_have_text("Red apx")
    assert (stored(bench, images[0])["alt_text"], stored(bench, images[0])["trashed_at"]) == ("Red apx", None)
    keys.press("Tab")
    expect(page.get_by_role("button", name="Save and next")).to_be_focused()
    keys.press("Enter")
    expect(page.get_by_text("2 of 3", exact=True)).to_be_visible()
    expect(alt(page)).to_be_focused()
    page.wait_for_load_state()
    keys.press("Tab")
    keys.press("p")
    expect(page.locator("#toasts")).to_contain_text("now the primary one")
    expect(page.locator(".page-head .badge")).to_have_text("Primary")
    assert stored(bench, images[1])["is_primary"]


def test_of_two_peoples_texts_both_are_shown_and_one_is_chosen(bench: Workbench, visit: Visits):
    page = bench.page
    visit.watch_of(page).expect(r"^412: POST ")
    alt(page).fill("My lamp")
    page.get_by_label("Caption").fill("My caption")
    bench.api.client.put(f"/api/images/{bench.image}/metadata", json={"alt_text": "Their lamp"})
    page.get_by_role("button", name="Save", exact=True).click()
    whose = page.get_by_role("group", name="Alt text: whose?")
    expect(whose.get_by_label("Mine, as it stands here")).to_be_focused()
    expect(whose).to_contain_text("Their lamp")
    expect(alt(page)).to_have_value("My lamp")
    page.keyboard.press("ArrowDown")
    expect(whose.get_by_label("What is stored")).to_be_checked()
    page.keyboard.press("Control+Enter")
    expect(saved(page)).to_be_visible()
    expect(alt(page)).to_have_value("Their lamp")
    image = bench.object()
    assert (image["alt_text"], image["caption"]) == ("Their lamp", "My caption")


def test_a_refused_form_says_why_at_the_field_and_nothing_is_left_behind_unasked(bench: Workbench, visit: Visits):
    page = bench.page
    visit.watch_of(page).expect(r"^422: POST ")
    alt(page).fill("A lamp " * 100)
    page.get_by_label("Caption").fill("Kept")
    expect(page.get_by_text("700 of 500")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Use at most 500 characters")).to_be_visible()
    expect(alt(page)).to_be_focused()
    expect(page.get_by_label("Caption")).to_have_value("Kept")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("link", name="Next picture").click(no_wait_after=True)
    wait_until(page, lambda: asked == ["beforeunload"], "nobody is asked")
    alt(page).fill("A lamp from the side")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(saved(page)).to_be_visible()
    page.get_by_role("link", name="Next picture").click()
    expect(page.get_by_text("3 of 3", exact=True)).to_be_visible()
    assert asked == ["beforeunload"]


def test_alt_texts_that_tell_nothing_are_nudged(bench: Workbench):
    page = bench.page
    nudge, hint = page.locator("#alt-text-about.nudge"), page.get_by_text("Say what a person would miss")
    expect(nudge).to_contain_text("is told nothing")
    for text, said in {"IMG_2041.jpg": "file's name", "picture of a lamp on a table": "Leave out"}.items():
        alt(page).fill(text)
        expect(nudge).to_contain_text(said)
    alt(page).fill("A brass lamp on a table")
    expect(hint).to_be_visible()
    expect(nudge).to_have_count(0)
    alt(page).fill("")
    page.get_by_label("Decorative: needs no alt text").check()
    expect(nudge).to_have_count(0)


def test_tags_are_completed_and_taken_off_by_keys(bench: Workbench, images: list[str]):
    page, typed = bench.page, bench.page.get_by_role("combobox", name="Tags")
    tag = f"Frost {new_id()}"
    bench.api.client.put(f"/api/images/{images[0]}/metadata", json={"tags": [tag, "first"]})
    options = page.get_by_role("option")
    typed.focus()
    expect(options.filter(has_text="first")).to_be_visible()  # those beside it are offered at once
    typed.press_sequentially(tag[:-1].lower())
    expect(options).to_have_text([tag])
    typed.press("ArrowDown")
    expect(options).to_have_attribute("aria-selected", "true")
    typed.press("Enter")
    expect(page.get_by_role("list", name="Tags of this picture").get_by_role("listitem")).to_have_count(1)
    typed.press_sequentially("blue,tall")
    page.keyboard.press("Control+Enter")  # what was typed to its end counts
    expect(saved(page)).to_be_visible()
    assert bench.object()["tags"] == [tag, "blue", "tall"]
    page.get_by_role("button", name="Remove the tag blue").click()
    expect(page.get_by_role("button", name="Remove the tag tall")).to_be_focused()
    typed.press("Backspace")
    page.get_by_role("button", name="Save", exact=True).click()
    wait_until(page, lambda: bench.object()["tags"] == [tag], "the tags stay")


def test_an_answer_that_comes_late_leaves_what_an_arrow_chose(bench: Workbench, images: list[str]):
    page, typed = bench.page, bench.page.get_by_role("combobox", name="Tags")
    start = new_id()  # no other tag begins so
    tag = f"{start} frost"
    bench.api.client.put(f"/api/images/{images[0]}/metadata", json={"tags": [tag]})
    options, held = page.get_by_role("option"), list[Route]()
    typed.focus()
    typed.press_sequentially(start[:-1])
    expect(options.filter(has_text=tag)).to_be_visible()
    page.route(f"**q={start}", lambda route: held.append(route))
    typed.press_sequentially(start[-1])
    wait_until(page, lambda: held, "it never asked")
    while page.locator("[aria-selected=true]").all_text_contents() != [tag]:
        typed.press("ArrowDown")
    with page.expect_response(f"**q={start}"):
        held[0].continue_()
    wait_for_answers(page)
    expect(options).to_have_text([tag])
    expect(options).to_have_attribute("aria-selected", "true")
    typed.press("Enter")
    expect(page.get_by_role("button", name=f"Remove the tag {tag}")).to_be_visible()


def test_attributes_are_added_and_removed_by_rows(bench: Workbench):
    page = bench.page
    names, values = page.get_by_label("Name of an attribute"), page.get_by_label("Its value")
    names.fill("Shelf")
    values.fill("B 12")
    page.get_by_role("button", name="Add an attribute").click()
    expect(names.nth(1)).to_be_focused()
    names.nth(1).fill("Photographer")
    values.nth(1).fill("Maja")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(saved(page)).to_be_visible()
    assert bench.object()["attributes"] == {"Shelf": "B 12", "Photographer": "Maja"}
    page.get_by_role("button", name="Remove Shelf").click()
    expect(page.get_by_role("button", name="Remove Photographer")).to_be_focused()
    page.get_by_role("button", name="Save", exact=True).click()
    wait_until(page, lambda: bench.object()["attributes"] == {"Photographer": "Maja"}, "the attribute stays")


def test_every_size_follows_the_focal_point_and_the_frame_of_a_crop(bench: Workbench):
    page = bench.page

    def cut(preset: str) -> str | None:
        return page.locator(f'[data-preset="{preset}"] > svg').get_attribute("viewBox")

    before = {name: cut(name) for name in ("icon", "card", "large")}
    page.locator("#focal-move").press("Shift+ArrowLeft")
    assert (cut("icon") != before["icon"], cut("large") == before["large"]) == (True, True)
    page.locator("#focal-move").press("Shift+ArrowRight")
    assert {name: cut(name) for name in before} == before
    pixels = page.locator("#presets figure", has_text="large").locator("[data-part=pixels]")
    said = pixels.text_content()
    bench.begin_crop()
    for _ in range(20):
        bench.frame.press("Shift+ArrowLeft")
    assert all(cut(name) != before[name] for name in before)
    expect(pixels).not_to_have_text(said or "")
    bench.frame.press("Escape")
    assert {name: cut(name) for name in before} == before
    expect(pixels).to_have_text(said or "")


def test_versions_are_compared_one_upon_the_other_by_keys(bench: Workbench):
    page = bench.page
    bench.choose({"name": "next.jpg", "mimeType": "image/jpeg", "buffer": samples.distinct(9, 640, 480)})
    expect(bench.versions).to_have_count(2)
    bench.expect_done()
    page.get_by_role("button", name="Compare version 1").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("One upon the other").click()
    slider = dialog.get_by_role("slider", name="How much of version 1 shows")
    slider.focus()
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "51 % of the old version")
    boxes = [each.bounding_box() for each in dialog.locator(".sides .pic").all()]
    assert boxes[0] == boxes[1]
    dialog.get_by_text("Side by side").click()
    boxes = [each.bounding_box() for each in dialog.locator(".sides .pic").all()]
    assert boxes[0] != boxes[1]


def test_links_are_copied_whole_and_lead_to_the_picture(bench: Workbench):
    page = bench.page
    page.get_by_role("button", name="Copy the link to card").click()
    expect(page.locator("#toasts")).to_contain_text("Link to card copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == f"{bench.url}/api/images/serve/{bench.image}?size=card"
    assert bench.api.client.get(link).status_code == 200
    page.get_by_text("Show it on another site").click()
    page.get_by_role("button", name="Copy HTML").click()
    expect(page.locator("#toasts")).to_contain_text("HTML copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("<img src=")


def test_axe_finds_nothing_on_a_form_in_quarrel(bench: Workbench, visit: Visits, axe: str):
    page = bench.page
    visit.watch_of(page).expect(r"^412: POST ")
    alt(page).fill("Mine")
    bench.api.client.put(f"/api/images/{bench.image}/metadata", json={"alt_text": "Theirs", "tags": ["front"]})
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("group", name="Alt text: whose?")).to_be_visible()
    page.get_by_role("combobox", name="Tags").focus()
    wait_for_answers(page)
    assert not look_at(page, axe)
