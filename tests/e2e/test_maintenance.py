"""Storage as staff see it: twelve weeks, room to win back after a look and a question, and the page of statistics."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Api, Visits
from tests.e2e.photos import demo_photo
from tests.e2e.server import CHECKOUT, RunningPortal
from tests.e2e.test_access import check

# eighty days of a shop that grows, and an upload that was never finished
SEED = """
import asyncio, os, sys
from portal import database, settings

async def main():
    found = settings.load()
    async with database.open_database(found):
        await database.execute('''
            INSERT INTO stored_day (day, part, pieces, bytes)
            SELECT (now() AT TIME ZONE 'UTC')::date - d, part, 9, (9000000 - d * 60000) * size
            FROM generate_series(1, 80) AS d, (VALUES ('originals', 4), ('renditions', 2), ('cache', 1)) AS parts (part, size)
            ON CONFLICT DO NOTHING''')
    path = found.storage_dir / "temp" / "left-long-ago.part"
    path.write_bytes(b"x" * 123_000)
    os.utime(path, (1, 1))
    print(path)

asyncio.run(main())
"""


def seed(portal: RunningPortal) -> Path:
    command = [sys.executable, "-c", SEED]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=portal.environment, check=True, timeout=120, capture_output=True, text=True
    )
    return Path(done.stdout.strip().splitlines()[-1])


def test_room_is_looked_at_asked_for_and_won_back(portal: RunningPortal, visit: Visits, axe: str):
    left = seed(portal)
    page = visit("admin")
    page.goto(f"{portal.url}/maintenance")
    expect(page.get_by_role("img", name="What was stored in each of the last 12 weeks")).to_be_visible()
    page.get_by_text("All weeks as a table").click()
    expect(page.get_by_role("region", name="All weeks").get_by_role("row")).to_have_count(13)
    room = page.get_by_role("region", name="Room to win back")
    room.get_by_role("button", name="See what can go").click()
    expect(room).to_contain_text(re.compile(r"Uploads never finished\s*1 file\s*123"))
    assert left.exists()
    check(page, axe)
    room.get_by_role("button", name=re.compile("^Free .*…$")).click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Uploads never finished: 1 file, 123")
    check(page, axe)
    question.get_by_role("button", name="Keep all").click()
    expect(question).to_be_hidden()
    room.get_by_role("button", name=re.compile("^Free .*…$")).click()
    question.get_by_role("button", name=re.compile("^Free")).click()
    expect(room).to_contain_text("freed, today")
    assert not left.exists()


def test_statistics_fit_a_telephone_and_lead_to_the_pictures(portal: RunningPortal, visit: Visits, api: Api, axe: str):
    api.put_entity("companies", "STAT-1", "Counted")
    api.add_picture("companies", "STAT-1", "counted.jpg", demo_photo("mug-front"), alt_text="A mug that is counted")
    page = visit("viewer")
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto(f"{portal.url}/maintenance/statistics")
    expect(page.get_by_role("img", name="Pictures added in each of the last months")).to_be_visible()
    assert _is_narrow(page)
    check(page, axe)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of pictures by month").click()
    assert download.value.suggested_filename == "storage-months.csv"
    page.get_by_role("region", name="Compression").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/images/[0-9a-f-]{36}$"))


def _is_narrow(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
