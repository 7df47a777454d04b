"""Turning, mirroring and cropping on a picture's page: what is rendered is what was seen, and one click takes it back."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests import samples
from tests.e2e.conftest import Api, Visits, new_id
from tests.e2e.looks import OVERHANGING, RUN_AXE, SCHEMES
from tests.e2e.pages import PASSWORD, SignIn
from tests.e2e.server import RunningPortal
from tests.e2e.waits import wait_until
from tests.e2e.workbench import BUTTONS, HEIGHT, WIDTH, Workbench, assert_same, cut, difference

SCENE = samples.scene(WIDTH, HEIGHT)


@pytest.fixture
def image(api: Api) -> str:
    """A picture whose corners differ."""
    id = new_id()
    api.put_entity("inventory_items", id, "Lamp at work")
    return api.add_picture("inventory_items", id, "lamp.jpg", samples.jpeg(WIDTH, HEIGHT))


@pytest.fixture
def bench(portal: RunningPortal, visit: Visits, api: Api, image: str) -> Workbench:
    return Workbench(visit("editor"), api, portal.url, image).open()


def test_each_button_changes_what_one_sees_whatever_was_done_before(bench: Workbench):
    bench.page.evaluate("window.stayed = true")
    seen = SCENE
    for name in ["Turn right", "Mirror", "Turn left", "Flip", "Turn right", "Turn right"]:
        bench.press(name)
        bench.expect_done()
        seen = BUTTONS[name](seen)
        assert_same(bench.rendition(), seen)
    assert bench.page.evaluate("window.stayed")
    expect(bench.button("Turn right")).to_be_focused()


def test_fast_clicks_all_count(bench: Workbench):
    seen = SCENE
    for name in ["Turn right", "Turn right", "Turn right", "Mirror"]:
        bench.button(name).click()
        seen = BUTTONS[name](seen)
    bench.expect_done("Mirrored, turned right.")
    assert_same(bench.rendition(), seen)


def test_a_click_counts_that_comes_while_the_page_asks_for_new_renditions(bench: Workbench):
    """Its answer comes after that question's, which has renewed the preview."""
    held: list[Route] = []
    bench.page.route("**/rendered", lambda route: held.append(route), times=1)
    bench.press("Mirror")
    wait_until(bench.page, lambda: held, "the page does not ask for the new renditions")
    bench.button("Turn right").click()
    bench.settle()
    held[0].continue_()
    bench.expect_done("Mirrored, turned right.")
    assert_same(bench.rendition(), BUTTONS["Turn right"](BUTTONS["Mirror"](SCENE)))


def test_a_crop_begun_before_a_turn_is_answered_is_of_the_turned_picture(bench: Workbench):
    held: list[Route] = []
    bench.page.route("**/edits", lambda route: held.append(route), times=1)
    with bench.changing():
        bench.button("Turn right").click()
        wait_until(bench.page, lambda: held, "the turn is not sent")
        bench.button("Crop").click()
        held[0].continue_()
    expect(bench.frame).to_be_focused()
    assert bench.box() == pytest.approx((0, 0, HEIGHT, WIDTH))


def test_presets_renditions_and_history_follow(bench: Workbench):
    bench.press("Turn right")
    bench.expect_done("Turned right.")
    page, object = bench.page, bench.object()
    expect(page.locator("#renditions")).to_contain_text(f"{HEIGHT} × {WIDTH}")
    expect(page.locator("#presets svg image").first).to_have_attribute("href", object["renditions"]["gallery"]["url"])
    expect(page.locator("#presets")).to_contain_text("112 × 150")
    expect(page.locator("#history li").first).to_contain_text("edited the picture: turned right")
    expect(page.locator("#toasts")).to_contain_text("Turned right")


def test_one_click_goes_back_to_the_original(bench: Workbench):
    bench.press("Turn right", "Flip")
    bench.expect_done("Mirrored, turned right.")
    bench.page.get_by_role("button", name="Back to the original").click()
    bench.expect_done("As it came.")
    assert bench.object()["edits"] == {}
    assert_same(bench.rendition(), SCENE)
    expect(bench.page.get_by_role("button", name="Back to the original")).to_have_count(0)
    expect(bench.page.locator("#history li").first).to_contain_text("went back to the original")


def stage_of(bench: Workbench) -> Image.Image:
    """What is drawn of the picture alone."""
    bench.page.evaluate("document.querySelectorAll('.focal, .hud, .state').forEach((each) => (each.hidden = true))")
    bench.page.mouse.move(0, 0)
    bench.stage.locator(".foretold image, .frame > img").evaluate("(picture) => picture.decode()")
    return Image.open(io.BytesIO(bench.stage.screenshot()))


