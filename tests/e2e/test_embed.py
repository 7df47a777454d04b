"""Galleries in frames of another site."""

from __future__ import annotations

import io
import time

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.host import OtherSite
from tests.e2e.pages import natural_size
from tests.e2e.photos import demo_photo
from tests.e2e.server import RunningPortal

CAPTION = "As it comes from the kiln"


@pytest.fixture(scope="module")
def item(api: Api) -> str:
    id = new_id()
    api.put_entity("inventory_items", id, "Framed mug")
    for name in ("mug-front", "mug-top", "mug-box"):
        api.add_picture("inventory_items", id, f"{name}.jpg", demo_photo(name), caption=CAPTION, alt_text=f"The {name}")
    return id


def frame_of(page: Page, site: OtherSite, url: str, sandbox: str | None = "allow-scripts", height: int = 700):
    """The frame in the other site's page, which is open now."""
    limits = "" if sandbox is None else f' sandbox="{sandbox}"'
    site.body = f'<iframe src="{url}"{limits} width="900" height="{height}" title="Pictures"></iframe>'
    page.goto(site.origin)
    return page.frame_locator("iframe")


@pytest.mark.parametrize("layout", ["grid", "strip", "carousel"])
def test_each_layout_shows_every_picture(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, item: str, layout: str
):
    page = visit()
    frame = frame_of(page, other_site, f"{portal.url}/embed/inventory_items/{item}?layout={layout}")
    expect(frame.locator(f"main.{layout}")).to_be_visible()
    pictures = frame.locator("li a.pic img:not(.blur)")
    expect(pictures).to_have_count(3)
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        assert natural_size(picture)[0] > 100
    expect(frame.locator("figcaption:visible")).to_have_text([] if layout == "strip" else [CAPTION] * 3)


def test_the_carousel_goes_by_click_and_key_without_moving_the_host(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, item: str
):
    page = visit()
    frame = frame_of(page, other_site, f"{portal.url}/embed/inventory_items/{item}?layout=carousel", height=900)

    def expect_at(number: int) -> None:
        expect(frame.locator(f"#p{number}")).to_be_in_viewport(ratio=0.6)
        expect(frame.locator(".dots [aria-current]")).to_have_accessible_name(f"Picture {number}")

    frame.get_by_role("link", name="Next picture").first.click()
    expect_at(2)
    expect(frame.locator("#p2 .next")).to_be_focused()  # so that Enter, again, goes on
    frame.locator("#p2 .next").press("Enter")
    expect_at(3)
    frame.locator("#p3 .next").press("ArrowRight")
    expect_at(1)
    key = "new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true, cancelable: true })"
    took = frame.locator("#p1 .next").evaluate(f"(link) => !link.dispatchEvent({key})")
    assert took, "the browser scrolls as well, which may end where it was"
    back = key.replace("bubbles", "altKey: true, bubbles")
    assert frame.locator("#p3 .next").evaluate(f"(link) => link.dispatchEvent({back})"), (
        "Alt+Left is the browser's: back"
    )
    expect_at(3)
    frame.get_by_role("link", name="Picture 2", exact=True).click()
    expect_at(2)
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("layout", ["grid", "strip", "carousel"])
def test_pictures_go_large_one_after_the_other_and_back_to_where_one_was(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, item: str, layout: str
):
    page = visit()
    frame = frame_of(page, other_site, f"{portal.url}/embed/inventory_items/{item}?layout={layout}", height=300)
    first = frame.locator("li a.pic").first
    first.focus()
    first.press("Enter")
    dialog = frame.get_by_role("dialog", name="Large picture")
    expect(dialog.locator("p")).to_have_text(f"1 of 3 {CAPTION}")
    assert natural_size(dialog.locator("img"))[0] > 600
    dialog.press("ArrowRight")
    expect(dialog.locator("p")).to_contain_text("2 of 3")
    expect(dialog.get_by_role("img")).to_have_attribute("alt", "The mug-top")
    dialog.get_by_role("button", name="Previous").click()
    dialog.get_by_role("button", name="Previous").click()
    expect(dialog.locator("p")).to_contain_text("3 of 3")
    dialog.press("Escape")
    expect(dialog).to_be_hidden()
    expect(first).to_be_focused()
    first.press("Enter")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


