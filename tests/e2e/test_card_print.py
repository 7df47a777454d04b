"""Cards on paper: how many pages, of which size, with whole pictures and codes that a telephone reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pypdfium2
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.host import OtherSite
from tests.e2e.photos import demo_photo
from tests.e2e.server import RunningPortal

MM = 72 / 25.4  # points
SIZES = {"a4": (210, 297), "a5": (148, 210), "label": (62, 100), "label-small": (50, 30)}
SCALE: Any = 200 / 72  # 200 dpi; the library takes fractions, but its types say whole numbers
GREEN = (0, 200, 0)


@pytest.fixture(scope="module")
def item(api: Api) -> str:
    """With a picture that is one flat colour, so that it can be measured on paper."""
    id = new_id()
    attributes = {"price": "14.50", "currency": "EUR", "colour": "green"}
    api.put_entity("inventory_items", id, "Green tile, glazed by hand", attributes=attributes)
    api.add_picture("inventory_items", id, "tile.png", flat(1600, 1200))
    for name in ("mug-front", "mug-top"):
        api.add_picture("inventory_items", id, f"{name}.jpg", demo_photo(name))
    return id


def flat(width: int, height: int) -> bytes:
    return samples.save(Image.new("RGB", (width, height), GREEN), "PNG")


def invoice(api: Api, item: str, lines: int) -> str:
    id, customer = new_id(), new_id()
    api.put_entity("customers", customer, "Café Brygga", attributes={"address": "Torget 2, 1767 Halden"})
    one: dict[str, Any] = {
        "item": item,
        "description": "As ordered by telephone",
        "quantity": "2",
        "unit_price": "12.50",
    }
    total = str(Decimal("25") * lines * Decimal("1.25"))
    more: dict[str, Any] = {"currency": "EUR", "total": total, "date": "2026-11-03", "number": id}
    attributes = {"due": "2026-12-03", "vat_rate": "25", "iban": "NO83 3000 1234 567", "terms": "30 days"}
    parent = {"type": "customers", "id": customer}
    api.put_entity("invoices", id, "Printed", lines=[one] * lines, parent=parent, attributes=attributes, **more)
    return id


def printed(page: Page, url: str) -> list[Image.Image]:
    """The pages at 200 dpi, each of the size that the page itself asks for."""
    page.goto(url)
    expect(page.locator("main")).to_be_visible()
    page.wait_for_load_state("networkidle")
    document = pypdfium2.PdfDocument(page.pdf(prefer_css_page_size=True))
    pages = [each.render(scale=SCALE).to_pil().convert("RGB") for each in document]
    document.close()
    return pages


def size_of(picture: Image.Image) -> tuple[int, int]:
    """In whole millimetres."""
    return round(picture.width / 200 * 25.4), round(picture.height / 200 * 25.4)


def tiles_of(picture: Image.Image) -> list[int]:
    """The heights of the green boxes on the page, from its top to its bottom, in pixels."""
    narrow = picture.crop((0, 0, picture.width // 3, picture.height))
    rows = [is_green_row(narrow, y) for y in range(narrow.height)]
    heights, run = [], 0
    for green in [*rows, False]:
        run, ended = (run + 1, 0) if green else (0, run)
        if ended > 10:
            heights.append(ended)
    return heights


def is_green_row(picture: Image.Image, y: int) -> bool:
    row = picture.crop((0, y, picture.width, y + 1)).getcolors(picture.width) or []
    return sum(int(count) for count, colour in row if isinstance(colour, tuple) and _is_green(colour)) > 60


def _is_green(colour: tuple[int, ...]) -> bool:
    return colour[1] > 170 and colour[0] < 60 and colour[2] < 60


def codes_of(pages: list[Image.Image]) -> list[str]:
    return [found.text for page in pages for found in zxingcpp.read_barcodes(page)]


@pytest.mark.parametrize(
    ("lines", "paper", "pages"), [(1, "a4", 1), (5, "a5", 1), (12, "a4", 1), (40, "a4", 4), (12, "label", 1)]
)
def test_an_invoice_is_whole_on_paper(
    portal: RunningPortal, visit: Visits, api: Api, item: str, lines: int, paper: str, pages: int
):
    id = invoice(api, item, lines)
    made = printed(visit("viewer", color_scheme="dark"), f"{portal.url}/cards/invoices/{id}?paper={paper}")
    assert {size_of(page) for page in made} == {SIZES[paper]}
    assert len(made) <= pages if pages > 1 else len(made) == 1
    assert codes_of(made) == [f"{portal.url}/cards/invoices/{id}"]
    assert min(made[0].getpixel((4, 4))) == 255  # type: ignore[type-var] - dark pages are printed on white, too
    if paper.startswith("a"):
        heights = [height for page in made for height in tiles_of(page)]
        assert len(heights) == lines
        assert max(heights) - min(heights) <= 3, "a picture is cut"


def test_an_invoice_that_goes_on_says_its_columns_on_every_page_with_lines(
    portal: RunningPortal, visit: Visits, api: Api, item: str
):
    id, page = invoice(api, item, 30), visit("viewer")
    page.goto(f"{portal.url}/cards/invoices/{id}")
    page.wait_for_load_state("networkidle")
    document = pypdfium2.PdfDocument(page.pdf(prefer_css_page_size=True))
    texts = [each.get_textpage().get_text_range() for each in document]
    assert len(texts) > 1
    for text in texts:
        assert ("Quantity" in text) == ("As ordered" in text)
    last = [text for text in texts if "To pay" in text]
    assert len(last) == 1
    assert "See every picture" in last[0]
    assert "NO83" in last[0]


@pytest.mark.parametrize("paper", ["a4", "a5", "label", "label-small"])
def test_an_item_fits_one_page_of_each_paper(portal: RunningPortal, visit: Visits, item: str, paper: str):
    made = printed(visit(), f"{portal.url}/cards/inventory_items/{item}?paper={paper}")
    assert [size_of(page) for page in made] == [SIZES[paper]]
    assert codes_of(made) == [f"{portal.url}/cards/inventory_items/{item}"]


def test_a_lines_picture_has_enough_pixels_for_paper_and_a_card_fits_a_telephone(
    portal: RunningPortal, visit: Visits, api: Api, item: str
):
    id = invoice(api, item, 2)
    page = visit("viewer", viewport={"width": 320, "height": 700})
    page.goto(f"{portal.url}/cards/invoices/{id}")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.emulate_media(media="print")
    for picture in page.locator("td.shot img:not(.blur)").all():
        assert picture.get_attribute("loading") != "lazy"
        pixels = picture.evaluate("(img) => img.naturalWidth")
        inches = picture.evaluate("(img) => img.getBoundingClientRect().width") / 96
        assert pixels / inches >= 200


@pytest.mark.parametrize("width", [567, 718])
def test_a_card_in_a_frame_tells_a_height_that_holds_it_on_paper(
    portal: RunningPortal, visit: Visits, api: Api, item: str, width: int
):
    """150 and 190 mm wide, and not much too high."""
    cards = [(f"invoices/{invoice(api, item, lines)}", paper) for lines in (1, 8, 12, 30) for paper in ("a4", "a5")]
    cards += [(f"inventory_items/{item}", "a4"), (f"inventory_items/{item}", "a5")]
    page = visit("viewer", viewport={"width": width, "height": 800})
    page.emulate_media(media="print")
    for card, paper in cards:
        page.goto(f"{portal.url}/cards/{card}?paper={paper}")
        sheet = page.locator("main.sheet")
        needed, told = sheet.evaluate("(main) => [main.offsetHeight, Number(main.dataset.print)]")
        assert needed <= told <= 1.1 * needed + 150, card


def test_an_invoice_in_a_foreign_page_prints_whole_on_one_page(
    portal: RunningPortal, visit: Visits, api: Api, item: str, other_site: OtherSite
):
    key = api.issue_key("invoices", invoice(api, item, 3), other_site.origin)
    url = key["url"].replace("/embed/", "/cards/")
    other_site.body = (
        f'<style>@page {{ margin: 10mm }}</style><h1>Your order</h1><iframe src="{url}" sandbox="allow-scripts" width="100%" '
        f'data-portal-embed frameborder="0" title="Invoice"></iframe><script src="{portal.url}/embed.js" async></script>'
    )
    page = visit()
    page.goto(other_site.origin)
    page.wait_for_function("document.querySelector('iframe').style.height")
    document = pypdfium2.PdfDocument(page.pdf(format="A4"))
    assert len(document) == 1
    text = document[0].get_textpage().get_text_range()
    assert "Your order" in text
    assert "To pay" in text
    heights = tiles_of(document[0].render(scale=SCALE).to_pil().convert("RGB"))
    assert len(heights) == 3
    assert max(heights) - min(heights) <= 3, "a picture is cut"