@contextmanager
def nothing_rendered(portal: RunningPortal) -> Iterator[None]:
    """What is to be rendered waits."""
    token = portal.run("token", "create", "pauses", "--role", "admin")
    client = httpx.Client(
        base_url=portal.url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
    )
    with client:
        assert client.post("/api/jobs/pause", json={"kind": "render"}).status_code == 200
        try:
            yield
        finally:
            assert client.post("/api/jobs/resume", json={"kind": "render"}).status_code == 200


def test_the_new_picture_shows_before_it_is_made(bench: Workbench, portal: RunningPortal):
    """Meanwhile the old picture lies as the new one will."""
    bench.press("Turn right")
    bench.expect_done("Turned right.")
    with nothing_rendered(portal):
        bench.press("Mirror", "Turn right")
        expect(bench.said).to_have_text("Mirrored.")
        expect(bench.stage).to_contain_text("Being rendered…")
        expect(bench.stage.locator(".foretold")).to_be_visible()
        foretold = stage_of(bench)
    bench.expect_done("Mirrored.")
    assert difference(foretold, stage_of(bench)) < 6
    assert_same(bench.rendition(), BUTTONS["Mirror"](SCENE))


@pytest.mark.parametrize(
    "before", [(), ("Turn right",), ("Mirror", "Turn left"), ("Flip", "Turn right")], ids=lambda names: "+".join(names)
)
def test_what_lies_in_the_frame_is_what_is_rendered(bench: Workbench, before: tuple[str, ...]):
    seen = SCENE
    for name in before:
        bench.press(name)
        seen = BUTTONS[name](seen)
    bench.expect_done()
    bench.begin_crop()
    bench.drag("nw", 60, 30)
    bench.drag("se", -90, -50)
    bench.drag("e", -20, 0)
    box = bench.apply_crop()
    assert 0 < box[0] < box[2] < seen.width
    bench.expect_done()
    assert_same(bench.rendition(), cut(seen, box))
    widen_again(bench, seen, box)


def widen_again(bench: Workbench, seen: Image.Image, box: tuple[float, ...]) -> None:
    """The frame opens where it was, over all that was cut off."""
    bench.begin_crop()
    assert bench.box() == pytest.approx(box, abs=1)
    underneath = bench.frame.locator("image")
    expect(underneath).to_have_attribute("href", re.compile("size=original"))
    bench.drag("se", 400, 400)
    wider = bench.apply_crop()
    assert wider[2:] == pytest.approx(seen.size, abs=0.01)
    bench.expect_done()
    assert_same(bench.rendition(), cut(seen, wider))


def test_what_a_camera_stored_lying_stands_upright_under_the_frame(
    portal: RunningPortal, visit: Visits, api: Api, image: str
):
    """What was cut off is shown from the original, which a browser has to turn by itself."""
    entity = api.client.get(f"/api/images/{image}").json()["entity"]
    lying = api.add_picture(entity["type"], entity["id"], "lying.jpg", samples.exif_rotated(6, WIDTH, HEIGHT))
    bench = Workbench(visit("editor"), api, portal.url, lying).open()
    bench.begin_crop()
    bench.drag("se", -120, -90)
    bench.apply_crop()
    bench.expect_done()
    bench.begin_crop()
    underneath = bench.frame.locator("image")
    underneath.evaluate("(image) => image.decode()")
    bench.frame.evaluate("(frame) => frame.querySelectorAll('path, rect').forEach((each) => each.remove())")
    place = underneath.bounding_box()
    assert place is not None
    assert difference(Image.open(io.BytesIO(bench.page.screenshot(clip=place))), SCENE) < 6


def test_the_frame_moves_by_its_inside_and_stays_in_the_picture(bench: Workbench):
    bench.begin_crop()
    bench.drag("se", -200, -150)
    left, top, right, bottom = bench.box()
    x, y = bench.grip("nw")
    bench.page.mouse.move(x + 80, y + 80)
    bench.page.mouse.down()
    bench.page.mouse.move(x + 900, y + 900, steps=4)
    bench.page.mouse.up()
    assert bench.box() == pytest.approx((WIDTH - right, HEIGHT - bottom, WIDTH, HEIGHT), abs=0.01)
    assert (left, top) == (0, 0)


def test_a_shape_is_kept_while_the_frame_changes(bench: Workbench):
    page = bench.page
    bench.begin_crop()
    page.get_by_text("16 : 9", exact=True).click()
    left, top, right, bottom = bench.box()
    assert (right - left) / (bottom - top) == pytest.approx(16 / 9)
    page.get_by_role("button", name="Swap sides").click()
    bench.drag("sw", 40, -40)
    left, top, right, bottom = bench.box()
    assert (right - left) / (bottom - top) == pytest.approx(9 / 16)
    page.get_by_text("1 : 1", exact=True).click()
    bench.drag("n", 0, 20)
    bench.apply_crop()
    bench.expect_done()
    rendition = bench.rendition()
    assert abs(rendition.width - rendition.height) <= 1


