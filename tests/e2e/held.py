"""An upload that hangs: what a page looks like while its files are on their way, for as long as a test needs it."""

from __future__ import annotations

import time
from typing import Final

from playwright.sync_api import Locator, Page, Route, expect

PATIENCE: Final = 30.0


class Held:
    """The page's uploads do not get through until `let_go`. `unheard`: they reach the portal, but no answer comes back."""

    def __init__(self, page: Page, *, unheard: bool = False) -> None:
        self.page = page
        self.count = 0
        self._is_open = False
        self._unheard = unheard
        self._routes: list[Route] = []
        page.route("**/images", self._hold)

    def _hold(self, route: Route) -> None:
        if route.request.method != "POST" or self._is_open:
            route.continue_()
            return
        self.count += 1
        if self._unheard:
            assert route.fetch().status == 201
        self._routes.append(route)

    def expect_sending(self, count: int) -> None:
        """So many have been sent, and hang."""
        expect(rows(self.page, "uploading").filter(has_text="Sending…")).to_have_count(count)
        ends = time.monotonic() + PATIENCE
        while len(self._routes) < count and time.monotonic() < ends:
            self.page.wait_for_timeout(20)
        assert len(self._routes) >= count

    def forget(self) -> None:
        """What is held stays so for ever, as when a page goes away; what comes from now on gets through."""
        self._is_open = True
        self._routes.clear()

    def let_go(self) -> None:
        self._is_open = True
        for route in self._routes:
            route.continue_()
        self._routes.clear()


def rows(page: Page, state: str = "") -> Locator:
    return page.locator(f".upload-row{'.' + state if state else ''}")
