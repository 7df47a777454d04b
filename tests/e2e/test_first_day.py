"""From the printed set-up link to an invoice in somebody else's page that shows the picture."""

from __future__ import annotations

import io

import zxingcpp
from PIL import Image
from playwright.sync_api import FrameLocator, Page, expect

from tests.e2e.conftest import Api, Visits
from tests.e2e.host import OtherSite
from tests.e2e.pages import PASSWORD, Account, EntityList, Gallery, SetUp, SignIn, expect_decoded, natural_size
from tests.e2e.photos import real_photos
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_until

EMAIL = "ingrid@shop.example"
ALT = "Blue mug on a wooden table"


def test_first_day_from_setup_link_to_pictures_on_a_framed_invoice(
    fresh_portal: RunningPortal, visit: Visits, other_site: OtherSite
):
    page = visit()
    sign_up_out_and_in(fresh_portal, page)
    gallery = EntityList(page, fresh_portal.url).open().create("MUG-1", "Fjord mug")
    names = drop_all(gallery)
    put_in_order(gallery, names)
    api = Api(fresh_portal)
    with api.client:
        check_invoice_frame(api, visit(), other_site)
        check_embed_frame(fresh_portal, visit(), other_site, len(names))


def sign_up_out_and_in(portal: RunningPortal, page: Page) -> None:
    SetUp(page).create_account(portal.setup_link(), "Ingrid Solheim", EMAIL, PASSWORD)
    Account(page, portal.url).open().sign_out()
    SignIn(page, portal.url).open().sign_in(EMAIL, PASSWORD)
    expect(page.locator(".sidebar .who")).to_contain_text("Ingrid Solheim")


def drop_all(gallery: Gallery) -> list[str]:
    """All turn ready on the page that stays; a picture that was stored lying stands upright."""
    gallery.page.evaluate("window.stayed = true")
    photos = real_photos()
    gallery.drop(photos)
    gallery.expect_ready(len(photos))
    gallery.keep_lookalikes()
    expect(gallery.page.locator(".tray")).to_be_hidden()
    assert gallery.page.evaluate("window.stayed")
    assert sorted(gallery.names()) == sorted(photo["name"] for photo in photos)
    red, green, blue = corner_of(gallery)
    assert red > 150 > max(green, blue), "the picture does not stand upright"
    return gallery.names()


def corner_of(gallery: Gallery) -> list[int]:
    """The colour near the top left of the upright picture as its own page shows it."""
    url = gallery.link("upright.jpg").get_attribute("href")
    viewer = gallery.page.context.new_page()
    viewer.goto(f"{gallery.url}{url}")
    picture = viewer.locator(".stage img")
    width, height = natural_size(picture)
    assert width * 640 == height * 480
    colour = picture.evaluate(
        """(image) => {
          const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          return [...context.getImageData(8, 8, 1, 1).data].slice(0, 3);
        }"""
    )
    viewer.close()
    return colour


def put_in_order(gallery: Gallery, names: list[str]) -> None:
    """Describe, star, move by menu and by hand, trash and undo; order and primary survive a reload."""
    page = gallery.page
    gallery.expect_primary(names[0])
    gallery.describe(names[0], ALT, "The mug of the season")
    gallery.make_primary(names[2])
    order = [ALT, *names[1:]]
    gallery.choose_in_menu(names[-1], "Move first")
    order = [names[-1], *order[:-1]]
    gallery.expect_names(*order)
    gallery.drag(order[1], order[3])
    expect(gallery.toast).to_contain_text("Order saved")
    moved = gallery.names()
    assert moved != order
    assert sorted(moved) == sorted(order)
    gallery.choose_in_menu(names[1], "Move to trash")
    expect(gallery.card(names[1])).to_have_count(0)
    gallery.undo()
    gallery.expect_names(*moved)
    assert page.evaluate("window.stayed")
    page.reload()
    gallery.expect_names(*moved)
    gallery.expect_primary(names[2])
    expect(page.locator("style, [style]")).to_have_count(0)


def check_invoice_frame(api: Api, page: Page, other_site: OtherSite) -> None:
    lines = [{"item": "MUG-1", "description": "Fjord mug", "quantity": "2", "unit_price": "14.50"}]
    api.put_entity("invoices", "RE-1", "Invoice 1", number="2026-0001", currency="EUR", total="29.00", lines=lines)
    key = api.issue_key("invoices", "RE-1", other_site.origin)
    card = key["url"].replace("/embed/k/", "/cards/k/")
    other_site.body = (
        f'<iframe src="{card}" sandbox="allow-scripts" width="1000" height="1200" title="Invoice"></iframe>'
    )
    page.set_viewport_size({"width": 1100, "height": 1300})
    page.goto(f"{other_site.origin}/account")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Fjord mug").first).to_be_visible()
    assert natural_size(frame.locator(".lines .pic img:not(.blur)"))[0] > 0
    assert read_code(frame) == card


def read_code(frame: FrameLocator) -> str:
    shot = frame.locator(".qr svg").screenshot()
    found = zxingcpp.read_barcodes(Image.open(io.BytesIO(shot)))
    assert len(found) == 1, "no QR code can be read"
    return found[0].text


def check_embed_frame(portal: RunningPortal, page: Page, other_site: OtherSite, count: int) -> None:
    """Every picture is decoded, and /embed.js gave the frame the height of what is in it."""
    other_site.body = (
        f'<iframe src="{portal.url}/embed/inventory_items/MUG-1" sandbox="allow-scripts" title="Pictures" width="100%"'
        f' height="90" data-portal-embed></iframe><script src="{portal.url}/embed.js" async></script>'
    )
    page.goto(f"{other_site.origin}/shop")
    frame = page.frame_locator("iframe")
    pictures = frame.locator("a.pic img:not(.blur)")
    expect(pictures).to_have_count(count)
    page.wait_for_function("() => document.querySelector('iframe').clientHeight > 200")
    for picture in pictures.all():
        expect_decoded(picture)

    def is_fitting() -> bool:
        return abs(frame.locator("html").evaluate("(html) => innerHeight - html.scrollHeight")) <= 2

    wait_until(page, is_fitting, "the frame is not as high as what is in it")