def test_the_keyboard_alone_crops(bench: Workbench):
    page = bench.page
    button = bench.button("Crop")
    button.press("Enter")
    expect(bench.frame).to_be_focused()
    for _ in range(20):
        page.keyboard.press("Shift+ArrowLeft")
    for _ in range(10):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    box = bench.box()
    step = WIDTH / 100
    assert box == pytest.approx((step, step, WIDTH - 19 * step, HEIGHT - 9 * step))
    expect(page.locator("#crop-said")).to_have_text("512 × 416 pixels, 1 % from the left, 1 % from the top")
    page.keyboard.press("Enter")
    bench.expect_done("Cropped to 512 × 416.")
    expect(button).to_be_focused()
    assert_same(bench.rendition(), cut(SCENE, box))


def test_the_smallest_frame_in_any_place_and_shape_is_let_in(bench: Workbench):
    page = bench.page
    bench.begin_crop()
    page.get_by_text("16 : 9", exact=True).click()
    bench.frame.focus()
    for _ in range(100):
        page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowRight")
    left, top, right, bottom = bench.box()
    assert (right - left) / (bottom - top) == pytest.approx(16 / 9)
    page.get_by_role("button", name="Swap sides").click()
    bench.apply_crop()
    bench.expect_done()
    edits = bench.object()["edits"]["crop"]
    assert 16 <= edits["width"] * WIDTH < 18


def test_the_frame_stays_in_the_hand_while_something_is_rendered(bench: Workbench, portal: RunningPortal):
    page = bench.page
    with nothing_rendered(portal):
        bench.press("Turn right")
        bench.begin_crop()
        bench.drag("se", -60, -60)
        box = bench.box()
        page.evaluate(
            """() => {
              window.keptOff = 0;
              document.addEventListener("htmx:before:request", (event) => (window.keptOff += event.defaultPrevented));
            }"""
        )
    bench.api.client.put(f"/api/images/{bench.image}/metadata", json={"caption": "Meanwhile"})
    bench.settle()
    page.wait_for_function("() => window.keptOff > 1")
    assert bench.box() == box
    bench.apply_crop()
    bench.expect_done()
    assert_same(bench.rendition(), cut(BUTTONS["Turn right"](SCENE), box))


def test_escape_leaves_the_picture_as_it_is(bench: Workbench):
    before = bench.object()
    bench.begin_crop()
    bench.page.keyboard.press("Shift+ArrowLeft")
    bench.page.keyboard.press("Escape")
    expect(bench.frame).to_be_hidden()
    expect(bench.button("Crop")).to_be_focused()
    assert bench.object() == before


