"""What /embed.js does on another site's page: heights, whatever else is there, and whole pictures on paper."""

from __future__ import annotations

import colorsys
import io

import pypdfium2
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.host import OtherSite
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_until

SIZE = (800, 600)
PAPERS = {"A4": "10mm", "Letter": "10mm"}
INVOICE = """<style>@page { margin: %s }</style><h1>Invoice 2026-17</h1><p>Fjord Shop, Bergen</p>
<table width="100%%"><tr><td>Mug</td><td>12.00</td></tr><tr><td>To pay</td><td>12.00</td></tr></table>%s<p>Thank you.</p>"""
EVIL = """<script>
  for (const height of [NaN, Infinity, -Infinity, -5, 0, "900", {}, [900], null, 1e300])
    parent.postMessage({ portal: "embed", height, printHeight: height }, "*");
  parent.postMessage({ portal: "done" }, "*");
</script>"""
Colour = tuple[int, int, int]


def colour_of(number: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(number % 12 / 12, 1, 1 if number < 12 else 0.55)
    return round(red * 255), round(green * 255), round(blue * 255)


@pytest.fixture(scope="module")
def colours(api: Api) -> str:
    """A gallery of 24 pictures, each of a colour of its own."""
    id = new_id()
    api.put_entity("inventory_items", id, "Colours")
    for number in range(24):
        data = io.BytesIO()
        picture = Image.new("RGB", SIZE, colour_of(number))
        ImageDraw.Draw(picture).point((number, 0), (255, 255, 255))
        picture.save(data, "JPEG", quality=92, subsampling=0)
        api.add_picture("inventory_items", id, f"{number}.jpg", data.getvalue(), caption=f"Colour {number}")
    return id


def frame(portal: RunningPortal, id: str, query: str = "", attributes: str = "data-portal-embed") -> str:
    return (
        f'<iframe src="{portal.url}/embed/inventory_items/{id}{query}" sandbox="allow-scripts" loading="lazy" title="P" '
        f'width="100%" height="60" frameborder="0" {attributes}></iframe>'
    )


def script(portal: RunningPortal) -> str:
    return f'<script src="{portal.url}/embed.js" async></script>'


def height(page: Page, which: str) -> int:
    return page.locator(which).evaluate("(frame) => frame.offsetHeight")


def wait_until_fitting(page: Page, which: str = "iframe") -> None:
    """The frame is as high as what is in it: it has told all that it had to tell."""
    main = page.frame_locator(which).locator("main")

    def is_fitting() -> bool:
        return abs(height(page, which) - main.evaluate("(main) => main.offsetHeight + 2 * main.offsetTop")) <= 1

    wait_until(page, is_fitting, f"{which} does not fit")


def test_each_frame_has_the_height_of_its_own_pictures(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, colours: str
):
    """With the script before and after, twice, and a frame that comes later."""
    page = visit()
    strip = frame(portal, colours, "?layout=strip", 'id="strip"')
    grid = frame(portal, colours, "?limit=4", 'id="grid"')
    fixed = frame(portal, colours, "", 'id="fixed" data-portal-embed="fixed"')
    other_site.body = script(portal) + strip + grid + fixed + script(portal)
    page.goto(other_site.origin)
    for which in ("#strip", "#grid"):
        main = page.frame_locator(which).locator("main")
        expect(main).to_be_visible()
        wait_until_fitting(page, which)
    assert height(page, "#fixed") == 60
    page.evaluate(
        "(html) => document.body.insertAdjacentHTML('beforeend', html)", frame(portal, colours, "", 'id="late"')
    )
    page.wait_for_function("document.querySelector('#late').offsetHeight > 300")
    page.set_viewport_size({"width": 400, "height": 800})
    page.wait_for_function("document.querySelector('#grid').offsetHeight > 250")


def test_a_frame_far_out_of_sight_is_ready_for_paper_before_anybody_scrolls_to_it(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, colours: str
):
    """A browser neither draws such a frame nor gives it idle time: it has to be asked."""
    page = visit()
    other_site.body = f'<p><svg width="9" height="9000"></svg></p>{frame(portal, colours, "?limit=12")}{script(portal)}'
    page.goto(other_site.origin)
    page.wait_for_function("document.querySelector('iframe').style.height")
    for picture in page.frame_locator("iframe").locator("li img:not(.blur)").all():
        expect(picture).not_to_have_js_property("naturalWidth", 0)
    said = page.frame_locator("iframe").locator("main").get_attribute("data-print")
    on_paper = "dispatchEvent(new Event('beforeprint')), document.querySelector('iframe').offsetHeight"
    assert page.evaluate(on_paper) == int(said or 0)
    assert page.evaluate("scrollY") == 0


def test_a_large_picture_opens_in_sight_however_tall_or_low_its_frame(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, colours: str
):
    page = visit(viewport={"width": 390, "height": 700})
    for query, number in (("", 21), ("?layout=strip", 0)):
        other_site.body = frame(portal, colours, query) + script(portal)
        page.goto(other_site.origin)
        wait_until_fitting(page)
        inside = page.frame_locator("iframe")
        inside.locator("li a.pic").nth(number).scroll_into_view_if_needed()
        before = page.evaluate("scrollY")
        inside.locator("li a.pic").nth(number).click()
        large = inside.get_by_role("dialog", name="Large picture")
        expect(large.locator("p")).to_have_text(f"{number + 1} of 24 Colour {number}")
        expect(large).to_be_in_viewport(ratio=0.95)
        page.wait_for_function("document.querySelector('iframe').offsetHeight > 250")
        expect(large.get_by_role("img")).to_be_in_viewport(ratio=0.95)
        assert abs(page.evaluate("scrollY") - before) <= 2


def test_no_message_of_others_changes_a_frame(
    portal: RunningPortal, visit: Visits, other_site: OtherSite, colours: str
):
    page = visit()
    stranger = f"<iframe id='stranger' srcdoc='{EVIL}' height='77' title='Stranger'></iframe>"
    marked = f"<iframe id='marked' data-portal-embed srcdoc='{EVIL}' height='77' title='Marked'></iframe>"
    ours = frame(portal, colours, "?layout=strip", 'id="ours"')
    page.add_init_script(
        "self.done = 0; addEventListener('message', ({ data }) => (self.done += data?.portal === 'done'))"
    )
    other_site.body = script(portal) + ours
    page.goto(other_site.origin)
    wait_until_fitting(page, "#ours")
    before = height(page, "#ours")
    page.evaluate("(html) => document.body.insertAdjacentHTML('beforeend', html)", stranger + marked)
    page.evaluate("postMessage({ portal: 'embed', height: 900 }, '*')")
    page.wait_for_function("self.done >= 2")
    assert page.locator("#stranger").get_attribute("style") is None
    # one that is ours may ask for much, and gets the most
    assert height(page, "#marked") == pytest.approx(20_000, abs=10)
    assert height(page, "#ours") == before


def test_nothing_is_kept_in_the_browser(portal: RunningPortal, visit: Visits, other_site: OtherSite, colours: str):
    page = visit()
    other_site.body = frame(portal, colours, "?limit=2") + script(portal)
    page.goto(other_site.origin)
    page.wait_for_function("document.querySelector('iframe').style.height")
    page.goto(f"{portal.url}/embed/inventory_items/{colours}")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert page.context.cookies() == []


@pytest.mark.parametrize(
    ("query", "count", "pages", "paper"),
    [
        ("?limit=12", 12, 1, "A4"),
        ("?limit=12&layout=carousel&theme=dark", 12, 1, "Letter"),
        ("?layout=strip", 24, 3, "A4"),
        ("", 24, 3, "Letter"),
    ],
)
def test_an_invoice_prints_every_picture_whole(
    portal: RunningPortal,
    visit: Visits,
    other_site: OtherSite,
    colours: str,
    query: str,
    count: int,
    pages: int,
    paper: str,
):
    page = visit()
    other_site.body = INVOICE % (PAPERS[paper], frame(portal, colours, query)) + script(portal)
    page.goto(other_site.origin)
    pictures = page.frame_locator("iframe").locator("li img:not(.blur)")
    expect(pictures).to_have_count(count)
    for picture in pictures.all():  # not scrolled to: they come by themselves when there is nothing else to do
        expect(picture).not_to_have_js_property("naturalWidth", 0)
    wait_until_fitting(page)
    on_screen = height(page, "iframe")
    document = pypdfium2.PdfDocument(page.pdf(format=paper))
    shots = [document[number].render(scale=1).to_pil().convert("RGB") for number in range(len(document))]
    assert len(shots) == pages
    for number in range(count):
        found = [box for shot in shots if (box := box_of(shot, colour_of(number)))]
        assert len(found) == 1, f"picture {number} is on {len(found)} pages"
        left, top, right, bottom = found[0]
        assert right - left > 90, f"picture {number} is small"
        assert (right - left) / (bottom - top) == pytest.approx(4 / 3, rel=0.05), f"picture {number} is cut"
    assert shots[0].getpixel((5, 5)) == (255, 255, 255)
    assert height(page, "iframe") == on_screen


def box_of(shot: Image.Image, colour: Colour) -> tuple[int, int, int, int] | None:
    """Where this colour is."""
    channels = [
        band.point([255 if abs(value - wanted) <= 14 else 0 for value in range(256)])
        for band, wanted in zip(shot.split(), colour, strict=True)
    ]
    black = Image.new("L", shot.size)
    both = Image.composite(channels[0], black, channels[1])
    return Image.composite(both, black, channels[2]).getbbox()
