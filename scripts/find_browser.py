"""Print the path of a Chromium that really runs; fetch one where there is none.

Looked for in this order: PORTAL_TEST_BROWSER, the usual names on PATH, Playwright's own. Then fetched: by Playwright, else
(as root, where there is apt) from the system's packages. Exit code 1 and one sentence when none can be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
MARK = "it-runs"


def main() -> int:
    named = os.environ.get("PORTAL_TEST_BROWSER")
    if named:
        return _found(named) if runs(named) else _none(f"PORTAL_TEST_BROWSER is {named}, which does not run.")
    for path in candidates():
        if runs(path):
            return _found(path)
    for fetch in (_fetch_with_playwright, _fetch_with_apt):
        if fetch():
            for path in candidates():
                if runs(path):
                    return _found(path)
    return _none("The browser tests need Chromium: install it (apt-get install chromium), or set PORTAL_TEST_BROWSER.")


def candidates() -> Iterator[str]:
    yield from filter(None, map(shutil.which, NAMES))
    if os.path.exists(MAC):
        yield MAC
    if (own := _playwrights_own()) is not None:
        yield own


def runs(path: str) -> bool:
    """Starts headless and shows a page: a launcher of a missing snap, or missing libraries, would not."""
    with tempfile.TemporaryDirectory(prefix="portal-browser-", ignore_cleanup_errors=True) as profile:
        command = [path, "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        command += ["--disable-background-networking", f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")
        try:
            page = subprocess.run(  # noqa: S603 - the browser that the developer has
                [*command, "--dump-dom", f"data:text/html,<p>{MARK}</p>"], capture_output=True, text=True, timeout=60
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return page.returncode == 0 and f"<p>{MARK}</p>" in page.stdout


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright  # slow to import, and seldom needed

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def _fetch_with_playwright() -> bool:
    return _attempt(sys.executable, "-m", "playwright", "install", "--with-deps", "chromium")


def _fetch_with_apt() -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    return _attempt("apt-get", "update") and _attempt("apt-get", "install", "-y", "--no-install-recommends", "chromium")


def _attempt(*command: str) -> bool:
    print(f"No browser yet: {' '.join(command[-4:])} …", file=sys.stderr)  # noqa: T201 - this is what the developer reads
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        # its output to stderr: stdout holds the path alone
        return subprocess.run(command, stdout=sys.stderr, env=environment, timeout=400).returncode == 0  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False


def _found(path: str) -> int:
    print(path)  # noqa: T201 - the result
    return 0


def _none(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - the result
    return 1


if __name__ == "__main__":
    sys.exit(main())