def test_a_finger_crops_too(portal: RunningPortal, visit: Visits, api: Api, image: str):
    page = visit("editor", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    bench = Workbench(page, api, portal.url, image).open()
    bench.begin_crop()
    for edge in ("nw", "ne", "se", "sw"):
        target = bench.frame.locator(f'[data-edge="{edge}"]').bounding_box()
        assert target is not None
        assert min(target["width"], target["height"]) >= 44 - 0.01
    swipe(page, bench.grip("se"), (-120, -60))
    box = bench.apply_crop()
    assert box[2] < WIDTH
    assert box[3] < HEIGHT
    bench.expect_done()
    assert_same(bench.rendition(), cut(SCENE, box))


def test_a_finger_that_scrolls_over_the_picture_leaves_the_focal_point(
    portal: RunningPortal, visit: Visits, api: Api, image: str
):
    page = visit("editor", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    Workbench(page, api, portal.url, image).open()
    point = page.locator("#focal-move")
    place = page.locator(".focal").bounding_box()
    assert place is not None
    x, y = place["x"] + place["width"] / 4, place["y"] + place["height"] / 2
    page.touchscreen.tap(x, y)
    expect(point).to_contain_text("Focal point 25 %, 50 %")
    ring = page.locator(".focal .grip").bounding_box()
    assert ring is not None
    assert ring["width"] > 44
    swipe(page, (ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2), (place["width"] / 4, 0))
    moved = re.compile("Focal point (49|50|51) %, (49|50|51) %")
    expect(point).to_contain_text(moved)
    swipe(page, (x, y), (0, -200))
    page.wait_for_function("() => scrollY > 0")
    expect(point).to_contain_text(moved)


def swipe(page: Page, start: tuple[float, float], by: tuple[float, float]) -> None:
    """One finger, by the browser's own touch events."""
    session = page.context.new_cdp_session(page)
    page.evaluate(
        """() => {
          window.lifted = false;
          for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => (window.lifted = true), { once: true });
        }"""
    )
    for kind, share in [("touchStart", 0), ("touchMove", 0.5), ("touchMove", 1)]:
        at = {"x": start[0] + share * by[0], "y": start[1] + share * by[1]}
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("() => window.lifted")


def test_the_focal_point_stays_on_what_it_was_set_on(bench: Workbench):
    """Set on the turned and cropped picture, kept in the original's own measure, shown where it was set."""
    page = bench.page
    bench.press("Turn right")
    bench.expect_done()
    bench.begin_crop()
    bench.drag("nw", 60, 120)
    left, top, right, bottom = bench.apply_crop()
    bench.expect_done()
    bench.stage.locator(".focal").click()
    page.locator("#focal-move").press("Shift+ArrowLeft")
    expect(page.locator("#focal-move")).to_contain_text("Focal point 40 %, 50 %")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved")
    across, down = left + 0.4 * (right - left), top + 0.5 * (bottom - top)  # of the whole picture, turned right
    focal = bench.object()["focal_point"]
    assert (focal["x"], focal["y"]) == pytest.approx((down / WIDTH, 1 - across / HEIGHT), abs=0.01)
    bench.open()
    expect(page.locator("#focal-move")).to_contain_text("Focal point 40 %, 50 %")
    bench.press("Turn left")
    expect(page.locator("#focal-move")).to_contain_text("Focal point 50 %, 60 %")


def test_what_one_typed_survives_an_edit_and_is_saved_without_a_quarrel(bench: Workbench):
    bench.page.get_by_label("Alt text", exact=True).fill("A lamp, lying")
    bench.press("Turn right")
    bench.expect_done("Turned right.")
    bench.page.get_by_role("button", name="Save").click()
    expect(bench.page.locator("#toasts")).to_contain_text("Saved")
    assert bench.object()["alt_text"] == "A lamp, lying"


def test_somebody_elses_words_are_still_noticed_after_an_edit(bench: Workbench, api: Api, visit: Visits):
    visit.watch_of(bench.page).expect(r"^412: POST ")
    answer = api.client.put(f"/api/images/{bench.image}/metadata", json={"alt_text": "Theirs"})
    assert answer.status_code == 200
    bench.page.get_by_label("Alt text", exact=True).fill("Mine")
    bench.press("Turn right")
    bench.expect_done("Turned right.")
    bench.page.get_by_role("button", name="Save").click()
    expect(bench.page.get_by_text("Someone else saved first")).to_be_visible()
    assert bench.object()["alt_text"] == "Theirs"


def test_a_viewer_sees_the_picture_as_edited_and_no_tools(portal: RunningPortal, visit: Visits, api: Api, image: str):
    api.client.put(f"/api/images/{image}/metadata", json={"edits": {"rotate": 90}})
    page = visit("viewer")
    bench = Workbench(page, api, portal.url, image).open()
    bench.expect_done("Turned right.")
    for selector in ("#edit-bar", ".crop-bar", ".crop-frame", "replace-file", "#versions", ".hud", "#preview form"):
        expect(page.locator(selector)).to_have_count(0)
    expect(page.get_by_role("link", name="Original")).to_be_visible()


def test_axe_finds_nothing_while_one_crops(bench: Workbench, axe: str):
    page, problems = bench.page, []
    bench.press("Turn right")
    bench.expect_done("Turned right.")
    bench.begin_crop()
    page.evaluate(axe)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme, rules in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            problems += [str(each) for each in page.evaluate(RUN_AXE, rules)]
    page.set_viewport_size({"width": 320, "height": 700})
    problems += page.evaluate(OVERHANGING)
    assert not problems


def test_all_of_it_works_without_script(portal: RunningPortal, visit: Visits, api: Api, image: str):
    page = visit(java_script_enabled=False)
    SignIn(page, portal.url).open().sign_in("admin@shop.example", PASSWORD)
    bench = Workbench(page, api, portal.url, image).open()
    expect(bench.button("Crop")).to_be_hidden()
    bench.press("Turn right")
    expect(bench.said).to_have_text("Turned right.")
    page.get_by_text("Crop by numbers").click()
    for label, value in {"From the left": "0.5", "From the top": "0", "Width": "0.5", "Height": "0.5"}.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Crop", exact=True).click()
    expect(bench.said).to_have_text("Turned right, cropped to 240 × 320.")
    bench.settle()
    assert_same(bench.rendition(), BUTTONS["Turn right"](SCENE.crop((320, 0, 640, 240))))
    page.get_by_role("button", name="Back to the original").click()
    expect(bench.said).to_have_text("As it came.")
