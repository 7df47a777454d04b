"""Ten tasks of a first day, each from the overview on and in at most so many clicks and keys; what they took is written to
`test-results/staff-tasks.md`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import RESULTS, Api, Visits
from tests.e2e.hands import Hands, arrive, choose_file
from tests.e2e.pages import PASSWORD, Gallery, SignIn, choose_password, payload
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers

ADMIN = "admin@shop.example"
ITEMS = "inventory_items"
CLIPBOARD = ["clipboard-read", "clipboard-write"]


@pytest.fixture
def fresh_portal() -> Iterator[RunningPortal]:
    running = RunningPortal(PORTAL_ADMIN_EMAIL=ADMIN, PORTAL_ADMIN_PASSWORD=PASSWORD)
    try:
        yield running.start()
    finally:
        running.remove()


@dataclass
class Desk:
    page: Page
    url: str
    hands: Hands
    api: Api

    def search(self, words: str, found: str) -> None:
        """By "/" on the overview, and Enter; then what was meant is opened."""
        self.page.keyboard.press("/")
        self.page.keyboard.type(words)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/search?q=*")
        self.page.locator("#found").get_by_role("link", name=found).click()
        expect(self.page.get_by_role("heading", level=1, name=found)).to_be_visible()
        arrive(self.page)

    def texts(self, id: str, type: str = ITEMS) -> list[str]:
        return [image["alt_text"] or image["filename"] for image in self.api.gallery(type, id)]


def test_ten_tasks_of_a_first_day(fresh_portal: RunningPortal, visit: Visits, tmp_path: Path):
    url = fresh_portal.url
    hands = Hands(url)
    try:
        admin, colleague = hands.at(visit(permissions=CLIPBOARD)), hands.at(visit())
        SignIn(admin, url).open().sign_in(ADMIN, PASSWORD)
        token = make_a_token(admin, hands)
        choose_password(colleague, invite_a_colleague(admin, hands))
        api = Api(fresh_portal, token)
        with api.client:
            desk = Desk(colleague, url, hands, api)
            fill(desk.api)
            fresh_portal.execute(
                "UPDATE image SET trashed_at = trashed_at - interval '1 day' WHERE filename LIKE 'gone%'"
            )
            describe_twenty(desk)
            give_three_items_a_photo(desk)
            replace_the_blurred_one(desk)
            move_three(desk)
            find_by_photo(desk)
            restore_yesterdays(desk)
            put_in_order(desk)
            correct_texts(desk, tmp_path)
    finally:
        hands.write(RESULTS / "staff-tasks.md")


def fill(api: Api) -> None:
    """A shop: twenty pictures that nobody has described, three items without any, an invoice, some that were thrown away."""
    api.put_entity(ITEMS, "MUGS", "Mugs of the spring")
    for number in range(20):
        api.add_picture(ITEMS, "MUGS", f"mug-{number:02}.jpg", samples.shapes(number, 160, 120))
    for id in ("BOWL", "PLATE", "VASE"):
        api.put_entity(ITEMS, id, f"A {id.lower()}")
    api.put_entity("invoices", "INV-7", "Invoice 7", number="RE-2026-007")
    for number, name in enumerate(("damage", "parcel", "label")):
        api.add_picture(
            "invoices", "INV-7", f"{name}.jpg", samples.shapes(30 + number, 160, 120), alt_text=name.capitalize()
        )
    api.put_entity("companies", "US", "The shop itself")
    for name in ("kept", "gone-1", "gone-2", "gone-3", "thrown"):
        picture = samples.shapes(40 + len(name) * ord(name[-1]), 160, 120)
        id = api.add_picture("companies", "US", f"{name}.jpg", picture, alt_text=name.capitalize())
        if name != "kept":
            assert api.client.post(f"/api/images/{id}/trash").status_code == 200


def make_a_token(page: Page, hands: Hands) -> str:
    with hands.doing(page, "Make a token for a script", clicks=3, keys=1):
        page.get_by_role("link", name="API tokens").click()
        page.get_by_label("Name").click()
        page.keyboard.type("Import of the shop")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Copy the token").click()
        expect(page.locator("copy-text [data-said]")).to_have_text("Copied")
    return page.locator(".secret").inner_text()


def invite_a_colleague(page: Page, hands: Hands) -> str:
    with hands.doing(page, "Invite a colleague as editor", clicks=3, keys=2):
        page.get_by_role("link", name="Users").click()
        page.get_by_role("form", name="Invite somebody").get_by_label("E-mail").click()
        page.keyboard.type("eva@shop.example")
        page.keyboard.press("Tab")
        page.keyboard.type("Eva Holm")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Copy the link").click()
        expect(page.locator("copy-text [data-said]")).to_have_text("Copied")
    return page.locator(".secret").inner_text()


def describe_twenty(desk: Desk) -> None:
    page = desk.page
    with desk.hands.doing(page, "Describe 20 pictures", clicks=1, keys=21):
        page.get_by_role("link", name="Describe").click()
        expect(page.get_by_role("complementary", name="Without alt text")).to_be_visible()
        arrive(page)
        page.keyboard.press("e")
        expect(page.get_by_role("dialog", name="Alt text of 20 pictures").get_by_role("textbox").first).to_be_focused()
        for number in range(20):
            page.keyboard.type(f"Mug number {number}")
            page.keyboard.press("Tab" if number < 19 else "Control+Enter")
        expect(page.locator("#describe-unsaid")).to_have_count(0)
        wait_for_answers(page)
    assert desk.texts("MUGS") == [f"Mug number {number}" for number in range(20)]


def give_three_items_a_photo(desk: Desk) -> None:
    page = desk.page
    with desk.hands.doing(page, "Find the items without a photo, give three of them one", clicks=4, keys=2):
        page.get_by_role("link", name="Start with the first").click()
        way = page.get_by_role("complementary", name="Without a picture")
        for number, id in enumerate(("bowl", "plate", "vase")):
            expect(page.get_by_role("heading", level=1, name=f"A {id}")).to_be_visible()
            arrive(page)
            choose_file(
                page.get_by_text("Choose files").locator("visible=true"),
                payload(f"{id}.jpg", samples.shapes(20 + number, 160, 120)),
            )
            expect(way).to_contain_text("This item has a picture now.")
            wait_for_answers(page)
            if number < 2:
                page.keyboard.press("n")
    assert [len(desk.texts(id)) for id in ("BOWL", "PLATE", "VASE")] == [1, 1, 1]


def replace_the_blurred_one(desk: Desk) -> None:
    page = desk.page
    before = desk.api.gallery(ITEMS, "MUGS")[12]
    with desk.hands.doing(page, "Replace the blurred picture, keep the links", clicks=2, keys=2):
        desk.search("number 12", "Mug number 12")
        choose_file(page.get_by_text("Replace file"), payload("sharp.jpg", samples.shapes(99, 320, 240)))
        expect(page.locator("#versions .versions > li")).to_have_count(2)
    after = desk.api.gallery(ITEMS, "MUGS")[12]
    assert (after["id"], after["alt_text"]) == (before["id"], "Mug number 12")
    assert (after["width"], after["version"]) == (320, before["version"] + 1)


def move_three(desk: Desk) -> None:
    page = desk.page
    gallery = Gallery(page, desk.url)
    with desk.hands.doing(page, "Move three pictures to another item", clicks=4, keys=3):
        desk.search("spring", "Mugs of the spring")
        gallery.card("Mug number 3").hover()
        gallery.card("Mug number 3").locator(".pick").click()
        gallery.card("Mug number 5").locator(".pick").click(modifiers=["Shift"])
        page.get_by_role("button", name="Move", exact=True).click()
        dialog = page.get_by_role("dialog", name="Move or copy 3 pictures")
        expect(dialog.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("bowl")
        expect(dialog.get_by_role("radio", name="A bowl")).to_be_checked()  # no other is meant
        with gallery.renewed():
            page.keyboard.press("Enter")
    assert desk.texts("BOWL")[1:] == [f"Mug number {number}" for number in (3, 4, 5)]


def find_by_photo(desk: Desk) -> None:
    page = desk.page
    with desk.hands.doing(page, "Find an item by a photo", clicks=3, keys=1):
        page.keyboard.press("/")
        page.locator("#quick-found").get_by_role("link", name="Find by photo").click()
        expect(page.get_by_role("heading", level=1, name="Find by photo")).to_be_visible()
        arrive(page)
        choose_file(page.get_by_text("Choose a photo"), payload("from-phone.jpg", samples.shapes(4, 160, 120)))
        page.get_by_role("region", name="The same file").get_by_role("link", name="A bowl").click()
        expect(page.get_by_role("heading", level=1, name="A bowl")).to_be_visible()


def restore_yesterdays(desk: Desk) -> None:
    page = desk.page
    with desk.hands.doing(page, "Restore what was trashed yesterday", clicks=3, keys=0):
        page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Trash").click()
        arrive(page)
        page.get_by_role("checkbox", name="Choose all of Yesterday").click()
        page.locator("#trash-choice").get_by_role("button", name="Restore").click()
        expect(page.get_by_role("status").filter(has_text="3 pictures are back in their places")).to_be_visible()
    assert desk.texts("US", "companies") == ["Kept", "Gone-1", "Gone-2", "Gone-3"]


def put_in_order(desk: Desk) -> None:
    page = desk.page
    gallery = Gallery(page, desk.url)
    with desk.hands.doing(page, "Put an invoice's gallery into order, choose its primary", clicks=4, keys=2):
        desk.search("2026-007", "Invoice 7")
        gallery.expect_ready(3)
        gallery.drag("Damage", onto="Label")
        gallery.expect_names("Parcel", "Label", "Damage")
        gallery.drag("Parcel", onto="Label")
        gallery.expect_names("Label", "Parcel", "Damage")
        gallery.make_primary("Label")
    assert desk.texts("INV-7", "invoices") == ["Label", "Parcel", "Damage"]


def correct_texts(desk: Desk, folder: Path) -> None:
    page = desk.page
    with desk.hands.doing(page, "Send alt texts out as CSV, correct them, bring them back", clicks=5, keys=0):
        page.get_by_role("link", name="Texts as CSV").click()
        page.get_by_text("Only those without alt text").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CSV").click()
        download.value.save_as(folder / "texts.csv")
        choose_file(
            page.get_by_label("The spreadsheet as CSV"),
            payload("texts.csv", corrected(folder / "texts.csv"), "text/csv"),
        )
        page.get_by_role("button", name="Change 3 pictures").click()
        expect(page.get_by_role("heading", name="3 pictures changed")).to_be_visible()
    assert (desk.texts("BOWL")[0], *desk.texts("PLATE"), *desk.texts("VASE")) == ("A bowl", "A plate", "A vase")


def corrected(path: Path) -> bytes:
    """As in a spreadsheet: each is called what its item is called."""
    lines = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
    out = io.StringIO()
    writer = csv.DictWriter(out, lines[0])
    writer.writeheader()
    writer.writerows({**line, "alt_text": line["name"]} for line in lines)
    return out.getvalue().encode()
