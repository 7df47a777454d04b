"""What a person's hands do: clicks, keys and letters, counted by the events of the pages themselves, over all pages of a tab."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from playwright.sync_api import FilePayload, Locator, Page

from tests.e2e.waits import wait_for_answers

COUNTING: Final = """{
  const told = () => JSON.parse(sessionStorage.getItem("hands") ?? '{"clicks": 0, "keys": 0, "letters": 0}');
  const count = (what) => sessionStorage.setItem("hands", JSON.stringify({ ...told(), [what]: told()[what] + 1 }));
  const typed = "input:not([type=checkbox], [type=radio], [type=file]), textarea";
  const isLetter = ({ key, ctrlKey, target }) => key.length === 1 && !ctrlKey && target.matches?.(typed);
  const on = (name, act) => addEventListener(name, (event) => event.isTrusted && act(event), true);
  on("pointerdown", () => count("clicks"));
  on("keydown", (event) => ["Shift", "Control"].includes(event.key) || count(isLetter(event) ? "letters" : "keys"));
}"""
HEAD: Final = "| task | clicks | keys | letters | by hand | of that waiting |\n|---|---|---|---|---|---|\n"
CLICK, KEY = 2.6, 0.28  # seconds of a person: to look, aim and press; to press (Card, Moran, Newell: M + P + 2 B; K)


@dataclass
class Hands:
    """At the portal whose overview is `url`. `rows` of the table: one for each task that was done."""

    url: str
    rows: list[str] = field(default_factory=list)

    def at(self, page: Page) -> Page:
        """A tab in which all is counted from its next page on."""
        page.context.add_init_script(COUNTING)
        return page

    @contextmanager
    def doing(self, page: Page, task: str, *, clicks: int, keys: int) -> Iterator[None]:
        """From the overview on; afterwards it took so many at most."""
        page.goto(self.url)
        arrive(page)
        page.evaluate("sessionStorage.removeItem('hands')")
        began = time.monotonic()
        yield
        waited = time.monotonic() - began
        did = page.evaluate("JSON.parse(sessionStorage.getItem('hands'))")
        by_hand = did["clicks"] * CLICK + (did["keys"] + did["letters"]) * KEY + waited
        self.rows.append(
            f"| {task} | {did['clicks']} | {did['keys']} | {did['letters']} | {by_hand:.0f} s | {waited:.1f} s |"
        )
        assert did["clicks"] <= clicks, f"{task}: {did['clicks']} clicks"
        assert did["keys"] <= keys, f"{task}: {did['keys']} keys"

    def write(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEAD + "\n".join(self.rows) + "\n")


def arrive(page: Page) -> None:
    """Keys are heard, buttons work, and nothing more is asked."""
    page.wait_for_load_state()
    wait_for_answers(page)


def choose_file(opener: Locator, file: FilePayload) -> None:
    """By the button that asks for it; what is done in the system's own window is not counted."""
    with opener.page.expect_file_chooser() as opened:
        opener.click()
    opened.value.set_files(file)
