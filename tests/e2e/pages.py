"""The portal's pages as a person sees them: what is on them is found by its words and roles."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.e2e.waits import PATIENCE_MS, wait_for_answers, wait_until

PASSWORD = "nine otters juggle"  # everybody's
READY_MS = 2 * PATIENCE_MS  # several large photographs one after the other on a busy machine


def payload(name: str, data: bytes, media_type: str = "image/jpeg") -> FilePayload:
    return {"name": name, "mimeType": media_type, "buffer": data}


@dataclass
class SignIn:
    page: Page
    url: str

    def open(self) -> SignIn:
        self.page.goto(f"{self.url}/login")
        return self

    def sign_in(self, email: str, password: str) -> None:
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "/login" not in url)


@dataclass
class SetUp:
    page: Page

    def create_account(self, link: str, name: str, email: str, password: str) -> None:
        self.page.goto(link)
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Create the account").click()
        expect(self.page.get_by_role("navigation", name="Main", exact=True)).to_be_visible()


def choose_password(page: Page, link: str) -> None:
    """By the one-time link that an admin sent; signs in."""
    page.goto(link)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Save and sign in").click()
    expect(page.get_by_role("navigation", name="Main", exact=True)).to_be_visible()


@dataclass
class Account:
    page: Page
    url: str

    def open(self) -> Account:
        self.page.goto(f"{self.url}/account")
        return self

    def sign_out(self) -> None:
        self.page.get_by_role("button", name="Sign out", exact=True).click()
        expect(self.page.get_by_role("heading", name="Sign in")).to_be_visible()

    def end_other_sessions(self) -> None:
        buttons = self.page.get_by_role("button", name="Sign out there")
        for left in reversed(range(buttons.count())):
            buttons.first.click()
            expect(buttons).to_have_count(left)
            expect(self.page.get_by_role("status").filter(has_text="Signed out there")).to_be_visible()


@dataclass
class EntityList:
    page: Page
    url: str

    def open(self, type: str = "inventory_items") -> EntityList:
        self.page.goto(f"{self.url}/entities/{type}")
        return self

    def create(self, id: str, name: str, singular: str = "item") -> Gallery:
        """By the form on the page; ends on the new gallery."""
        self.page.locator("#add > summary").click()
        form = self.page.get_by_role("form", name=f"Add {singular}")
        form.get_by_label("Name", exact=True).fill(name)
        form.get_by_label("Id", exact=True).fill(id)
        form.get_by_role("button", name="Add and open its gallery").click()
        expect(self.page.get_by_role("heading", level=1, name=name)).to_be_visible()
        self.page.wait_for_load_state()  # a click does not wait for the next page's scripts, as goto() does
        return Gallery(self.page, self.url)


@dataclass
class Gallery:
    """One entity's pictures. Cards are found by the name they show: alt text, else file name."""

    page: Page
    url: str

    def open(self, id: str, type: str = "inventory_items") -> Gallery:
        self.page.goto(f"{self.url}/entities/{type}/{id}")
        return self

    # -- what is there ----------------------------------------------------------------------------------------------

    @property
    def cards(self) -> Locator:
        return self.page.locator(".image-card")

    @property
    def toast(self) -> Locator:
        return self.page.locator("#toasts .toast")

    def card(self, name: str) -> Locator:
        return self.cards.filter(has=self.page.locator(".name", has_text=re.compile(f"^{re.escape(name)}$")))

    def link(self, name: str) -> Locator:
        return self.card(name).locator(".open")

    def names(self) -> list[str]:
        return self.cards.locator(".name").all_text_contents()

    def expect_names(self, *names: str) -> None:
        expect(self.cards.locator(".name")).to_have_text(list(names))

    def expect_primary(self, name: str) -> None:
        expect(self.page.locator(".image-card.lead .name")).to_have_text([name])

    def expect_ready(self, count: int) -> None:
        """All are there with pictures that the browser could decode."""
        expect(self.cards).to_have_count(count, timeout=READY_MS)
        expect(self.page.locator(".image-card[aria-busy]")).to_have_count(0, timeout=READY_MS)
        wait_for_answers(self.page)
        pictures = self.cards.locator(".pic > img:not(.blur)")
        expect(pictures).to_have_count(count)
        for picture in pictures.all():
            expect_decoded(picture)

    # -- adding -----------------------------------------------------------------------------------------------------

    def drop(self, files: list[FilePayload]) -> None:
        """As from a folder of the desktop onto the page."""
        sent = [{**file, "buffer": base64.b64encode(file["buffer"]).decode()} for file in files]
        self.page.evaluate(
            """async (files) => {
              await customElements.whenDefined("upload-zone");
              const transfer = new DataTransfer();
              for (const { name, mimeType, buffer } of files) {
                const bytes = Uint8Array.from(atob(buffer), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type: mimeType }));
              }
              for (const kind of ["dragenter", "dragover", "drop"])
                document.querySelector("main").dispatchEvent(
                  new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
            }""",
            sent,
        )

    def choose(self, *files: FilePayload) -> None:
        self.page.evaluate("customElements.whenDefined('upload-zone').then(() => true)")
        self.page.locator("#upload-files").set_input_files(list(files))

    def row(self, filename: str) -> Locator:
        """The file's line in the tray, while it is on its way or needs somebody."""
        named = self.page.locator('[data-part="name"]', has_text=re.compile(f"^{re.escape(filename)}$"))
        return self.page.locator(".upload-row").filter(has=named)

    def keep_lookalikes(self) -> None:
        """What is hinted at (some photographs show the same scene) is meant so."""
        hints = self.page.locator(".upload-row.similar")
        for left in reversed(range(hints.count())):
            hints.first.get_by_role("button", name="Keep both").click()
            expect(hints).to_have_count(left)

    # -- changing ---------------------------------------------------------------------------------------------------

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """What is done within is answered with another grid: until that is there, and nothing more is under way."""
        wait_for_answers(self.page)
        self.page.locator("#gallery-grid").evaluate("(grid) => grid.setAttribute('data-before', '')")
        yield
        expect(self.page.locator("#gallery-grid:not([data-before])")).to_be_attached()
        wait_for_answers(self.page)

    def describe(self, name: str, alt_text: str, caption: str = "") -> None:
        """In place, by the card's own form."""
        wait_for_answers(self.page)
        self.card(name).get_by_role("link", name="Add alt text").click()
        form = self.cards.locator("form.fields")
        form.get_by_label("Alt text").fill(alt_text)
        form.get_by_label("Caption").fill(caption)
        form.get_by_role("button", name="Save").click()
        expect(self.link(alt_text)).to_be_visible()
        wait_for_answers(self.page)

    def make_primary(self, name: str) -> None:
        """By the star at the card's corner."""
        with self.renewed():
            self.card(name).hover()
            self.card(name).get_by_role("button", name="Make primary:").click()
        self.expect_primary(name)

    def choose_in_menu(self, name: str, words: str) -> None:
        """Done when the grid has followed."""
        with self.renewed():
            self.press_in_menu(name, words)

    def press_in_menu(self, name: str, words: str) -> None:
        self.open_menu(name).get_by_role("button", name=words).click()

    def open_menu(self, name: str) -> Locator:
        self.card(name).hover()
        self.card(name).get_by_role("button", name="More for").click()
        return self.card(name).locator(".menu")

    def drag(self, name: str, onto: str) -> None:
        """As a hand does it: take hold, a few steps on the way, to and fro until the others make room, let go."""
        with self.renewed():
            before = self.names()
            mouse = self.page.mouse
            self.card(name).hover()
            mouse.down()
            box = self.card(onto).bounding_box()
            assert box is not None
            x, y = box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2
            mouse.move(x, y, steps=12)

            def make_room() -> bool:
                for step in (box["width"] * 0.1, 0):
                    mouse.move(x + step, y, steps=4)
                return self.names() != before

            wait_until(self.page, make_room, f"{name} stays where it is, however long it is held over {onto}")
            mouse.up()

    def undo(self) -> None:
        with self.renewed():
            self.toast.get_by_role("button", name="Undo").click()


@dataclass
class ImagePage:
    page: Page

    @property
    def form(self) -> Locator:
        return self.page.locator("#metadata-form")

    def describe(self, **fields: str) -> None:
        for label, text in fields.items():
            self.form.get_by_label(label.replace("_", " ").capitalize(), exact=False).first.fill(text)
        self.form.get_by_role("button", name="Save").click()


def natural_size(image: Locator) -> tuple[int, int]:
    """Waits until it is decoded. Raises what the browser says of a picture that it cannot show."""
    size: dict[str, Any] = image.evaluate(
        """async (image) => {
          for (;;) {
            const source = image.currentSrc;
            try {
              await image.decode();
              return { width: image.naturalWidth, height: image.naturalHeight };
            } catch (error) {
              if (source && source === image.currentSrc) throw error; // else it was given another one meanwhile, or its first
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          }
        }"""
    )
    return size["width"], size["height"]


def expect_decoded(image: Locator) -> None:
    """Where it is lazy, it is scrolled to; what is swapped in meanwhile counts in its place."""
    see = "(image) => (image.scrollIntoView({ block: 'nearest' }), image.complete && image.naturalWidth)"
    wait_until(image.page, lambda: image.evaluate(see), "a picture does not come")
