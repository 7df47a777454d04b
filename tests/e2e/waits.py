"""Waiting for what no `expect` of Playwright sees, with limits far beyond the usual."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from playwright.sync_api import Page

from tests.waiting import PATIENCE

PATIENCE_MS: Final = 1000 * PATIENCE
PREFER: Final = {"Prefer": f"wait={PATIENCE:.0f}"}  # the API answers once the renditions are there


def wait_until(page: Page, is_so: Callable[[], object], otherwise: str) -> None:
    """Meanwhile the page's events are heard and its routes answered. AssertionError with `otherwise`."""
    ends = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < ends, otherwise
        page.wait_for_timeout(20)


def wait_for_answers(page: Page) -> None:
    """Until all that the page has asked is answered, and swapped in: what is pressed while that happens may be lost."""
    wait_until(page, lambda: page.evaluate("!window.underWay?.size"), "the page is still asking")
