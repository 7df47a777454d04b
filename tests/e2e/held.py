"""An upload that hangs: what a page looks like while its files are on their way, for as long as a test needs it."""

from __future__ import annotations

from playwright.sync_api import Frame, Locator, Page, Route, expect

from tests.e2e.waits import PATIENCE_MS, wait_until


class Held:
    """The page's uploads do not get through until `let_go`. `unheard`: they reach the portal, but no answer comes back."""

    def __init__(self, page: Page, *, unheard: bool = False) -> None:
        self.page = page
        self.count = 0
        self._is_open = False
        self._unheard = unheard
        self._routes: list[Route] = []
        page.route("**/images", self._hold)
        page.on("framenavigated", self._gone)

    def _hold(self, route: Route) -> None:
        if route.request.method != "POST" or self._is_open:
            route.continue_()
            return
        self.count += 1
        if self._unheard:
            assert route.fetch(timeout=PATIENCE_MS).status == 201
        self._routes.append(route)

    def _gone(self, frame: Frame) -> None:
        """With its page, what it sent."""
        if frame == self.page.main_frame:
            self._routes.clear()

    def expect_sending(self, count: int) -> None:
        """So many have been sent, and hang."""
        expect(rows(self.page, "uploading").filter(has_text="Sending…")).to_have_count(count)
        wait_until(self.page, lambda: len(self._routes) >= count, f"fewer than {count} are on their way")

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
