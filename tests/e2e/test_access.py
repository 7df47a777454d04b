"""Every page for everybody: axe finds nothing in light and dark, wide and narrow, and nothing hangs over the edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits
from tests.e2e.pages import Gallery, payload
from tests.e2e.photos import demo_photo
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_for_answers

RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SCHEMES: Final[list[tuple[Literal["light", "dark"], list[str]]]] = [
    ("light", RULES),
    ("dark", ["color-contrast"]),  # all that it changes
]
RUN_AXE: Final = """async (names) => {
  const type = names[0].startsWith("wcag") ? "tag" : "rule";
  const rules = type === "tag" ? { "target-size": { enabled: true } } : {};
  const { violations } = await axe.run({ runOnly: { type, values: names }, rules, resultTypes: ["violations"] });
  const told = (node) => `${node.html.slice(0, 160)} — ${node.failureSummary}`;
  return violations.map(({ id, nodes }) => ({ id, nodes: nodes.slice(0, 4).map(told) }));
}"""
# what is wider than the window, unless it scrolls within a box of its own
OVERHANGING: Final = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1)
    .slice(0, 5).map((e) => `${e.tagName}.${e.className} ${Math.round(e.getBoundingClientRect().right)}`);
}"""
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


PAGES: Final[dict[str, str]] = {
    "overview": "/",
    "search": "/search?q=mug",
    "search that finds nothing": "/search?q=zebra",
    "items": "/entities/inventory_items",
    "items without a picture": "/entities/inventory_items?missing=image",
    "categories": "/entities/categories",
    "invoices": "/entities/invoices",
    "customers": "/entities/customers",
    "companies": "/entities/companies",
    "gallery": "/entities/inventory_items/AX-MUG",
    "empty gallery": "/entities/inventory_items/AX-EMPTY",
    "invoice's gallery": "/entities/invoices/AX-INV",
    "image": "/images/{image}",
    "trashed image": "/images/{trashed}",
    "trash": "/trash",
    "jobs": "/maintenance/jobs",
    "failed jobs": "/maintenance/jobs?state=failed",
    "account": "/account",
    "embed keys": "/settings/embeds?type=invoices&id=AX-INV",
    "storage": "/maintenance",
    "statistics": "/maintenance/statistics",
    "health": "/maintenance/health",
    "quarantine": "/maintenance/quarantine",
    "advice": "/maintenance/advice",
    "advice on one thing": "/maintenance/advice/alt-text",
    "backups": "/maintenance/backups",
    "one size": "/maintenance/presets/gallery",
    "audit log": "/maintenance/audit",
    "style guide": "/styleguide",
    "nothing here": "/no/such/page",
    "embedded grid": "/embed/inventory_items/AX-MUG",
    "embedded strip": "/embed/inventory_items/AX-MUG?layout=strip",
    "embedded carousel": "/embed/inventory_items/AX-MUG?layout=carousel",
    "item's card": "/cards/inventory_items/AX-MUG",
    "invoice's card": "/cards/invoices/AX-INV",
}


def check(page: Page, axe: str) -> None:
    """Both schemes at both widths; and nothing overhangs, on tablets and the narrowest phones neither. It looks at a page that
    has come to rest; where one leads there by a link, wait first for what only that page says."""
    problems: list[str] = []
    page.wait_for_load_state()
    page.evaluate("window.isLookedAt = true")
    wait_for_answers(page)
    page.evaluate(axe)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme, rules in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for violation in page.evaluate(RUN_AXE, rules):
                problems += [f"{width} {scheme} {violation['id']}: {node}" for node in violation["nodes"]]
    for width in (820, 390, 320):
        page.set_viewport_size({"width": width, "height": 700})
        problems += [f"{width} overhanging: {each}" for each in page.evaluate(OVERHANGING)]
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate("window.isLookedAt = false")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_overhangs(
    portal: RunningPortal, visit: Visits, shop: dict[str, str], axe: str, name: str
):
    page = visit("admin")
    if name == "nothing here":
        visit.watch_of(page).expect(r"^404: GET .*/no/such/page")
    page.goto(portal.url + PAGES[name].format(**shop))
    check(page, axe)


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
