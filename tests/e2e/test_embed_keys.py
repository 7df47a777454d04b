"""Keys for other sites: made, looked at, copied and revoked on their page."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.host import OtherSite
from tests.e2e.pages import natural_size
from tests.e2e.photos import demo_photo
from tests.e2e.server import RunningPortal
from tests.e2e.test_access import check

CAPTION = "Delivered so"


@pytest.fixture
def customer(api: Api) -> str:
    id = new_id()
    api.put_entity("customers", id, "Café Lindqvist")
    api.add_picture("customers", id, "vases.jpg", demo_photo("vases"), caption=CAPTION)
    return id


def open_form(page: Page, portal: RunningPortal, customer: str) -> None:
    """By the gallery's own button."""
    page.goto(f"{portal.url}/entities/customers/{customer}")
    page.get_by_role("link", name="Embed", exact=True).click()
    expect(page.get_by_role("heading", name="New key to Café Lindqvist")).to_be_visible()
    expect(page.get_by_label("Id")).to_have_value(customer)


def test_a_key_is_made_looked_at_copied_and_revoked(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, customer: str, axe: str
):
    page = visit("editor", permissions=["clipboard-read", "clipboard-write"])
    visit.watch_of(page).expect(r"^422: POST .*/settings/embeds$")
    open_form(page, portal, customer)
    page.get_by_label("Sites that may show it").fill(f"{other_site.origin}/path")
    page.get_by_role("button", name="Make key").click()
    field = page.get_by_label("Sites that may show it")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    field.fill(other_site.origin)
    page.get_by_text("In 30 days").click()
    page.get_by_role("button", name="Make key").click()
    expect(page.get_by_role("heading", name="Key to Café Lindqvist")).to_be_focused()
    url = page.get_by_label("The link alone").input_value()
    key = url.rpartition("/")[2]
    check_preview(page, url)
    check(page, axe)
    check_copying(page, url)
    check_list_and_history(page, key, other_site.origin)
    snippet = page.get_by_label("For the other site's page").input_value()
    assert shows_picture(visit, other_site, snippet)
    visit.watch_of(page).may(r"^404: GET .*/embed/k/")
    revoke(page)
    assert httpx.get(url, trust_env=False, timeout=60).status_code == 404


def check_preview(page: Page, url: str) -> None:
    """The frame shows the pictures, and follows the switches, as the link and the snippet do."""
    frame = page.frame_locator("iframe[title=Preview]")
    assert natural_size(frame.locator("a.pic img:not(.blur)").first)[0] > 100
    expect(frame.get_by_text(CAPTION)).to_be_visible()
    steps = len_of_history(page)
    page.get_by_text("Carousel", exact=True).click()
    page.get_by_text("Dark", exact=True).click()
    page.get_by_label("Captions").uncheck()
    expect(frame.locator("main.carousel")).to_be_visible()
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    expect(frame.get_by_text(CAPTION)).to_have_count(0)
    expect(page.get_by_label("The link alone")).to_have_value(f"{url}?layout=carousel&theme=dark&captions=0")
    snippet = page.get_by_label("For the other site's page")
    expect(snippet).to_have_value(re.compile(r'src="[^"]+\?layout=carousel&amp;theme=dark&amp;captions=0"'))
    assert len_of_history(page) == steps, "the key stands in the window's history"
    page.get_by_text("Card", exact=True).click()
    expect(frame.get_by_role("heading", level=1, name="Café Lindqvist")).to_be_visible()
    page.get_by_text("Grid", exact=True).click()
    expect(frame.locator("main.grid")).to_be_visible()


def len_of_history(page: Page) -> int:
    return page.evaluate("history.length")


def check_copying(page: Page, url: str) -> None:
    page.evaluate(
        """() => {
          window.read = [];
          for (const label of document.querySelectorAll("[data-copy] span"))
            new MutationObserver(() => window.read.push(label.textContent)).observe(label, { childList: true });
        }"""
    )
    page.get_by_role("button", name="Copy snippet").click()
    page.wait_for_function("() => window.read.length === 2")
    assert page.evaluate("window.read") == ["Copied", "Copy snippet"]
    assert page.evaluate("navigator.clipboard.readText()").startswith(f'<iframe src="{url}')
    page.evaluate("delete Navigator.prototype.clipboard")  # as on a portal without https
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_function("() => window.read[2] === 'Copied'")


def check_list_and_history(page: Page, key: str, origin: str) -> None:
    row = page.locator(".uses.keys > li").first
    expect(row).to_contain_text("Café Lindqvist")
    expect(row).to_contain_text(origin)
    expect(row).to_contain_text("In use")
    assert key not in page.url
    assert key not in row.inner_html()


def shows_picture(visit: Visits, site: OtherSite, snippet: str) -> bool:
    """On the other site, with the snippet as it was copied."""
    page = visit()
    site.body = snippet
    page.goto(site.origin)
    return natural_size(page.frame_locator("iframe").locator("a.pic img:not(.blur)").first)[0] > 100


def revoke(page: Page) -> None:
    """By keys alone."""
    row = page.locator(".uses.keys > li").first
    row.get_by_role("button", name="Revoke…").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Revoke the key to Café Lindqvist?")
    expect(dialog).to_contain_text("its picture goes dark on http://localhost:")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(row.get_by_role("button", name="Revoke…")).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Revoke key").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Key revoked")).to_be_visible()
    expect(page.locator(".uses.keys > li").filter(has_text="Café Lindqvist")).to_have_count(0)
    expect(page.locator("#embed-keys-title")).to_be_focused()  # the button is gone


def test_a_key_is_made_and_revoked_without_script(portal: RunningPortal, visit: Visits, customer: str):
    page = visit("editor", java_script_enabled=False)
    visit.watch_of(page).may(r"^failed: GET .*/static/.*\.js csp$", r"^console: Blocked script execution")
    open_form(page, portal, customer)
    page.get_by_label("Sites that may show it").fill("https://shop.example.com")
    page.get_by_role("button", name="Make key").click()
    url = page.get_by_label("The link alone").input_value()
    assert url in page.get_by_label("For the other site's page").input_value()
    expect(page.get_by_role("button", name="Copy snippet")).to_be_hidden()
    assert httpx.get(url, trust_env=False, timeout=60).status_code == 200
    page.goto(f"{portal.url}/settings/embeds")
    assert url.rpartition("/")[2] not in page.content()
    page.get_by_role("button", name="Revoke at once").first.click()
    expect(page.get_by_role("status").filter(has_text="Key revoked")).to_be_visible()
    assert httpx.get(url, trust_env=False, timeout=60).status_code == 404
