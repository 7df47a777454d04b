"""Every page for everybody: what `looks` asks of each, and axe alone of what opens on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import RESULTS, Api, Visits
from tests.e2e.every_page import PAGES, Spot
from tests.e2e.looks import FINGER, check, keep_pictures, loaded, look_at, small_targets
from tests.e2e.pages import Gallery, payload
from tests.e2e.photos import demo_photo
from tests.e2e.server import RunningPortal

LONG: Final = (
    "Hand-thrown stoneware mug with an unusually long name that a narrow window has to break somewhere, 0.35 l"
)


@pytest.fixture(scope="module")
def shop(api: Api) -> dict[str, str]:
    """Something of everything: names to paths' ids."""
    api.put_entity("companies", "AX-CO", "Fjord & Co")
    api.put_entity("customers", "AX-CUS", "Ingrid Solheim")
    api.put_entity("categories", "AX-CAT", "Tableware")
    api.put_entity("inventory_items", "AX-EMPTY", "Nothing yet")
    fields: dict[str, Any] = {"parent": {"type": "categories", "id": "AX-CAT"}, "attributes": {"colour": "slate blue"}}
    api.put_entity("inventory_items", "AX-MUG", LONG, reference="FJ-035-BLUE", **fields)
    lines = [{"item": "AX-MUG", "description": "Mug", "quantity": "12", "unit_price": "14.50"}]
    parties = {"customer": "AX-CUS", "company": "AX-CO"}
    invoice = {"number": "2026-0042", "date": "2026-05-17", "currency": "EUR", "total": "207.06", "lines": lines}
    api.put_entity("invoices", "AX-INV", "Invoice 42", attributes=parties, **invoice)
    words = {"alt_text": "Blue mug", "caption": "In daylight", "tags": "mug, blue"}
    image = api.add_picture("inventory_items", "AX-MUG", "mug-front.jpg", demo_photo("mug-front"), **words)
    api.add_picture("inventory_items", "AX-MUG", "a-file-name-without-any-space-" * 3 + ".jpg", demo_photo("mug-top"))
    api.add_picture("invoices", "AX-INV", "receipt.jpg", demo_photo("mug-box"))
    trashed = api.add_picture("inventory_items", "AX-MUG", "thrown-away.jpg", demo_photo("vases"))
    assert api.client.post(f"/api/images/{trashed}/trash").status_code == 200
    return {"image": image, "trashed": trashed}


def address_of(page: Page, url: str, spot: Spot, shop: dict[str, str]) -> str:
    address = url + spot.address.format(**shop)
    if not spot.link:
        return address
    page.goto(address)
    return url + (page.locator(spot.link).first.get_attribute("href") or "")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_for_everybody_light_and_stands_still(
    portal: RunningPortal, visit: Visits, shop: dict[str, str], axe: str, name: str
):
    page = visit("admin")
    if name == "nothing here":
        visit.watch_of(page).expect(r"^404: GET .*/no/such/page")
    address = address_of(page, portal.url, PAGES[name], shop)
    problems = loaded(page, address, FINGER)
    if PAGES[name].has_shell:
        problems += small_targets(page)
    problems += loaded(page, address, 1280)
    problems += look_at(page, axe)
    keep_pictures(page, RESULTS / "screens", name)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", ["overview", "invoices", "gallery", "invoice's card"])
def test_a_slow_machine_draws_no_half_page_either(
    portal: RunningPortal, visit: Visits, shop: dict[str, str], name: str
):
    page = visit("admin")
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
    address = address_of(page, portal.url, PAGES[name], shop)
    problems = [problem for width in (FINGER, 1280) * 2 for problem in loaded(page, address, width)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", ["sign in", "choose a password", "refused sign-in"])
def test_pages_for_strangers_pass_too(portal: RunningPortal, visit: Visits, axe: str, name: str):
    page = visit()
    if name == "choose a password":
        page.goto(portal.run("user", "create", "axe@shop.example", "--role", "viewer"))
    else:
        page.goto(f"{portal.url}/login")
    if name == "refused sign-in":
        visit.watch_of(page).expect(r"^4\d\d: POST .*/login")
        page.get_by_label("E-mail").fill("nobody@shop.example")
        page.get_by_label("Password").fill("not the right one")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("[aria-invalid]")).to_have_count(1)
    check(page, axe)


def open_menu(gallery: Gallery) -> None:
    gallery.card("Blue mug").hover()
    gallery.card("Blue mug").get_by_role("button", name="More for").click()
    expect(gallery.card("Blue mug").locator(".menu")).to_be_visible()


def open_words(gallery: Gallery) -> None:
    gallery.link("Blue mug").press("e")
    expect(gallery.cards.get_by_label("Alt text")).to_be_visible()


def open_keys(gallery: Gallery) -> None:
    gallery.link("Blue mug").press("?")
    expect(gallery.page.get_by_role("dialog")).to_be_visible()


def open_delete(gallery: Gallery) -> None:
    gallery.page.get_by_role("button", name="More for this item").click()
    gallery.page.get_by_role("button", name="Delete this item…").click()
    expect(gallery.page.get_by_role("dialog")).to_be_visible()


def refuse_files(gallery: Gallery) -> None:
    gallery.drop([payload("offer.jpg", samples.FOREIGN["page.pdf"]), payload("twin.jpg", demo_photo("mug-front"))])
    expect(gallery.row("twin.jpg").locator(".twins")).to_be_visible()
    expect(gallery.row("offer.jpg")).to_contain_text("This is a PDF")


def say_something(gallery: Gallery) -> None:
    gallery.link("Blue mug").press("p")
    gallery.choose_in_menu("Blue mug", "Move first")
    gallery.choose_in_menu("Blue mug", "Move to trash")
    gallery.undo()
    gallery.choose_in_menu("Blue mug", "Move to trash")
    expect(gallery.toast).to_contain_text("Undo")
    gallery.toast.get_by_role("button").focus()  # so that it stays


STATES: Final[dict[str, Callable[[Gallery], None]]] = {
    "menu": open_menu,
    "words": open_words,
    "keys": open_keys,
    "delete dialog": open_delete,
    "refused files": refuse_files,
    "toast": say_something,
}


@pytest.mark.parametrize("state", STATES)
def test_what_opens_in_the_gallery_passes_too(
    portal: RunningPortal, visit: Visits, shop: dict[str, str], api: Api, axe: str, state: str
):
    page = visit("editor")
    visit.watch_of(page).may(r"^409: POST ")
    gallery = Gallery(page, portal.url).open("AX-MUG")
    STATES[state](gallery)
    try:
        check(page, axe)
    finally:
        api.client.post(f"/api/images/{shop['image']}/restore")
