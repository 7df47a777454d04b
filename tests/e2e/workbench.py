"""One picture's page as its editor works at it, and what the portal then shows, read over the API."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.e2e.conftest import Api
from tests.e2e.waits import PATIENCE_MS, wait_until

WIDTH, HEIGHT = 640, 480
Change = Callable[[Image.Image], Image.Image]
Box = tuple[float, float, float, float]

# what each button does to the picture that one sees
BUTTONS: dict[str, Change] = {
    "Turn left": lambda seen: seen.transpose(Image.Transpose.ROTATE_90),  # Pillow counts against the clock
    "Turn right": lambda seen: seen.transpose(Image.Transpose.ROTATE_270),
    "Mirror": lambda seen: seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "Flip": lambda seen: seen.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
}


@dataclass
class Workbench:
    page: Page
    api: Api
    url: str
    image: str

    def open(self) -> Workbench:
        self.page.goto(f"{self.url}/images/{self.image}")
        return self

    # -- what is there ----------------------------------------------------------------------------------------------

    @property
    def stage(self) -> Locator:
        return self.page.locator("#preview .stage")

    @property
    def said(self) -> Locator:
        """The edits in words."""
        return self.page.locator("#preview .edited b")

    @property
    def versions(self) -> Locator:
        return self.page.locator("#versions .versions > li")

    @property
    def sending(self) -> Locator:
        """The line that tells how a file on its way goes."""
        return self.page.locator("#replacing")

    def expect_done(self, said: str | None = None) -> None:
        """The new renditions are there, and shown."""
        if said is not None:
            expect(self.said).to_have_text(said)
        expect(self.page.locator("#preview[data-rendering]")).to_have_count(0, timeout=PATIENCE_MS)
        shown = self.object()["renditions"]["optimized"]["url"]
        expect(self.page.locator("#preview .frame > img")).to_have_attribute("src", shown)

    def settle(self) -> None:
        """Until the portal has the renditions that are wanted, whatever the page shows."""
        ask = self.page.context.request
        url = f"{self.url}/images/{self.image}/rendered"
        wait_until(self.page, lambda: ask.get(url, timeout=PATIENCE_MS).status == 200, "nothing is rendered")

    def object(self) -> dict[str, Any]:
        answer = self.api.client.get(f"/api/images/{self.image}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rendition(self, name: str = "optimized") -> Image.Image:
        url = self.object()["renditions"][name]["url"]
        return Image.open(io.BytesIO(self.api.client.get(url).content)).convert("RGB")

    # -- edits ------------------------------------------------------------------------------------------------------

    def button(self, name: str) -> Locator:
        return self.page.locator("#edit-bar").get_by_role("button", name=name, exact=True)

    def press(self, *names: str) -> None:
        """Each once the page knows of the one before."""
        for name in names:
            with self.changing():
                self.button(name).click()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Until the page shows that the picture is wanted otherwise."""
        preview = self.page.locator("#preview")
        before = preview.get_attribute("data-revision")
        assert before is not None
        yield
        expect(preview).not_to_have_attribute("data-revision", before)

    @property
    def frame(self) -> Locator:
        return self.page.get_by_role("application", name="Frame of the crop")

    def begin_crop(self) -> None:
        self.button("Crop").click()
        expect(self.frame).to_be_focused()

    def grip(self, edge: str) -> tuple[float, float]:
        box = self.frame.locator(f'[data-edge="{edge}"]').bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(self, edge: str, right: float, down: float) -> None:
        """The corner or side, by pixels of the window."""
        x, y = self.grip(edge)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + right, y + down, steps=5)
        self.page.mouse.up()

    def box(self) -> Box:
        """The frame as (left, top, right, bottom) in pixels of the whole picture as it is turned."""
        at = {name: float(self._box(name)) for name in ("x", "y", "width", "height")}
        return at["x"], at["y"], at["x"] + at["width"], at["y"] + at["height"]

    def _box(self, name: str) -> str:
        value = self.frame.locator('[data-part="box"]').get_attribute(name)
        assert value is not None
        return value

    def apply_crop(self) -> Box:
        """What was cut out, as `box` gives it."""
        box = self.box()
        with self.changing():
            self.page.get_by_role("form", name="Crop").get_by_role("button", name="Crop").click()
        return box

    # -- files ------------------------------------------------------------------------------------------------------

    def choose(self, file: FilePayload) -> None:
        with self.page.expect_file_chooser() as opened:
            self.page.locator("#replace > summary").click()
        opened.value.set_files(file)

    def drop(self, file: FilePayload, onto: str) -> None:
        """As from a folder of the desktop."""
        self.page.evaluate(
            """([{ name, mimeType, bytes }, onto]) => {
              const transfer = new DataTransfer();
              const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
              transfer.items.add(new File([content], name, { type: mimeType }));
              for (const kind of ["dragenter", "dragover", "drop"])
                document.querySelector(onto).dispatchEvent(
                  new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
            }""",
            [
                {
                    "name": file["name"],
                    "mimeType": file["mimeType"],
                    "bytes": base64.b64encode(file["buffer"]).decode(),
                },
                onto,
            ],
        )


def difference(one: Image.Image, other: Image.Image) -> float:
    """Of two pictures of one shape, 0 to 255: how far their colours lie apart on average."""
    small = (64, 64)
    apart = ImageChops.difference(one.convert("RGB").resize(small), other.convert("RGB").resize(small))
    return max(ImageStat.Stat(apart).mean)


def assert_same(one: Image.Image, other: Image.Image) -> None:
    shape, wanted = one.width / one.height, other.width / other.height
    assert abs(shape / wanted - 1) < 0.03, f"{one.size} is not of the shape of {other.size}"
    assert difference(one, other) < 6


def cut(picture: Image.Image, box: Box) -> Image.Image:
    left, top, right, bottom = (round(side) for side in box)
    return picture.crop((left, top, right, bottom))
