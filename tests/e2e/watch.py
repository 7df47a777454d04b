"""Nothing may go wrong unseen: every console error, failed or foreign request and policy report of a browser context fails
its test, unless the test said that it would come."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

from tests.waiting import PATIENCE

REPORT_POLICY = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} blocked ${event.blockedURI || event.sample} on ${location.href}`))"""
LOCAL_SCHEMES = {"data", "blob", "about", "chrome-error"}


class Watch:
    def __init__(self, context: BrowserContext, origins: Collection[str]) -> None:
        self.context = context
        self.origins = set(origins)
        self.seen: list[str] = []
        self._expected: dict[str, bool] = {}
        context.add_init_script(REPORT_POLICY)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def expect(self, *patterns: str) -> None:
        """From now on what matches is no failure; each pattern must match something before the test ends."""
        self._expected.update(dict.fromkeys(patterns, False))

    def may(self, *patterns: str) -> None:
        """As `expect`, where it depends on timing whether it comes."""
        self._expected.update(dict.fromkeys(patterns, True))

    def wait(self) -> None:
        """Until all that is expected was met: a page's doings are told a little later than they are done."""
        ends = time.monotonic() + PATIENCE
        while not self.seen and not all(self._expected.values()) and self.context.pages and time.monotonic() < ends:
            self.context.pages[0].wait_for_timeout(20)

    def check(self) -> None:
        missed = [pattern for pattern, met in self._expected.items() if not met]
        assert not self.seen, "went wrong in the browser:\n" + "\n".join(self.seen)
        assert not missed, f"expected in the browser, but never seen: {missed}"

    def _note(self, text: str) -> None:
        for pattern in self._expected:
            if re.search(pattern, text):
                self._expected[pattern] = True
                return
        self.seen.append(text)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):  # told by its answer
            self._note(f"console: {message.text}")

    def _error(self, error: WebError) -> None:
        self._note(f"script: {error.error}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in LOCAL_SCHEMES and f"{parts.scheme}://{parts.netloc}" not in self.origins:
            self._note(f"outside: {request.url}")

    def _failed(self, request: Request) -> None:
        # what a page still loads when it is left, is no failure of the page
        if request.failure != "net::ERR_ABORTED":
            self._note(f"failed: {request.method} {request.url} {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self._note(f"{response.status}: {response.request.method} {response.url}")
