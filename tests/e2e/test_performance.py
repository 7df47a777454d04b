"""How quick the portal is, as staff see it: charts of the last hour, and a page that renews itself under their eyes."""

from __future__ import annotations

import subprocess
import sys

from playwright.sync_api import expect

from tests.e2e.conftest import Visits
from tests.e2e.server import CHECKOUT, RunningPortal
from tests.e2e.test_access import check

# what three processes wrote down in an hour of a busy shop, with a pause
SEED = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from portal import database, settings
from portal.histogram import Histogram
from portal.minutes import _WRITE

ROUTES = {"GET /entities/{type}/{id}": (0.04, 60), "POST /api/images/upload": (0.4, 9), "GET /api/images/serve": (0.0004, 900),
          "stage render": (0.2, 9), "stage decode": (0.05, 9), "stage resize": (0.05, 9), "stage encode": (0.1, 9)}

async def main(route, first, last):
    async with database.open_database(settings.load()):
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        for ago in (each for each in range(int(first), int(last)) if each not in range(30, 35)):
            for name, (seconds, times) in (ROUTES if route == "all" else {route: (100, 5)}).items():
                one = Histogram()
                for number in range(times + ago % 7):
                    one.add(seconds * (1 + number % 5 / 2), 500 if ago % 13 == 0 and number == 0 else 200)
                values = (name, one.count, one.errors, one.seconds, one.buckets)
                await database.execute(_WRITE, now - timedelta(minutes=ago), uuid4(), *values)

asyncio.run(main(*sys.argv[1:]))
"""


def seed(portal: RunningPortal, route: str, first: int, last: int) -> None:
    command = [sys.executable, "-c", SEED, route, str(first), str(last)]
    subprocess.run(command, cwd=CHECKOUT, env=portal.environment, check=True, timeout=120)


def test_the_last_hour_is_shown_and_renews_itself_without_closing_what_is_open(
    portal: RunningPortal, visit: Visits, axe: str
):
    seed(portal, "all", 1, 59)
    page = visit("viewer")
    page.clock.install()
    page.goto(portal.url)
    page.get_by_role("link", name="Performance").click()
    expect(page.get_by_role("img", name="Requests a second in the last hour")).to_be_visible()
    expect(page.get_by_role("img", name="Time to an answer in the last hour")).to_be_visible()
    expect(page.get_by_role("region", name="What a picture costs")).to_contain_text("Making a picture’s sizes")
    routes = page.get_by_role("region", name="By route, the slowest first")
    expect(routes.get_by_role("row").filter(has_text="POST /api/images/upload")).to_be_visible()
    page.get_by_text("All minutes as a table").click()
    expect(page.locator("#all-minutes tbody tr")).to_have_count(60)
    seed(portal, "GET /slow/{id}", 1, 3)
    page.clock.fast_forward(11_000)
    expect(routes.get_by_role("row").nth(1)).to_contain_text("GET /slow/{id}")
    expect(page.locator("#all-minutes")).to_have_attribute("open", "")
    check(page, axe)