@pytest.mark.parametrize("layout", ["grid", "carousel"])
def test_a_picture_opens_in_a_tab_of_its_own_for_who_asks_for_one(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, item: str, layout: str
):
    page = visit()
    visit.watch_of(page).may(
        r"Applying inline style|Blocked script execution"
    )  # the browser's own page about a picture
    frame = frame_of(page, other_site, f"{portal.url}/embed/inventory_items/{item}?layout={layout}")
    with page.context.expect_page() as opened:
        frame.locator("li a.pic").first.click(modifiers=["ControlOrMeta"])
    opened.value.wait_for_url("**/api/images/serve/**")
    expect(frame.get_by_role("dialog", name="Large picture")).to_be_hidden()


def test_dark_and_captions_off_are_options_of_the_url(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, item: str
):
    page = visit(color_scheme="light")
    frame = frame_of(page, other_site, f"{portal.url}/embed/inventory_items/{item}?theme=dark&captions=0")
    expect(frame.locator("a.pic").first).to_be_visible()
    expect(frame.locator("figcaption")).to_have_count(0)
    assert frame.locator("html").get_attribute("data-theme") == "dark"
    ink = frame.locator("body").evaluate(
        "(body) => getComputedStyle(body).color.match(/[\\d.]+/g).slice(0, 3).map(Number)"
    )
    assert min(ink) > (0.5 if max(ink) <= 1 else 128)


def test_a_frame_that_may_do_nothing_still_shows_pictures(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, item: str
):
    page = visit()
    # what the sandbox forbids is told on the console: our one script did not run
    visit.watch_of(page).may(r"^console: Blocked script execution in .*sandboxed")
    url = f"{portal.url}/embed/inventory_items/{item}"
    with page.expect_response(lambda answer: "/api/images/serve/" in answer.url and answer.ok):
        frame_of(page, other_site, url, sandbox="")
    page.wait_for_load_state("networkidle")
    shot = Image.open(io.BytesIO(page.locator("iframe").screenshot())).convert("RGB")
    colours = shot.resize((90, 70)).getcolors(90 * 70)
    assert colours is not None
    assert len(colours) > 400, "the frame shows no photograph"


def test_a_private_gallery_is_not_found_without_a_key(portal: RunningPortal, visit: Visits, api: Api):
    id = new_id()
    api.put_entity("invoices", id, "Invoice for nobody else")
    page = visit()
    visit.watch_of(page).expect(r"^404: GET .*/(embed|cards)/invoices/")
    for path in ("embed", "cards"):
        answer = page.goto(f"{portal.url}/{path}/invoices/{id}")
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_text("Invoice for nobody else")).to_have_count(0)
        assert httpx.get(f"{portal.url}/{path}/invoices/no-such-{id}", trust_env=False).status_code == 404


def test_a_revoked_key_shows_nothing_within_a_second(
    portal: RunningPortal, visit: Visits, api: Api, other_site: OtherSite
):
    id = new_id()
    api.put_entity("customers", id, "Private customer")
    api.add_picture("customers", id, "face.jpg", demo_photo("vases"))
    issued = api.issue_key("customers", id, other_site.origin)
    page = visit()
    frame = frame_of(page, other_site, issued["url"])
    assert natural_size(frame.locator("a.pic img:not(.blur)"))[0] > 100
    assert api.client.delete(f"/api/embeds/{issued['id']}").status_code == 204
    ends = time.monotonic() + 1
    asked = time.monotonic()
    while (status := httpx.get(issued["url"], trust_env=False, timeout=60).status_code) == 200:
        assert asked < ends, "the key still opens the gallery"
        asked = time.monotonic()
    assert status in (404, 410)
    visit.watch_of(page).expect(rf"^{status}: GET .*/embed/k/")
    page.reload()
    expect(frame.locator("a.pic")).to_have_count(0)


def test_a_key_may_be_framed_by_its_own_site_only(
    portal: RunningPortal, visit: Visits, api: Api, other_site: OtherSite
):
    id = new_id()
    api.put_entity("customers", id, "Framed by another")
    key = api.issue_key("customers", id, "https://shop.example.com")
    page = visit()
    visit.watch_of(page).expect(r"(frame-ancestors|ERR_BLOCKED_BY_RESPONSE|ERR_BLOCKED_BY_CSP)")
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        frame_of(page, other_site, key["url"])
    expect(page.frame_locator("iframe").get_by_text("Framed by another")).to_have_count(0)
